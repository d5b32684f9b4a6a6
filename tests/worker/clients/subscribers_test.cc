// Who subscribes to what: in one worker, and what two workers know of each other.
#include "worker/clients/subscribers.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace memento {
namespace {

using enum SubscriptionKind;
using Subscribed = Subscribers::Subscribed;

class SubscribersTest : public ::testing::Test {
 protected:
  SubscribersTest() { segment_->header().process_count = 3; }

  static std::vector<std::string> patterns_for(const Subscribers& subscribers, std::string_view channel) {
    std::vector<std::string> found;
    subscribers.for_each_pattern(
        channel, [&](const std::string& pattern, const Subscribers::Audience&) { found.push_back(pattern); });
    std::ranges::sort(found);
    return found;
  }

  std::unique_ptr<Segment> segment_ =
      std::move(*Segment::create_anonymous({"", 64 << 20, 2, 1 << 20, false}));
  Keyspace keyspace_{*segment_, 1};
  Subscribers own_{*segment_, keyspace_, 1};
  Subscribers other_{*segment_, keyspace_, 2};
  ClientState client_;
  ClientState second_;
};

// Shows that client and audience know of each other, once for each name, until the client leaves.
TEST_F(SubscribersTest, AudiencesAndClientsAgree) {
  EXPECT_TRUE(own_.empty());
  EXPECT_EQ(own_.add(client_, kChannel, "news"), Subscribed::kNew);
  EXPECT_EQ(own_.add(client_, kChannel, "news"), Subscribed::kAlready);
  EXPECT_EQ(own_.add(second_, kChannel, "news"), Subscribed::kNew);
  EXPECT_EQ(own_.add(client_, kShardChannel, "news"), Subscribed::kNew) << "another kind of name";
  ASSERT_NE(own_.find(kChannel, "news"), nullptr);
  EXPECT_EQ(own_.find(kChannel, "news")->clients, (std::vector<ClientState*>{&client_, &second_}));
  EXPECT_EQ(client_.subscription_count(kChannel), 1u);
  EXPECT_EQ(own_.find(kChannel, "new"), nullptr);

  EXPECT_TRUE(own_.remove(client_, kChannel, "news"));
  EXPECT_FALSE(own_.remove(client_, kChannel, "news"));
  EXPECT_FALSE(own_.remove(client_, kPattern, "news"));
  EXPECT_EQ(own_.find(kChannel, "news")->clients, std::vector<ClientState*>{&second_});
  EXPECT_TRUE(own_.remove(second_, kChannel, "news"));
  EXPECT_EQ(own_.find(kChannel, "news"), nullptr) << "no audience is empty";
  EXPECT_EQ(second_.subscriptions, nullptr);
  EXPECT_FALSE(own_.empty());
  EXPECT_TRUE(own_.remove(client_, kShardChannel, "news"));
  EXPECT_TRUE(own_.empty());
  EXPECT_FALSE(own_.remove(client_, kShardChannel, "news"));
}

// Shows that patterns are found for the channels that they match.
TEST_F(SubscribersTest, PatternsMatchChannels) {
  own_.add(client_, kPattern, "n*");
  own_.add(client_, kPattern, "*s");
  EXPECT_EQ(patterns_for(own_, "news"), (std::vector<std::string>{"*s", "n*"}));
  EXPECT_EQ(patterns_for(own_, "sports"), std::vector<std::string>{"*s"});
  EXPECT_EQ(patterns_for(own_, "x"), std::vector<std::string>{});
  own_.remove(client_, kPattern, "*s");
  EXPECT_EQ(patterns_for(own_, "news"), std::vector<std::string>{"n*"});
}

// Shows what the other worker sees: how many receive a message, patterns too, and that it sees who leaves.
TEST_F(SubscribersTest, WorkersCountEachOthersClients) {
  EXPECT_EQ(other_.others(kChannel, "news").count, 0u);
  own_.add(client_, kChannel, "news");
  own_.add(second_, kChannel, "news");
  own_.add(second_, kPattern, "n*");
  Subscribers::Receivers receivers = other_.others(kChannel, "news");
  EXPECT_EQ(receivers.count, 3u);
  EXPECT_TRUE(receivers.processes.test(1));
  EXPECT_EQ(receivers.processes.count(), 1u);
  EXPECT_EQ(own_.others(kChannel, "news").count, 0u) << "its own are not others";
  EXPECT_EQ(other_.others(kShardChannel, "news").count, 0u) << "patterns are of channels";
  EXPECT_EQ(other_.others(kChannel, "sports").count, 0u) << "the pattern does not match";
  own_.remove(second_, kPattern, "n*");
  own_.remove(second_, kChannel, "news");
  EXPECT_EQ(other_.others(kChannel, "news").count, 1u);

  other_.add(second_, kChannel, "news");
  other_.add(second_, kChannel, "sports");
  EXPECT_EQ(own_.subscriptions(kChannel), (std::map<std::string, std::uint64_t>{{"news", 2}, {"sports", 1}}));
  EXPECT_EQ(other_.count(kChannel, "news"), 2u);
  EXPECT_EQ(other_.count(kChannel, "none"), 0u);
}

// Shows that a worker's bit says whether some client of its watches a key, and that only those are named who
// watch this one.
TEST_F(SubscribersTest, WatchersOfKeys) {
  const auto bits = [&] { return segment_->header().key_watchers[0].load(); };
  EXPECT_EQ(bits(), 0u);
  own_.add(client_, kKey, "a");
  own_.add(client_, kKey, "b");
  other_.add(second_, kKey, "b");
  EXPECT_EQ(bits(), 0b110u);
  EXPECT_EQ(own_.watchers_of("a").to_ulong(), 0b010u);
  EXPECT_EQ(own_.watchers_of("b").to_ulong(), 0b110u);
  EXPECT_EQ(own_.watchers_of("c").to_ulong(), 0u);
  own_.remove(client_, kKey, "a");
  EXPECT_EQ(bits(), 0b110u) << "it watches another";
  own_.remove(client_, kKey, "b");
  EXPECT_EQ(bits(), 0b100u);
}

// Shows that a key's audience begins with the version that the key's slot has then.
TEST_F(SubscribersTest, AKeysAudienceBeginsNow) {
  const HashedKey key = keyspace_.hash("k");
  ASSERT_EQ(keyspace_.set(key, "1"), WriteStatus::kDone);
  own_.add(client_, kKey, "k");
  EXPECT_EQ(own_.find(kKey, "k")->version, keyspace_.watch_version(key));
  ASSERT_EQ(keyspace_.set(key, "2"), WriteStatus::kDone);
  EXPECT_NE(own_.find(kKey, "k")->version, keyspace_.watch_version(key));
}

// Shows that a name for which the table has no room is refused, and leaves nothing behind.
TEST_F(SubscribersTest, NoRoomLeavesNothing) {
  const std::string end(kSubscriptionNameLimitBytes - 8, 'x');
  std::size_t count = 0;
  const auto name = [&] { return std::to_string(10'000'000 + count) + end; };
  while (own_.add(client_, kChannel, name()) == Subscribed::kNew) ++count;
  EXPECT_GT(count, 100u);
  EXPECT_EQ(own_.find(kChannel, name()), nullptr);
  EXPECT_EQ(client_.subscription_count(kChannel), count);
  EXPECT_EQ(own_.add(second_, kChannel, name()), Subscribed::kNoRoom);
  EXPECT_EQ(second_.subscriptions, nullptr);
}

}  // namespace
}  // namespace memento
