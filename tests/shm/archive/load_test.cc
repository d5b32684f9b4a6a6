// Loading: what a journal on disk makes of an empty segment is what it was written from.
#include <gtest/gtest.h>

#include "tests/shm/archive/load_fixture.h"

namespace memento::testing {
namespace {

// Shows that random changes of all kinds, of several processes and databases, come back with values, times of
// creation, expiries and positions, whatever the number of loading threads.
TEST(Load, RandomChanges) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RecordedKeyspace recorded;
    RandomWriters writers(recorded.segment(), seed);
    for (int i = 0; i < 6000; ++i) {
      if (!writers.step() || i % 50 == 0) recorded.archive();
      if (HasFatalFailure()) return;
    }
    recorded.archive();
    EXPECT_GT(recorded.journal().newest_file(), 1u);
    for (const std::uint32_t thread_count : {1u, 3u}) recorded.expect_loaded(thread_count);
  }
}

// Shows that threads that share the slots are not in each other's way, in memory or in what they count.
TEST(LoadThreads, ShareTheSlots) {
  RecordedKeyspace recorded;
  RandomWriters writers(recorded.segment(), 5, 1, 1000);
  writers.set_whole_changes(false);
  for (int i = 0; i < 2000; ++i) {
    if (!writers.step()) recorded.archive();
  }
  recorded.archive();
  recorded.expect_loaded(4);
}

}  // namespace
}  // namespace memento::testing
