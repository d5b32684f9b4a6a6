// The proof by enumeration: every operation of the keyspace is executed instruction by instruction, and at
// every distinct state of the shared memory the process is taken to have been killed (aftermath.h says what
// follows). `make crash-test` runs far more of it.
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include "shm/os/clock.h"
#include "tests/crash/scenario.h"
#include "tests/crash/script_scenarios.h"

namespace memento::crash {
namespace {

unsigned long long print(std::uint64_t number) { return number; }

// All scenarios over all processors, until the time has come; what failed becomes the test's failures.
Totals run_all(const std::vector<Scenario>& scenarios, const Sampling& sampling, std::int64_t end_ns) {
  Totals totals;
  std::mutex mutex;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i; (i = next.fetch_add(1)) < scenarios.size();) {
      const std::int64_t begin_ns = monotonic_time_ns();
      if (begin_ns >= end_ns) break;
      const ScenarioResult result = run_scenario(scenarios[i], sampling);
      const std::lock_guard<std::mutex> guard(mutex);
      totals.add(result.totals);
      for (const std::string& failure : result.failures) ADD_FAILURE() << failure;
      std::printf("  %-34s %8llu instructions %6llu states %6llu explored %6lld ms\n",
                  scenarios[i].name.c_str(), print(result.totals.instructions), print(result.totals.states),
                  print(result.totals.explored),
                  static_cast<long long>((monotonic_time_ns() - begin_ns) / 1'000'000));
      std::fflush(stdout);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  return totals;
}

void print_totals(const Totals& totals) {
  std::printf(
      "%llu instructions stepped, %llu distinct states, %llu explored by %llu recoveries; "
      "%llu helpers died in %llu instructions; %llu readers stopped and went on\n",
      print(totals.instructions), print(totals.states), print(totals.explored), print(totals.recoveries),
      print(totals.dead_helpers), print(totals.helper_instructions), print(totals.slow_readers));
}

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : otherwise;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCanDieAnywhere =
    false;  // a sanitizer's runtime is in the middle of something, or keeps shadows
#else
constexpr bool kCanDieAnywhere = true;
#endif

constexpr std::int64_t kNoEnd = INT64_MAX;

std::vector<Scenario> scenarios_and_scripts() {
  std::vector<Scenario> scenarios = all_scenarios();
  for (Scenario& scenario : scenarios_of_scripts()) scenarios.push_back(std::move(scenario));
  return scenarios;
}

// MEMENTO_CRASH_ONLY: scenarios whose name contains it.
TEST(CrashEnumeration, EveryOperation) {
  if (!kCanDieAnywhere) GTEST_SKIP() << "not under a sanitizer";
  std::vector<Scenario> scenarios = scenarios_and_scripts();
  const char* only = std::getenv("MEMENTO_CRASH_ONLY");
  if (only != nullptr) {
    std::erase_if(scenarios, [&](const Scenario& one) { return one.name.find(only) == std::string::npos; });
  } else {
    std::erase_if(scenarios, [](const Scenario& one) {
      if (one.only_when_long) std::printf("  left to `make crash-test`: %s\n", one.name.c_str());
      return one.only_when_long;
    });
  }
  const Totals totals = run_all(scenarios, Sampling{}, kNoEnd);
  print_totals(totals);
  if (only == nullptr) {
    EXPECT_GT(totals.instructions, 500'000u);
  }
}

TEST(CrashEnumeration, RandomHistories) {
  if (!kCanDieAnywhere) GTEST_SKIP() << "not under a sanitizer";
  std::vector<Scenario> scenarios;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) scenarios.push_back(random_scenario(seed, 12));
  print_totals(run_all(scenarios, Sampling{}, kNoEnd));
}

// A worker that began in a dead one's record met the dead one's lock, and died while it repaired that very
// record: the master's repair comes to an end. A process of its own, for without an end it would not.
TEST(CrashRepair, OfARecordWhoseSuccessorDiedRepairingIt) {
  constexpr unsigned kLimitS = 60;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(kLimitS);
    SegmentOptions options;
    options.worker_count = kWorkerCount;
    auto segment = Segment::create_anonymous(options);
    if (!segment) _exit(1);
    (*segment)->recover_process(kVictim);  // whose successor then dies
    ProcessRecord& record = (*segment)->process(kVictim);
    record.repair.word.store(FUTEX_OWNER_DIED);
    record.repair.holder.store((kVictim + 1) | record.incarnation.load() << 8);
    (*segment)->recover_process(kVictim);
    _exit(record.repair.word.load() == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// In rounds, each with another seed, which it prints: all scenarios, then random histories. What is sampled
// only is so more densely, and after each state several helpers die. MEMENTO_CRASH_SEED repeats a round.
TEST(CrashLong, RoundsWithOtherSeeds) {
  const std::uint64_t duration_s = number_from_environment("MEMENTO_CRASH_DURATION_S", 0);
  if (duration_s == 0) GTEST_SKIP() << "`make crash-test` runs it";
  constexpr std::uint64_t kHistoriesOfRound = 20;
  const std::int64_t end_ns = monotonic_time_ns() + static_cast<std::int64_t>(duration_s) * 1'000'000'000;
  Totals totals;
  std::uint64_t seed = number_from_environment("MEMENTO_CRASH_SEED", std::random_device{}());
  for (; monotonic_time_ns() < end_ns && !HasFailure(); ++seed) {
    std::printf("seed %llu\n", print(seed));
    std::vector<Scenario> scenarios = scenarios_and_scripts();
    for (std::uint64_t i = 0; i < kHistoriesOfRound; ++i) {
      scenarios.push_back(random_scenario(seed * kHistoriesOfRound + i, 30));
    }
    totals.add(run_all(scenarios, Sampling{seed, 8, 3}, end_ns));
  }
  print_totals(totals);
}

}  // namespace
}  // namespace memento::crash
