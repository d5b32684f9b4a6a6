// The load's rules as pure code: the open loop's schedule, the queue of bursts, and what verification
// accepts.
#include "benchmark/load.h"

#include <gtest/gtest.h>

#include <set>

#include "benchmark/burst_queue.h"
#include "benchmark/schedule.h"
#include "benchmark/value_text.h"
#include "benchmark/verifier.h"

namespace memento {
namespace {

// Shows that the threads' arrivals together are evenly spaced, none twice, none left out, whatever the rate.
TEST(Schedule, ThreadsShareEvenArrivals) {
  for (const double rate : {1.0, 3.0, 1000.0, 333'333.0, 5e6}) {
    for (const std::size_t thread_count : {1U, 2U, 3U}) {
      for (std::uint64_t arrival = 0; arrival < 3000; ++arrival) {
        const Schedule schedule(1'000'000, rate, arrival % thread_count, thread_count);
        const double expected = 1e6 + static_cast<double>(arrival) * 1e9 / rate;
        EXPECT_NEAR(static_cast<double>(schedule.due_ns(arrival / thread_count)), expected, 1.0);
      }
    }
  }
}

// Shows that a day at a high rate does not drift: arrival rate * 86400 is due after 86400 s.
TEST(Schedule, DoesNotDrift) {
  const Schedule schedule(0, 1e6, 0, 1);
  EXPECT_EQ(schedule.due_ns(86'400ULL * 1'000'000), 86'400LL * 1'000'000'000);
}

// Shows first in, first out over many turns of the ring, and the limit.
TEST(BurstQueue, KeepsOrder) {
  BurstQueue queue(3);
  std::int64_t pushed = 0;
  std::int64_t popped = 0;
  for (int turn = 0; turn < 20; ++turn) {
    while (!queue.is_full()) queue.push(Burst{pushed++, 0, 1, true});
    EXPECT_EQ(pushed - popped, 3);
    for (int count = 0; count < 1 + turn % 3; ++count) {
      EXPECT_EQ(queue.front().due_ns, popped++);
      queue.pop();
    }
  }
  while (!queue.is_empty()) {
    EXPECT_EQ(queue.front().due_ns, popped++);
    queue.pop();
  }
  EXPECT_EQ(popped, pushed);
}

class VerifierTest : public ::testing::Test {
 protected:
  static WorkloadPlan plan() {
    WorkloadPlan plan;
    plan.key_count = 1;
    plan.request_count = 64;
    plan.is_verifiable = true;
    return plan;
  }
  std::size_t first(RequestKind kind, std::size_t from = 0) const {
    while (workload_.info(from, 0).kind != kind) ++from;
    return from;
  }
  std::string value_of(std::uint32_t sequence) const {
    std::string value;
    append_value(value, 0, sequence, 32);
    return value;
  }
  Workload workload_{plan()};
  ExpectedValues expected_{1};
};

// Shows that before the first write anything derived goes, a miss too, and after it only the last value
// written.
TEST_F(VerifierTest, AcceptsTheLastValueOnly) {
  Verifier verifier(workload_, expected_, false);
  const std::size_t get = first(RequestKind::kGet);
  verifier.check(get, 0, {ReplyKind::kNil, ""});
  verifier.check(get, 0, {ReplyKind::kValue, value_of(99)});
  EXPECT_EQ(verifier.mismatch_count(), 0U);
  verifier.check(get, 0, {ReplyKind::kValue, "valueone"});
  EXPECT_EQ(verifier.mismatch_count(), 1U);

  const std::size_t set = first(RequestKind::kSet);
  const std::string written = value_of(workload_.info(set, 3).sequence);
  verifier.check(set, 3, {ReplyKind::kStatus, "OK"});
  verifier.check(get, 3, {ReplyKind::kValue, written});
  EXPECT_EQ(verifier.mismatch_count(), 1U);
  verifier.check(get, 3, {ReplyKind::kValue, value_of(99)});
  verifier.check(get, 3, {ReplyKind::kNil, ""});
  EXPECT_EQ(verifier.mismatch_count(), 3U);
  verifier.check(set, 3, {ReplyKind::kValue, "1"});
  EXPECT_EQ(verifier.mismatch_count(), 4U);
  EXPECT_TRUE(verifier.first_mismatch().starts_with("key:000000000000: no value of this key: \"valueone\""));
}

// Shows that an error makes no mismatch of itself, that a refused SET leaves the key unknown, and that with
// an expiry a value may be gone.
TEST_F(VerifierTest, ErrorsAndExpiry) {
  Verifier verifier(workload_, expected_, false);
  const std::size_t get = first(RequestKind::kGet);
  const std::size_t set = first(RequestKind::kSet);
  verifier.check(set, 0, {ReplyKind::kStatus, "OK"});
  verifier.check(get, 0, {ReplyKind::kError, "(error) busy"});
  verifier.check(set, 0, {ReplyKind::kError, "(Out of memory)"});
  verifier.check(get, 0, {ReplyKind::kNil, ""});
  EXPECT_EQ(verifier.mismatch_count(), 0U);
  Verifier with_expiry(workload_, expected_, true);
  with_expiry.check(set, 0, {ReplyKind::kStatus, "OK"});
  with_expiry.check(get, 0, {ReplyKind::kNil, ""});
  EXPECT_EQ(with_expiry.mismatch_count(), 0U);
}

}  // namespace
}  // namespace memento
