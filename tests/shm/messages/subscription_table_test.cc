// The table of subscriptions as its owner writes it and another process reads it.
#include "shm/messages/subscription_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>

namespace memento::testing {
namespace {

using Kind = SubscriptionKind;

class SubscriptionTableTest : public ::testing::Test {
 protected:
  SubscriptionTableTest()
      : segment_(std::move(*Segment::create_anonymous({"", 16 << 20, 2}))), table_(*segment_, 1) {}

  std::uint32_t count(Kind kind, std::string_view name) {
    return count_subscribers(*segment_, 1, kind, name);
  }
  std::map<std::string, std::uint32_t> all(Kind kind) {
    std::map<std::string, std::uint32_t> found;
    for (const SubscriptionCount& one : list_subscriptions(*segment_, 1, kind))
      EXPECT_TRUE(found.emplace(one.name, one.subscribers).second) << one.name << " stands twice";
    return found;
  }
  std::uint64_t word() { return segment_->process(1).mailbox.table.load(); }

  std::unique_ptr<Segment> segment_;
  SubscriptionTable table_;
};

// Shows that kinds are apart: the same name counts once in each, and a count of 0 takes it out of the list.
TEST_F(SubscriptionTableTest, CountsEachKindApart) {
  for (const Kind kind : kSubscriptionKinds)
    EXPECT_TRUE(table_.set_count(kind, "news", 3 + static_cast<std::uint32_t>(kind)));
  EXPECT_EQ(count(Kind::kChannel, "news"), 3u);
  EXPECT_EQ(count(Kind::kShardChannel, "news"), 6u);
  EXPECT_EQ(all(Kind::kPattern), (std::map<std::string, std::uint32_t>{{"news", 4}}));
  EXPECT_TRUE(table_.set_count(Kind::kKey, "news", 0));
  EXPECT_EQ(count(Kind::kKey, "news"), 0u);
  EXPECT_TRUE(all(Kind::kKey).empty());
  EXPECT_EQ(count(Kind::kChannel, "new"), 0u);
  EXPECT_EQ(count(Kind::kChannel, ""), 0u);
}

// Shows that taking away what was never there makes no table: a process without subscribers needs no memory.
TEST_F(SubscriptionTableTest, NeedsNothingForNothing) {
  EXPECT_TRUE(table_.set_count(Kind::kChannel, "news", 0));
  EXPECT_EQ(word(), 0u);
  EXPECT_EQ(count(Kind::kChannel, "news"), 0u);
}

// Shows against a map, through many names that come and go, that the table is built anew when it is full, and
// that every count is as it was last set.
TEST_F(SubscriptionTableTest, GrowsAndForgetsAsNamesComeAndGo) {
  std::mt19937_64 random(11);
  std::map<std::string, std::uint32_t> expected;
  std::uint64_t rebuilds = 0;
  std::uint64_t last_word = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string name = "channel " + std::to_string(random() % 6000);
    const auto subscribers = static_cast<std::uint32_t>(random() % 3);
    ASSERT_TRUE(table_.set_count(Kind::kChannel, name, subscribers));
    if (subscribers == 0)
      expected.erase(name);
    else
      expected[name] = subscribers;
    rebuilds += word() != last_word;
    last_word = word();
  }
  EXPECT_GT(rebuilds, 3u);
  EXPECT_EQ(all(Kind::kChannel), expected);
  for (const auto& [name, subscribers] : expected) ASSERT_EQ(count(Kind::kChannel, name), subscribers);
}

// Shows that readers who keep what patterns they know by the version are told of each change of a pattern,
// and of none of a channel's.
TEST_F(SubscriptionTableTest, PatternsHaveAVersion) {
  const auto version = [&] { return segment_->process(1).mailbox.pattern_version.load(); };
  ASSERT_TRUE(table_.set_count(Kind::kPattern, "n*", 1));
  const std::uint64_t before = version();
  ASSERT_TRUE(table_.set_count(Kind::kPattern, "n*", 2));
  EXPECT_GT(version(), before);
  const std::uint64_t after = version();
  ASSERT_TRUE(table_.set_count(Kind::kChannel, "news", 1));
  EXPECT_EQ(version(), after);
  EXPECT_EQ(all(Kind::kPattern), (std::map<std::string, std::uint32_t>{{"n*", 2}}));
}

// Shows that names which fill the memory are refused, that nothing that was there is lost by that, and that
// there is room again when some are gone.
TEST_F(SubscriptionTableTest, RefusesWhatDoesNotFit) {
  const std::string filler(kSubscriptionNameLimitBytes - 8, 'x');
  std::uint32_t fitting = 0;
  while (fitting < 1000 && table_.set_count(Kind::kChannel, filler + std::to_string(fitting), 1)) ++fitting;
  ASSERT_GT(fitting, 100u);
  ASSERT_LT(fitting, 1000u);
  EXPECT_EQ(all(Kind::kChannel).size(), fitting);
  for (std::uint32_t i = 0; i < fitting / 2; ++i)
    ASSERT_TRUE(table_.set_count(Kind::kChannel, filler + std::to_string(i), 0));
  EXPECT_TRUE(table_.set_count(Kind::kChannel, filler + "late", 1));
  EXPECT_EQ(all(Kind::kChannel).size(), fitting - fitting / 2 + 1);
}

// Shows that a successor in the record begins empty, and that its table is never taken for its predecessor's.
TEST_F(SubscriptionTableTest, ASuccessorBeginsEmpty) {
  ASSERT_TRUE(table_.set_count(Kind::kChannel, "news", 1));
  const std::uint64_t before = word();
  SubscriptionTable successor(*segment_, 1);
  EXPECT_EQ(count(Kind::kChannel, "news"), 0u);
  ASSERT_TRUE(successor.set_count(Kind::kChannel, "other", 2));
  EXPECT_NE(word(), before);
  EXPECT_EQ(all(Kind::kChannel), (std::map<std::string, std::uint32_t>{{"other", 2}}));
}

}  // namespace
}  // namespace memento::testing
