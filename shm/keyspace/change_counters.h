// ChangeCounters: how WATCH learns that a key was changed, even when it looks as before. Every process.
//
// A key has kPerKey counters, chosen by its hash among all; a change counts up all of them before it is
// committed, so they never show less than what happened. While one of them stays, the key was not changed.
// All of them move without a change only when other keys share each one (a counting Bloom filter: Fan et al.,
// "Summary Cache", 2000): with n keys changed meanwhile, about (kPerKey * n / count)^kPerKey.
//
// Changes are counted only in slots that somebody watches: Slot::marks says until when (kWatchS seconds from
// the last WATCH on; monotonic clock), under the slot's lock. What is watched for longer is judged by the
// slot's version. So nothing has to be undone: not when the client goes, nor its worker, nor, in a cluster,
// the node that asked.
//
// The counters are no part of a redo list: a death between count and commit is a change that did not happen,
// at worst a transaction refused for nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "shm/format/layout.h"
#include "shm/keyspace/change_mark.h"

namespace memento {

/// What a key's counters are chosen by: the same name in another database has others.
constexpr std::uint64_t counted_hash(SlotId slot, std::uint64_t hash) {
  return hash ^ database_of(slot).value * 0x9e3779b97f4a7c15;
}

class ChangeCounters {
 public:
  static constexpr std::size_t kPerKey = std::tuple_size_v<decltype(ChangeMark::counters)>;
  static constexpr std::int64_t kWatchS = 600;
  using Values = decltype(ChangeMark::counters);

  ChangeCounters(char* base, const Header& header)
      : counters_(reinterpret_cast<Counter*>(base + header.change_counters_offset)),
        mask_(header.change_counter_count - 1) {}

  /// How many a segment of so many bytes has: 4 bytes in 1024, at most 4 MiB.
  static constexpr std::uint64_t count_for(std::uint64_t segment_bytes) {
    std::uint64_t count = 1 << 14;
    while (count < 1 << 20 && count * 1024 < segment_bytes) count *= 2;
    return count;
  }
  static constexpr std::uint64_t bytes_for(std::uint64_t count) { return count * sizeof(Counter); }

  // `hash`: a counted_hash().

  /// REQUIRES: the slot's lock, and that Slot::marks says so.
  void count(std::uint64_t hash) {
    for (std::size_t i = 0; i < kPerKey; ++i) place(hash, i).fetch_add(1, std::memory_order_relaxed);
  }
  Values read(std::uint64_t hash) const {
    Values values;
    for (std::size_t i = 0; i < kPerKey; ++i) values[i] = place(hash, i).load(std::memory_order_relaxed);
    return values;
  }

  /// The key was not changed since it had these values.
  bool is_unchanged(std::uint64_t hash, const Values& before) const {
    for (std::size_t i = 0; i < kPerKey; ++i) {
      if (place(hash, i).load(std::memory_order_relaxed) == before[i]) return true;
    }
    return false;
  }

 private:
  using Counter = std::atomic<std::uint32_t>;
  static_assert(sizeof(Counter) == 4 && Counter::is_always_lock_free);

  Counter& place(std::uint64_t hash, std::size_t i) const {
    return counters_[(hash + i * (hash >> 32 | 1)) & mask_];
  }

  Counter* counters_;
  std::uint64_t mask_;
};

}  // namespace memento
