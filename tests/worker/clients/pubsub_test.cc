// Messages between clients of one worker and of two: each worker here is a hub and a keyspace on the same
// segment.
#include <thread>

#include "tests/shm/messages/no_mailbox_memory.h"
#include "tests/worker/session/session_fixture.h"
#include "worker/clients/message_hub.h"
#include "worker/text/words.h"

namespace memento::testing {
namespace {

using PubSubTest = TwoWorkersTest;

// Shows the confirmations and messages in RESP2, and what may be asked meanwhile.
TEST_F(PubSubTest, SubscribedMode) {
  Conversation client(*context_);
  EXPECT_EQ(client.ask("SUBSCRIBE a b"), pushed({"subscribe", "a", ":1"}) + pushed({"subscribe", "b", ":2"}));
  EXPECT_EQ(client.ask("PSUBSCRIBE a*"), pushed({"psubscribe", "a*", ":3"}));
  EXPECT_EQ(client.ask("get x"),
            "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
            "allowed in this context\r\n");
  EXPECT_EQ(client.ask("PING"), pushed({"pong", ""}));
  EXPECT_EQ(client.ask("PING x"), pushed({"pong", "x"}));
  EXPECT_EQ(ask("PUBLISH a 1"), ":2\r\n");
  EXPECT_EQ(client.pushes(), pushed({"message", "a", "1"}) + pushed({"pmessage", "a*", "a", "1"}));
  EXPECT_EQ(ask("PUBSUB CHANNELS"), pushed({"a", "b"}));
  EXPECT_EQ(ask("PUBSUB NUMSUB a c"), pushed({"a", ":1", "c", ":0"}));
  EXPECT_EQ(ask("PUBSUB NUMPAT"), ":1\r\n");
  EXPECT_EQ(client.ask("UNSUBSCRIBE"),
            pushed({"unsubscribe", "a", ":2"}) + pushed({"unsubscribe", "b", ":1"}));
  EXPECT_EQ(client.ask("PUNSUBSCRIBE a* none"),
            pushed({"punsubscribe", "a*", ":0"}) + pushed({"punsubscribe", "none", ":0"}));
  EXPECT_EQ(client.ask("UNSUBSCRIBE"), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
  EXPECT_EQ(client.ask("GET x"), "$-1\r\n");
  client.ask("SUBSCRIBE a");
  EXPECT_EQ(client.ask("RESET"), "+RESET\r\n");
  EXPECT_EQ(ask("PUBLISH a 1"), ":0\r\n");
}

// Shows that RESP3 clients may do anything meanwhile, and that a message to oneself comes behind the reply.
TEST_F(PubSubTest, Resp3) {
  Conversation client(*context_);
  client.ask("HELLO 3");
  EXPECT_EQ(client.ask("SUBSCRIBE foo"), pushed({"subscribe", "foo", ":1"}, '>'));
  EXPECT_EQ(client.ask("PUBLISH foo x"), ":1\r\n" + pushed({"message", "foo", "x"}, '>'));
  const std::string replies =
      client.ask_all({"MULTI", "PUBLISH foo bar", "PUBLISH foo vaz", "SET k v", "EXEC"});
  EXPECT_EQ(replies, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:1\r\n+OK\r\n" +
                         pushed({"message", "foo", "bar"}, '>') + pushed({"message", "foo", "vaz"}, '>'));
}

// Shows subscribing inside EXEC: the confirmations stand in the array, one for each request, a message
// published in EXEC comes behind it and counts who subscribed before it there, and nothing of it happens when
// EXEC refuses.
TEST_F(PubSubTest, InsideExec) {
  Conversation client(*context_);
  Conversation far(*other_context_);
  far.ask("SUBSCRIBE a");
  client.ask_all({"HELLO 3", "SUBSCRIBE old", "PSUBSCRIBE o*", "MULTI", "PUBLISH a 1", "SUBSCRIBE a",
                  "PUBLISH a 2", "PSUBSCRIBE a*", "PUBLISH a 3", "UNSUBSCRIBE old", "PUBLISH old 4", "SUB k",
                  "UNSUBSCRIBE a"});
  EXPECT_EQ(client.ask("EXEC"),
            "*9\r\n:1\r\n" + pushed({"subscribe", "a", ":3"}) + ":2\r\n" +
                pushed({"psubscribe", "a*", ":4"}) + ":3\r\n" + pushed({"unsubscribe", "old", ":3"}) +
                ":1\r\n" + pushed({"sub", "k", ":1"}) + pushed({"unsubscribe", "a", ":2"}) +
                pushed({"message", "a", "2"}, '>') + pushed({"message", "a", "3"}, '>') +
                pushed({"pmessage", "a*", "a", "3"}, '>') + pushed({"pmessage", "o*", "old", "4"}, '>'));
  EXPECT_EQ(received(far),
            pushed({"message", "a", "1"}) + pushed({"message", "a", "2"}) + pushed({"message", "a", "3"}));
  EXPECT_EQ(ask("PUBSUB CHANNELS"), pushed({"a"}));
  EXPECT_EQ(ask("PUBSUB NUMSUB a"), pushed({"a", ":1"}));
  EXPECT_EQ(ask("PUBSUB NUMPAT"), ":2\r\n");
  EXPECT_EQ(ask("SET k v"), "+OK\r\n");
  EXPECT_EQ(client.pushes(), pushed({"value", "k", "v"}, '>'));
  client.ask_all({"WATCH k", "SET k w", "MULTI", "SUBSCRIBE never"});
  EXPECT_EQ(client.ask("EXEC"), "_\r\n");
  EXPECT_EQ(ask("PUBSUB NUMSUB never"), pushed({"never", ":0"}));
  Conversation text(*context_);
  EXPECT_EQ(text.say("MULTI\nSUBSCRIBE a\nPING\nUNSUBSCRIBE a\nEXEC\n"),
            "OK\r\nQUEUED\r\nQUEUED\r\nQUEUED\r\n"
            "  subscribe\n  a\n  1\nPONG\n  unsubscribe\n  a\n  0\r\n");
}

// Shows that what EXEC would answer with more than one element, or fewer, is refused while it is queued, and
// EXEC with it: a client counts the elements.
TEST_F(PubSubTest, ManyNamesInsideMulti) {
  for (const char* line : {"SUBSCRIBE a b c", "PSUBSCRIBE a b", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUB k l",
                           "UNSUB", "SUNSUBSCRIBE"}) {
    Conversation client(*context_);
    const std::string name = lower_case(std::string_view(line).substr(0, std::string_view(line).find(' ')));
    EXPECT_EQ(client.ask_all({"MULTI", line, "SET k v", "EXEC", "PING"}),
              "+OK\r\n-ERR " + name +
                  " takes one name inside a transaction\r\n+QUEUED\r\n"
                  "-EXECABORT Transaction discarded because of previous errors.\r\n+PONG\r\n");
  }
  EXPECT_EQ(ask("PUBSUB CHANNELS"), "*0\r\n");
  EXPECT_EQ(Conversation(*context_).ask_all({"MULTI", "PUBSUB NUMSUB a b", "EXEC"}),
            "+OK\r\n+QUEUED\r\n*1\r\n" + pushed({"a", ":0", "b", ":0"}));
}

// Shows PING in RESP2 behind SUBSCRIBE in the same EXEC, and one subscription too many there: who was told
// that it subscribes, and cannot, is closed.
TEST_F(PubSubTest, SubscribedInsideExec) {
  Conversation client(*context_);
  client.ask_all({"MULTI", "PING", "SUBSCRIBE a", "PING"});
  EXPECT_EQ(client.ask("EXEC"), "*3\r\n+PONG\r\n" + pushed({"subscribe", "a", ":1"}) + pushed({"pong", ""}));
  EXPECT_EQ(client.ask("EXEC"),
            "-EXECABORT Transaction discarded because of: Can't execute 'exec': only (P|S)SUBSCRIBE / "
            "(P|S)UNSUBSCRIBE / "
            "PING / QUIT / RESET are allowed in this context\r\n");
  Conversation other(*other_context_);
  other.ask_all({"MULTI", "SUBSCRIBE a"});
  const NoMailboxMemory none;
  EXPECT_EQ(other.ask("EXEC"), "*1\r\n" + pushed({"subscribe", "a", ":1"}));
  EXPECT_TRUE(other.session().client().must_close);
}

// Shows shard channels: their messages go to their own subscribers and to no pattern, they are counted for
// themselves, and SSUBSCRIBE is refused inside EXEC, as in Redis.
TEST_F(PubSubTest, ShardChannels) {
  Conversation subscriber(*other_context_);
  Conversation publisher(*context_);
  EXPECT_EQ(subscriber.ask("SSUBSCRIBE s t"),
            pushed({"ssubscribe", "s", ":1"}) + pushed({"ssubscribe", "t", ":2"}));
  EXPECT_EQ(subscriber.ask("SUBSCRIBE s"), pushed({"subscribe", "s", ":1"}));
  EXPECT_EQ(subscriber.ask("PSUBSCRIBE *"), pushed({"psubscribe", "*", ":2"}));
  EXPECT_EQ(publisher.ask("SPUBLISH s one"), ":1\r\n");
  EXPECT_EQ(publisher.ask("PUBLISH s two"), ":2\r\n");
  EXPECT_EQ(publisher.ask("SPUBLISH none three"), ":0\r\n");
  EXPECT_EQ(received(subscriber), pushed({"smessage", "s", "one"}) + pushed({"message", "s", "two"}) +
                                      pushed({"pmessage", "*", "s", "two"}));
  EXPECT_EQ(publisher.ask("PUBSUB SHARDCHANNELS"), pushed({"s", "t"}));
  EXPECT_EQ(publisher.ask("PUBSUB SHARDCHANNELS t*"), pushed({"t"}));
  EXPECT_EQ(publisher.ask("PUBSUB CHANNELS"), pushed({"s"}));
  EXPECT_EQ(publisher.ask("PUBSUB SHARDNUMSUB s none"), pushed({"s", ":1", "none", ":0"}));
  EXPECT_NE(publisher.ask("INFO stats").find("pubsubshard_channels:2\r\n"), std::string::npos);
  EXPECT_EQ(publisher.ask_all({"MULTI", "SSUBSCRIBE s", "SUNSUBSCRIBE s", "SPUBLISH s four", "EXEC"}),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING "
            "client\r\n"
            "*3\r\n$12\r\nsunsubscribe\r\n$1\r\ns\r\n:0\r\n:1\r\n");
  EXPECT_EQ(received(subscriber), pushed({"smessage", "s", "four"}));
  EXPECT_EQ(subscriber.ask("SUNSUBSCRIBE"),
            pushed({"sunsubscribe", "s", ":1"}) + pushed({"sunsubscribe", "t", ":0"}));
  EXPECT_EQ(publisher.ask("SPUBLISH s five"), ":0\r\n");
  Conversation near(*context_);
  near.ask("SSUBSCRIBE s");
  EXPECT_EQ(publisher.ask("SPUBLISH s six"), ":1\r\n");
  EXPECT_EQ(near.pushes(), pushed({"smessage", "s", "six"}));
  EXPECT_EQ(
      hub_->publish(SubscriptionKind::kShardChannel, "s", std::string(MessageHub::kPushLimitBytes + 1, 'x')),
      1u);
  EXPECT_TRUE(near.session().client().must_close);
}

// Shows messages from one worker to another: counts, patterns, order, and a message larger than the ring.
TEST_F(PubSubTest, BetweenWorkers) {
  Conversation subscriber(*other_context_);
  Conversation publisher(*context_);
  subscriber.ask("SUBSCRIBE news");
  subscriber.ask("PSUBSCRIBE n?ws");
  EXPECT_EQ(publisher.ask("PUBLISH news one"), ":2\r\n");
  EXPECT_EQ(publisher.ask("PUBLISH other two"), ":0\r\n");
  EXPECT_EQ(publisher.ask("PUBLISH naws three"), ":1\r\n");
  EXPECT_EQ(received(subscriber), pushed({"message", "news", "one"}) +
                                      pushed({"pmessage", "n?ws", "news", "one"}) +
                                      pushed({"pmessage", "n?ws", "naws", "three"}));
  EXPECT_EQ(publisher.ask("PUBSUB CHANNELS n*"), pushed({"news"}));
  EXPECT_EQ(publisher.ask("PUBSUB NUMSUB news"), pushed({"news", ":1"}));
  EXPECT_EQ(publisher.ask("PUBSUB NUMPAT"), ":1\r\n");
  subscriber.ask("PUNSUBSCRIBE");
  subscriber.ask("UNSUBSCRIBE");
  EXPECT_EQ(publisher.ask("PUBLISH news four"), ":0\r\n");
}

// Shows that a large message, and many small ones, arrive whole and in order while they are sent.
TEST_F(PubSubTest, LargeAndMany) {
  Conversation subscriber(*other_context_);
  Conversation publisher(*context_);
  subscriber.ask("SUBSCRIBE news");
  const std::string large(20'000'077, 'x');
  constexpr int kMessages = 20'000;
  std::string expected = pushed({"message", "news", large});
  for (int i = 0; i < kMessages; ++i)
    expected += pushed({"message", "news", std::to_string(i) + std::string(40, '-')});
  std::string got;
  std::thread reader([&] {
    while (got.size() < expected.size()) got += received(subscriber);
  });
  EXPECT_EQ(hub_->publish(SubscriptionKind::kChannel, "news", large), 1u);
  for (int i = 0; i < kMessages; ++i)
    publisher.ask({"PUBLISH", "news", std::to_string(i) + std::string(40, '-')});
  reader.join();
  EXPECT_TRUE(got == expected);
}

// Shows that a worker that does not read does not hold its writer up: it gets what fits the ring, and when it
// is more, its subscribers are closed and the log is told.
TEST_F(PubSubTest, StoppedReader) {
  Conversation subscriber(*other_context_);
  Conversation publisher(*context_);
  subscriber.ask("SUBSCRIBE news");
  const std::string message(1 << 20, 'x');
  EXPECT_EQ(publisher.ask({"PUBLISH", "news", message}), ":1\r\n");
  EXPECT_EQ(received(subscriber), pushed({"message", "news", message}));
  for (std::uint64_t sent = 0; sent <= kRingBytes; sent += message.size())
    EXPECT_EQ(publisher.ask({"PUBLISH", "news", message}), ":1\r\n");
  EXPECT_EQ(received(subscriber), "");
  EXPECT_TRUE(subscriber.session().client().must_close);
  EXPECT_EQ(other_hub_->take_losses(),
            "1 subscribers are closed: this worker did not read in time what others sent them");
  EXPECT_EQ(other_hub_->take_losses(), "");
  Conversation next(*other_context_);
  next.ask("SUBSCRIBE news");
  EXPECT_EQ(publisher.ask("PUBLISH news again"), ":2\r\n");
  EXPECT_EQ(received(next), pushed({"message", "news", "again"}));
}

// Shows that what a dead worker's clients subscribed to is forgotten when its record is repaired.
TEST_F(PubSubTest, DeadWorkersCountsVanish) {
  Conversation subscriber(*other_context_);
  subscriber.ask("SUBSCRIBE news");
  subscriber.ask("SUB k");
  EXPECT_EQ(ask("PUBLISH news x"), ":1\r\n");
  EXPECT_TRUE(hub_->watches_keys());
  segment_->process(2).mailbox.table.store(0);  // the end of it must not need the table
  segment_->header().key_watchers[2].store(2);  // of the last process
  segment_->recover_process(2);
  EXPECT_TRUE(hub_->watches_keys());
  segment_->recover_process(129);
  EXPECT_EQ(ask("PUBLISH news x"), ":0\r\n");
  EXPECT_EQ(ask("PUBSUB CHANNELS"), "*0\r\n");
  EXPECT_FALSE(hub_->watches_keys());
  keyspace_ = nullptr;  // the repair took over this thread's list of locks
  keyspace_ = std::make_unique<Keyspace>(*segment_, 1);
}

// Shows that a worker that died between any two steps of watching a key, or of no longer watching it, leaves
// nothing: the states are those between the two words that are changed, and the repair may be done twice.
TEST_F(PubSubTest, DeathsWhileAKeyIsWatched) {
  Conversation other(*context_);
  for (const bool is_listed : {false, true}) {
    Conversation watcher(*other_context_);
    watcher.ask("SUB k");
    if (!is_listed) segment_->process(2).mailbox.table.store(0);
    if (is_listed) segment_->header().key_watchers[0].store(0);
    for (int i = 0; i < 2; ++i) {
      segment_->recover_process(2);
      EXPECT_FALSE(hub_->watches_keys());
    }
    other.ask("SUB k");
    segment_->recover_process(2);
    EXPECT_TRUE(hub_->watches_keys());
    other.ask("UNSUB k");
    EXPECT_FALSE(hub_->watches_keys());
  }
  keyspace_ = nullptr;  // the repair took over this thread's list of locks
  keyspace_ = std::make_unique<Keyspace>(*segment_, 1);
}

// Shows what a full tmpfs does: PUBLISH says so and nobody gets anything; what EXEC promised, and a watched
// value, closes those in other workers who miss it, and the log is told.
TEST_F(PubSubTest, NoMemoryForMessages) {
  Conversation far(*other_context_);
  Conversation watcher(*other_context_);
  Conversation near(*context_);
  Conversation publisher(*context_);
  far.ask("SUBSCRIBE news");
  watcher.ask("SUB k");
  near.ask("SUBSCRIBE news");
  near.pushes();
  {
    const NoMailboxMemory none;
    EXPECT_EQ(publisher.ask("PUBLISH news x"),
              "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    EXPECT_EQ(near.pushes(), "");
    EXPECT_EQ(hub_->take_losses(), "");
    EXPECT_EQ(received(far), "");
    EXPECT_FALSE(far.session().client().must_close);
    EXPECT_EQ(publisher.ask("SET k v"), "+OK\r\n");
    EXPECT_EQ(publisher.ask_all({"MULTI", "PUBLISH news y", "EXEC"}), "+OK\r\n+QUEUED\r\n*1\r\n:2\r\n");
  }
  EXPECT_EQ(near.pushes(), pushed({"message", "news", "y"}));
  EXPECT_TRUE(hub_->take_losses().starts_with("2 messages could not be sent to other workers"));
  EXPECT_EQ(received(far) + received(watcher), "");
  EXPECT_TRUE(far.session().client().must_close && watcher.session().client().must_close);
  EXPECT_FALSE(near.session().client().must_close);
}

// Shows that a message too long for any client closes those who would get it, as it does in its own worker,
// and nobody else.
TEST_F(PubSubTest, TooLongForAnyClient) {
  Conversation far(*other_context_);
  Conversation pattern(*other_context_);
  Conversation other(*other_context_);
  Conversation near(*context_);
  far.ask("SUBSCRIBE news");
  pattern.ask("PSUBSCRIBE n*");
  other.ask("SUBSCRIBE other");
  near.ask("SUBSCRIBE news");
  EXPECT_EQ(
      hub_->publish(SubscriptionKind::kChannel, "news", std::string(MessageHub::kPushLimitBytes + 1, 'x')),
      3u);
  other_hub_->serve();
  for (Conversation* client : {&far, &pattern, &near}) EXPECT_TRUE(client->session().client().must_close);
  EXPECT_FALSE(other.session().client().must_close);
  EXPECT_TRUE(
      other_hub_->take_losses().starts_with("2 subscribers are closed: a message for them was too long"));
}

// Shows that a client whose messages pile up is marked to be closed, and others are not.
TEST_F(PubSubTest, LimitOfWaitingMessages) {
  Conversation slow(*context_);
  Conversation other(*context_);
  slow.ask("SUBSCRIBE news");
  other.ask("SUBSCRIBE news");
  const std::string message(1 << 20, 'x');
  for (std::size_t i = 0; i <= MessageHub::kPushLimitBytes / message.size(); ++i) {
    hub_->publish(SubscriptionKind::kChannel, "news", message);
    other.pushes();
  }
  EXPECT_TRUE(slow.session().client().must_close);
  EXPECT_EQ(slow.pushes(), "");
  EXPECT_FALSE(other.session().client().must_close);
}

// Shows SUB: each new value, nothing for what changed nothing, nil for a removed key; from this worker and
// another.
TEST_F(PubSubTest, WatchedKeys) {
  Conversation watcher(*other_context_);
  Conversation text(*context_);
  Conversation writer(*context_);
  EXPECT_EQ(watcher.ask("SUB k l"), pushed({"sub", "k", ":1"}) + pushed({"sub", "l", ":2"}));
  EXPECT_EQ(text.say("SUB k\n"), "sub\nk\n1\r\n");
  writer.ask_all({"SET k 1", "SET k 2", "SET other 3", "SETNX k 4", "EXPIRE k 100", "INCR l", "DEL k l"});
  EXPECT_EQ(received(watcher),
            pushed({"value", "k", "1"}) + pushed({"value", "k", "2"}) + pushed({"value", "l", "1"}) +
                "*3\r\n$5\r\nvalue\r\n$1\r\nk\r\n$-1\r\n*3\r\n$5\r\nvalue\r\n$1\r\nl\r\n$-1\r\n");
  EXPECT_EQ(text.pushes(), "value\nk\n1\r\nvalue\nk\n2\r\nvalue\nk\n(null)\r\n");
  writer.ask_all({"MULTI", "SET k a", "SET k b", "EXEC"});
  EXPECT_EQ(text.pushes(), "value\nk\nb\r\n");
  EXPECT_EQ(text.say("UNSUB\nGET k\n"), "unsub\nk\n0\r\nb\r\n");
}

// Shows that the table of subscriptions grows, forgets, and begins anew, with every count right.
TEST_F(PubSubTest, ManyChannels) {
  Conversation subscriber(*other_context_);
  constexpr int kChannels = 30'000;
  const auto name = [](int i) { return "channel:" + std::to_string(i); };
  for (int i = 0; i < kChannels; ++i) subscriber.ask({"SUBSCRIBE", name(i)});
  for (int i = 0; i < kChannels; i += 2) subscriber.ask({"UNSUBSCRIBE", name(i)});
  for (int i = 0; i < kChannels; ++i) {
    ASSERT_EQ(count_subscribers(*segment_, 2, SubscriptionKind::kChannel, name(i)),
              static_cast<std::uint32_t>(i % 2))
        << i;
  }
  for (int i = 0; i < 3000; ++i) subscriber.ask({"PSUBSCRIBE", std::to_string(i) + "*"});
  EXPECT_EQ(hub_->subscriptions(SubscriptionKind::kPattern).size(), 3000u);
  EXPECT_EQ(hub_->subscriptions(SubscriptionKind::kChannel).size(), kChannels / 2u);
  EXPECT_EQ(subscriber.ask({"SUBSCRIBE", std::string(kSubscriptionNameLimitBytes + 1, 'x')}),
            "-ERR name is longer than the limit of 16384 bytes\r\n");
}

}  // namespace
}  // namespace memento::testing
