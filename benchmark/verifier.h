// Verifier: knows what each key holds, as far as the replies have told, and judges the next one. Works on
// partitioned workloads: each key is written and read by one connection only, whose replies come in the order
// of its requests.
//
// Until a key was written in this run it may hold a value that another run derived, or nothing. After that it
// holds the last acknowledged one; missing is right only when values may expire.
//
// One per thread; REQUIRES: the threads' connections have different keys. The state is shared, a word a key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "benchmark/reply.h"
#include "benchmark/workload.h"

namespace memento {

/// What the keys hold, for all threads.
class ExpectedValues {
 public:
  static constexpr std::uint32_t kUnknown = 0xffffffff;

  explicit ExpectedValues(std::size_t key_count) : sequences_(key_count, kUnknown) {}
  std::uint32_t& operator[](std::size_t key) { return sequences_[key]; }

 private:
  std::vector<std::uint32_t> sequences_;
};

class Verifier {
 public:
  Verifier(const Workload& workload, ExpectedValues& expected, bool may_expire)
      : workload_(workload), expected_(expected), may_expire_(may_expire) {}

  /// Judges the reply to request `index` of the ring in its lap-th round.
  void check(std::size_t index, std::uint32_t lap, const Reply& reply);

  std::uint64_t mismatch_count() const { return mismatch_count_; }
  const std::string& first_mismatch() const { return first_mismatch_; }

 private:
  void mismatch(const RequestInfo& info, const std::string& why);

  const Workload& workload_;
  ExpectedValues& expected_;
  bool may_expire_;
  std::string scratch_;
  std::uint64_t mismatch_count_ = 0;
  std::string first_mismatch_;
};

}  // namespace memento
