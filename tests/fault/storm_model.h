// What the kill tests' load knows about its keys: for each a series of changes with numbers, how many of them
// were acknowledged, and how many were sent. A value tells its number and can be made again from it, so that
// any reader can judge it: it must be whole (else torn) and none older than what was acknowledged, or seen by
// somebody, before it was asked for, and none that was never sent.
//
// One thread changes a series; any may read it. Counters are changed by all.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

namespace memento::testing {

/// A bound that only rises while threads run.
class Mark {
 public:
  std::uint64_t get() const { return value_.load(); }
  void reset() { value_ = 0; }
  void raise(std::uint64_t value) {
    std::uint64_t before = value_.load();
    while (before < value && !value_.compare_exchange_weak(before, value)) {
    }
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Series {
 public:
  enum class Kind { kStored, kAppended, kPrepended };

  Series(Kind kind, std::string key) : kind_(kind), key_(std::move(key)) {}

  const std::string& key() const { return key_; }
  /// The command of change `number` with its operand: SET, APPEND or PREPEND; DEL has none.
  const char* command(std::uint64_t number) const;
  std::string operand(std::uint64_t number) const;
  bool removes(std::uint64_t number) const { return number % kPeriod == 0; }
  /// What change `number` is answered.
  std::string reply(std::uint64_t number) const;
  /// The value after change `number`; nothing after a DEL, and before the first.
  std::optional<std::string> value(std::uint64_t number) const;
  /// The number that a value tells.
  std::optional<std::uint64_t> number_of(const std::string& value) const;
  /// A change at or after `number` that takes the key away.
  std::uint64_t next_removal(std::uint64_t number) const {
    return (number + kPeriod - 1) / kPeriod * kPeriod;
  }

  Mark known;  ///< acknowledged or seen: nothing older may be seen from now on
  Mark sent;

 private:
  static constexpr std::uint64_t kPeriod = 40;  // each 40th change is a DEL
  std::string token(std::uint64_t number) const;

  Kind kind_;
  std::string key_;
};

/// A number that all threads add to.
struct SharedCounter {
  std::string key;
  Mark known;  ///< a sum that was seen
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<std::uint64_t> sent{0};

  std::uint64_t least() const { return std::max(known.get(), acknowledged.load()); }
};

/// Faults found, by kind; the first ones are told.
struct Verdict {
  std::atomic<int> lost{0};   ///< and it stays so
  std::atomic<int> torn{0};   ///< not a value that was ever sent
  std::atomic<int> stale{0};  ///< older than it may be; right when read again, or expired
  bool is_clean() const { return lost == 0 && torn == 0 && stale == 0; }
};

}  // namespace memento::testing
