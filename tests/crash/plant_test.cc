// The crash tests are tested: built with MEMENTO_PLANT, the keyspace makes one known mistake at a time, and
// each must be found by the scenario named beside it. With no mistake the same scenarios find nothing. Every
// plant has a process of its own: a mistake may well end in an assertion, a fault or a loop, which counts as
// found.
#include "shm/commit/plant.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/crash/scenario.h"

namespace memento::crash {
namespace {

constexpr unsigned kLoopLimitS = 120;

struct Planting {
  Plant plant;
  const char* name;
  const char* scenario;
};

constexpr Planting kPlantings[] = {
    {Plant::kUnlockBeforeClear, "UnlockBeforeClear", "set"},
    {Plant::kStoreOutsideList, "StoreOutsideList", "set"},
    {Plant::kRefillInTwoSteps, "RefillInTwoSteps", "set"},
    {Plant::kExchangeOutsideList, "ExchangeOutsideList", "set"},
    {Plant::kForgottenOldBlock, "ForgottenOldBlock", "set"},
    {Plant::kCounterAfterCommit, "CounterAfterCommit", "set"},
    {Plant::kShortCommit, "ShortCommit", "set"},
    {Plant::kLockNotPending, "LockNotPending", "set"},
    {Plant::kUnlockNotPending, "UnlockNotPending", "set"},
    {Plant::kHolderBeforeRepair, "HolderBeforeRepair", "set"},
    {Plant::kWithdrawBeforeApply, "WithdrawBeforeApply", "set"},
    {Plant::kReapWithoutRepair, "ReapWithoutRepair", "set"},
    {Plant::kValueInPlace, "ValueInPlace", "in place"},
    {Plant::kShortCommit, "ShortCommitInPlace", "in place"},
    {Plant::kUnlockBeforeClear, "UnlockBeforeClearInPlace", "in place"},
    {Plant::kStoreOutsideList, "StoreOutsideListInPlace", "in place"},
    {Plant::kExchangeOutsideList, "ExchangeOutsideListInPlace", "in place"},
    {Plant::kCounterAfterCommit, "CounterAfterCommitInPlace", "in place"},
    {Plant::kSightingBelieved, "SightingBelieved", "seen, then its table rebuilt"},
    {Plant::kPinIgnored, "PinIgnored", "pinned run"},
    {Plant::kFlushByList, "FlushByList", "flush"},
    {Plant::kMoveWithoutVersion, "MoveWithoutVersion", "compaction of blocks"},
    {Plant::kEvacuatedForgotten, "EvacuatedForgotten", "compaction of blocks"},
    {Plant::kTargetNotTaken, "TargetNotTaken", "compaction of blocks"},
    {Plant::kDrainingRecordedLate, "DrainingRecordedLate", "compaction of blocks"},
    {Plant::kDrainingLeft, "DrainingLeft", "compaction of blocks"},
    {Plant::kGhostsNotPublished, "GhostsNotPublished", "eviction switched on"},
    {Plant::kChangeCountedLate, "ChangeCountedLate", "watched"},
    {Plant::kPatchOfPinned, "PatchOfPinned", "long value, pinned"},
    {Plant::kPatchOutsideList, "PatchOutsideList", "long value"},
    {Plant::kLengthBeforeBytes, "LengthBeforeBytes", "long value"},
    {Plant::kRingOverwritten, "RingOverwritten", "journal: full"},
    {Plant::kTailBeforeCommit, "TailBeforeCommit", "journal: set"},
    {Plant::kRecordBehindCommit, "RecordBehindCommit", "journal: set"},
    {Plant::kPositionNotStaged, "PositionNotStaged", "journal: set"},
    {Plant::kSwapNotedLate, "SwapNotedLate", "databases swapped"},
};
constexpr bool is_planted(Plant plant) {
  return std::ranges::find(kPlantings, plant, &Planting::plant) != std::end(kPlantings);
}
static_assert([] {
  for (int i = 1; i < static_cast<int>(Plant::kCount); ++i) {
    if (!is_planted(static_cast<Plant>(i))) return false;
  }
  return true;
}());

std::vector<std::string> failures_of(const std::string& name) {
  for (const Scenario& scenario : all_scenarios()) {
    if (scenario.name == name) return run_scenario(scenario, Sampling{}).failures;
  }
  return {"no such scenario"};
}

class CrashPlants : public testing::TestWithParam<Planting> {};

TEST_P(CrashPlants, IsFound) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(kLoopLimitS);
    active_plant = GetParam().plant;
    const auto failures = failures_of(GetParam().scenario);
    if (!failures.empty()) std::printf("  found: %s\n", failures.front().c_str());
    std::fflush(stdout);
    _exit(failures.empty() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) std::printf("  found: ended by signal %d\n", WTERMSIG(status));
  EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "not found";
}

INSTANTIATE_TEST_SUITE_P(Each, CrashPlants, testing::ValuesIn(kPlantings),
                         [](const auto& instance) { return instance.param.name; });

TEST(CrashPlantsNone, NothingIsFound) {
  for (const char* name : {"set", "in place", "seen", "seen, then its table rebuilt", "pinned run", "flush",
                           "compaction of blocks", "eviction switched on", "watched", "long value, pinned",
                           "long value", "journal: set", "journal: full"}) {
    for (const std::string& failure : failures_of(name)) ADD_FAILURE() << failure;
  }
}

}  // namespace
}  // namespace memento::crash
