// ClientPause: CLIENT PAUSE, one word in the segment for all workers. Read by each, changed by
// compare-and-set; one that has run out is as good as none. Its times are of the monotonic clock. Runs in
// workers.
#pragma once

#include <algorithm>

#include "shm/format/layout.h"
#include "shm/os/clock.h"

namespace memento {

class ClientPause {
 public:
  static constexpr TimeMs kEndLimitMs = INT64_MAX >> 1;

  explicit ClientPause(Header& header) : word_(header.pause) {}

  /// False, cheaply: there is none.
  bool is_set() const { return word_.load(std::memory_order_relaxed) != 0; }

  bool holds(bool may_write, TimeMs now_ms) const {
    const std::uint64_t word = word_.load();
    return end_of(word) > now_ms && (may_write || is_all(word));
  }

  /// A pause that lasts already is never made shorter or milder. REQUIRES: end_ms <= kEndLimitMs.
  void begin(TimeMs end_ms, bool all, TimeMs now_ms) {
    std::uint64_t before = word_.load();
    std::uint64_t after = 0;
    do {
      const bool lasts = end_of(before) > now_ms;
      const TimeMs end = lasts ? std::max(end_ms, end_of(before)) : end_ms;
      after = static_cast<std::uint64_t>(end) << 1 | (all || (lasts && is_all(before)) ? 1 : 0);
    } while (!word_.compare_exchange_weak(before, after));
  }
  void end() { word_.store(0); }

  /// Takes back one that has run out.
  void tidy(TimeMs now_ms) {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    if (word != 0 && end_of(word) <= now_ms) word_.compare_exchange_strong(word, 0);
  }

 private:
  static TimeMs end_of(std::uint64_t word) { return static_cast<TimeMs>(word >> 1); }
  static bool is_all(std::uint64_t word) { return (word & 1) != 0; }

  Word& word_;
};

}  // namespace memento
