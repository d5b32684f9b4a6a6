// Histories of one key as concurrent clients saw it, and whether they are linear: is there an order of the operations that
// agrees with when they ran, in which each read gets what was written last (Herlihy and Wing)? Found by search with memory
// (Wing and Gong 1993; Lowe 2017).
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace memento::testing {

/// A time at which an operation without an end might still take effect.
inline constexpr std::int64_t kNever = INT64_MAX;

struct Operation {
  enum class Kind { kRead, kWrite };
  Kind kind;
  std::string value;  ///< what was written or read; empty: no value
  std::int64_t begin_ns;
  std::int64_t end_ns;        ///< kNever: of a write whose outcome is unknown; it may have happened, now or later, or not
};

/// REQUIRES: failed writes (known not to have happened) and failed reads are left out; the key had no value at first.
bool is_linear(std::vector<Operation> history);

/// Histories of several keys, noted by threads.
class Histories {
 public:
  void add(const std::string& key, Operation operation) {
    const std::lock_guard lock(mutex_);
    by_key_[key].push_back(std::move(operation));
  }
  /// Keys whose history is not linear.
  std::vector<std::string> faults() const;
  std::size_t count() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::vector<Operation>> by_key_;
};

}  // namespace memento::testing
