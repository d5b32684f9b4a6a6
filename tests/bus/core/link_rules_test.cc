// When a link is tried and given up, with a clock of the test's own.
#include "bus/core/link_rules.h"

#include <gtest/gtest.h>

namespace memento::bus {
namespace {

using Action = LinkRules::Action;
constexpr std::int64_t kTimeoutMs = 3000;

// Shows that pauses between attempts double up to a limit, and begin anew once the link was up.
TEST(BusLinkRules, PausesDouble) {
  LinkRules rules(kTimeoutMs, 0);
  std::int64_t now = 0;
  std::int64_t expected = LinkRules::kFirstPauseMs;
  for (int attempt = 0; attempt < 10; ++attempt) {
    ASSERT_EQ(rules.on_tick(now), Action::kConnect) << attempt;
    rules.on_closed(now);
    EXPECT_EQ(rules.on_tick(now + expected - 1), Action::kNothing);
    now += expected;
    expected = std::min(2 * expected, LinkRules::kLongestPauseMs);
  }
  ASSERT_EQ(rules.on_tick(now), Action::kConnect);
  rules.on_ready(now);
  rules.on_closed(now);
  EXPECT_EQ(rules.on_tick(now + LinkRules::kFirstPauseMs), Action::kConnect);
}

// Shows that an attempt that gets no answer is ended.
TEST(BusLinkRules, AnAttemptTakesLimitedTime) {
  LinkRules rules(kTimeoutMs, 0);
  ASSERT_EQ(rules.on_tick(0), Action::kConnect);
  EXPECT_EQ(rules.on_tick(LinkRules::kConnectMs - 1), Action::kNothing);
  EXPECT_EQ(rules.on_tick(LinkRules::kConnectMs), Action::kClose);
  EXPECT_EQ(rules.on_tick(LinkRules::kConnectMs + 1), Action::kNothing);
}

// Shows that a link on which nothing is sent gets a ping, whatever is heard; that one on which nothing is
// heard is closed when the time is up; and that a word keeps it.
TEST(BusLinkRules, SilenceEndsIt) {
  LinkRules rules(kTimeoutMs, 0);
  rules.on_tick(0);
  rules.on_ready(100);
  EXPECT_EQ(rules.on_tick(100 + LinkRules::kPingMs - 1), Action::kNothing);
  EXPECT_EQ(rules.on_tick(100 + LinkRules::kPingMs), Action::kPing);
  EXPECT_EQ(rules.on_tick(101 + LinkRules::kPingMs), Action::kNothing);
  rules.on_sent(600);
  rules.on_heard(600 + LinkRules::kPingMs);
  EXPECT_EQ(rules.on_tick(600 + LinkRules::kPingMs - 1), Action::kNothing);
  EXPECT_EQ(rules.on_tick(600 + LinkRules::kPingMs), Action::kPing);
  rules.on_heard(1000);
  EXPECT_EQ(rules.on_tick(1000 + kTimeoutMs - 1), Action::kPing);
  EXPECT_EQ(rules.on_tick(1000 + kTimeoutMs), Action::kClose);
}

// Shows that requests wait for a link that has just broken, and are refused once it has been down for long.
TEST(BusLinkRules, RequestsWaitForAWhile) {
  LinkRules rules(kTimeoutMs, 0);
  EXPECT_FALSE(rules.refuses_requests(kTimeoutMs - 1));
  EXPECT_TRUE(rules.refuses_requests(kTimeoutMs));
  rules.on_tick(0);
  rules.on_ready(5000);
  EXPECT_FALSE(rules.refuses_requests(50'000));
  rules.on_closed(60'000);
  EXPECT_FALSE(rules.refuses_requests(60'000 + kTimeoutMs - 1));
  EXPECT_EQ(rules.on_tick(61'000), Action::kConnect);
  rules.on_closed(61'500);
  EXPECT_TRUE(rules.refuses_requests(60'000 + kTimeoutMs)) << "a failed attempt does not begin the time anew";
}

}  // namespace
}  // namespace memento::bus
