// See failing_allocations.h.
#include "tests/worker/failing_allocations.h"

#include <cassert>
#include <cstdlib>
#include <new>

namespace {

constexpr std::uint64_t kAll = ~0ull;
thread_local std::uint64_t left = kAll;  // that do not fail
thread_local bool failed = false;

}  // namespace

void* operator new(std::size_t bytes) {
  if (left == 0) {
    failed = true;
    throw std::bad_alloc();
  }
  if (left != kAll) --left;
  void* const memory = std::malloc(bytes > 0 ? bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace memento::testing {

FailingAllocations::FailingAllocations(std::uint64_t allowed_count) {
  assert(left == kAll);
  left = allowed_count;
  failed = false;
}
FailingAllocations::~FailingAllocations() { left = kAll; }
bool FailingAllocations::has_failed() const { return failed; }

}  // namespace memento::testing
