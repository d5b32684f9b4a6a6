// FailingAllocations: while it lives, allocations of this thread by `new` fail, but the first ones: want of
// memory at a chosen place. Who goes through all places counts up from 0 until has_failed() is false.
// Runs in the tests, which have a `new` of their own for it.
#pragma once

#include <cstdint>

namespace memento::testing {

class FailingAllocations {
 public:
  explicit FailingAllocations(std::uint64_t allowed_count);
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;

  bool has_failed() const;
};

}  // namespace memento::testing
