// The simulator on the rules as they are: nothing is found in some hours of each schedule, the same seed is
// the same run, and what is found is made smaller. That it finds mistakes is shown by
// simulator_plant_test.cc.
#include <gtest/gtest.h>

#include "tests/simulator/shrink.h"

namespace memento::simulator {
namespace {

constexpr std::uint64_t kSeeds = 1100;  // some seventy of each schedule
constexpr std::uint64_t kSeedsTwice = 55;
constexpr std::uint64_t kSeedsEach = 5;

// Shows some 36 simulated hours without a broken invariant, at whose ends every cluster lives. The seeds are
// always the same; make simulate tries others.
TEST(Simulator, NothingIsFound) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    RunOptions options;
    options.seed = seed;
    options.schedule = schedule_of(seed);
    options.trace_kept = 200;
    const RunResult result = run(options);
    ASSERT_EQ(result.verdict, Verdict::kFine)
        << "seed " << seed << " (" << schedules()[options.schedule].name << "): " << result.finding << "\n"
        << result.trace;
  }
}

// Shows that a seed gives the same events each time: what is found can be looked at again.
TEST(Simulator, SameSeedSameRun) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= kSeedsTwice; ++seed) {
    RunOptions options;
    options.seed = seed;
    options.schedule = schedule_of(seed);
    const RunResult result = run(options);
    ASSERT_EQ(run(options).trace_hash, result.trace_hash) << seed;
    hashes.insert(result.trace_hash);
  }
  EXPECT_EQ(hashes.size(), kSeedsTwice);
}

// Shows that a run has what it is for: elections, documents, faults of every schedule.
TEST(Simulator, SomethingHappens) {
  for (std::size_t schedule = 0; schedule < schedules().size(); ++schedule) {
    std::uint64_t elections = 0;
    std::uint64_t documents = 0;
    std::uint64_t faults = 0;
    for (std::uint64_t seed = 1; seed <= kSeedsEach; ++seed) {
      RunOptions options;
      options.seed = seed;
      options.schedule = schedule;
      const RunResult result = run(options);
      elections += result.elections;
      documents += result.documents;
      faults += result.faults;
    }
    EXPECT_GE(elections, kSeedsEach) << schedules()[schedule].name;
    EXPECT_GT(documents, 10U) << schedules()[schedule].name;
    EXPECT_GT(faults, kSeedsEach) << schedules()[schedule].name;
  }
}

}  // namespace
}  // namespace memento::simulator
