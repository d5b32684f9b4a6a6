// The proof by enumeration: every operation of the keyspace is executed instruction by instruction, and at
// every distinct state of the shared memory the process is taken to have been killed (aftermath.h says what
// follows). `make crash-test` runs far more of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "tests/crash/scenario.h"

namespace memento::crash {
namespace {

unsigned long long print(std::uint64_t number) { return number; }

// All scenarios over all processors; what failed becomes the test's failures.
Totals run_all(const std::vector<Scenario>& scenarios, bool thin_copies) {
  Totals totals;
  std::mutex mutex;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i; (i = next.fetch_add(1)) < scenarios.size();) {
      const std::int64_t begin_ns = monotonic_time_ns();
      const ScenarioResult result = run_scenario(scenarios[i], thin_copies);
      const std::lock_guard<std::mutex> guard(mutex);
      totals.add(result.totals);
      for (const std::string& failure : result.failures) ADD_FAILURE() << failure;
      std::printf("  %-26s %8llu instructions %6llu states %6lld ms\n", scenarios[i].name.c_str(),
                  print(result.totals.instructions), print(result.totals.states),
                  static_cast<long long>((monotonic_time_ns() - begin_ns) / 1'000'000));
      std::fflush(stdout);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  std::printf(
      "%llu instructions stepped, %llu distinct states, %llu explored by %llu recoveries; "
      "%llu helpers died in %llu instructions\n",
      print(totals.instructions), print(totals.states), print(totals.explored), print(totals.recoveries),
      print(totals.dead_helpers), print(totals.helper_instructions));
  return totals;
}

// MEMENTO_CRASH_SEEDS: how many random histories; when set, no state is left out.
std::uint64_t wanted_seeds() {
  const char* seeds = std::getenv("MEMENTO_CRASH_SEEDS");
  return seeds != nullptr ? std::strtoull(seeds, nullptr, 10) : 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCanDieAnywhere =
    false;  // a sanitizer's runtime is in the middle of something, or keeps shadows
#else
constexpr bool kCanDieAnywhere = true;
#endif

TEST(CrashEnumeration, EveryOperation) {
  if (!kCanDieAnywhere) GTEST_SKIP() << "not under a sanitizer";
  const Totals totals = run_all(all_scenarios(), wanted_seeds() == 0);
  EXPECT_GT(totals.instructions, 500'000u);
}

TEST(CrashEnumeration, RandomHistories) {
  if (!kCanDieAnywhere) GTEST_SKIP() << "not under a sanitizer";
  std::vector<Scenario> scenarios;
  for (std::uint64_t seed = 1; seed <= std::max<std::uint64_t>(2, wanted_seeds()); ++seed) {
    scenarios.push_back(random_scenario(seed, 30));
  }
  run_all(scenarios, wanted_seeds() == 0);
}

}  // namespace
}  // namespace memento::crash
