// Requests for which the journal has no room: they change nothing, wait, and are executed again as a whole.
#include "tests/worker/session/journalled_session.h"
#include "worker/session/brief_turns.h"

namespace memento::testing {
namespace {

const std::string kLong(2000, 'l');
const std::string kShort = "short";

class RoomWaitsTest : public JournalledSessionTest {
 protected:
  bool waits(Conversation& client) {
    return client.session().is_parked() && client.session().client().waits == ClientWait::kJournal;
  }
  /// What the client asks for finds no room, then some: the reply.
  std::string ask_twice(Conversation& client, const Words& words) {
    archive();
    fill_ring(true);
    EXPECT_EQ(client.ask(words), "");
    EXPECT_TRUE(waits(client)) << words[0];
    EXPECT_EQ(retry({&client}), std::vector<std::string>{""}) << words[0];
    EXPECT_TRUE(waits(client)) << words[0];
    archive();
    const std::vector<std::string> replies = retry({&client});
    EXPECT_EQ(replies.size(), 1u);
    EXPECT_FALSE(client.session().is_parked()) << words[0];
    return replies.empty() ? "" : replies[0];
  }
};

// Shows that of a pipeline what found room is answered, and the rest when there is room again; that reads and
// other requests go on meanwhile, and that nothing of those that wait has been done.
TEST_F(RoomWaitsTest, APipelineStopsAndGoesOn) {
  Conversation writer(*context_);
  Conversation reader(*context_);
  std::string requests;
  const int count = 100;
  for (int i = 0; i < count; ++i) requests += frame({"SET", "key" + std::to_string(i), kLong});
  requests += frame({"PING"});
  const std::string done = writer.say(requests);
  const std::size_t done_count = done.size() / 5;
  EXPECT_TRUE(waits(writer));
  EXPECT_GT(done_count, 10u);
  EXPECT_LT(done_count, 20u);
  EXPECT_EQ(reader.ask("GET key" + std::to_string(done_count - 1)), bulk(kLong));
  EXPECT_EQ(reader.ask("GET key" + std::to_string(done_count)), kNil);
  EXPECT_EQ(reader.ask("PING"), "+PONG\r\n");
  std::string later;
  for (int i = 0; i < count && !later.ends_with("+PONG\r\n"); ++i) {
    archive();
    for (const std::string& replies : retry({&writer})) later += replies;
  }
  std::string expected;
  for (std::size_t i = done_count; i < static_cast<std::size_t>(count); ++i) expected += kOk;
  EXPECT_EQ(later, expected + "+PONG\r\n");
  EXPECT_EQ(ask("DBSIZE"), ":100\r\n");
}

// Shows that short writes queue behind a long one that waits, though there is room for them, and that all go
// on in their order; reads, what is queued for EXEC, and requests that are refused do not.
TEST_F(RoomWaitsTest, ShortOnesDoNotOvertakeALongOne) {
  Conversation long_one(*context_);
  Conversation short_one(*context_);
  Conversation other(*context_);
  fill_ring(false);
  EXPECT_EQ(long_one.ask({"SET", "a", kLong}), "");
  EXPECT_EQ(short_one.ask({"SET", "a", kShort}), "");
  EXPECT_TRUE(waits(short_one));
  EXPECT_EQ(other.ask_all({"MULTI", "SET b 1"}), std::string(kOk) + "+QUEUED\r\n");
  EXPECT_EQ(other.ask("EXEC"), "");
  EXPECT_TRUE(waits(other));
  Conversation reader(*context_);
  EXPECT_EQ(reader.ask("GET a"), kNil);
  EXPECT_EQ(reader.ask("SET a"), "-ERR wrong number of arguments for 'set' command\r\n");
  EXPECT_EQ(retry({&long_one, &short_one, &other}), std::vector<std::string>{""});
  archive();
  EXPECT_EQ(retry({&long_one, &short_one, &other}),
            (std::vector<std::string>{kOk, kOk, "*1\r\n" + std::string(kOk)}));
  EXPECT_EQ(ask("GET a"), bulk(kShort));
  EXPECT_FALSE(disk().is_waiting());
}

// Shows that each kind of write waits and then does what it is to do once, with the reply it has with room.
TEST_F(RoomWaitsTest, EachKindOfWrite) {
  Conversation client(*context_);
  client.ask_all({"SET a 1", "SET b 2", "SET c 3", "SET number 41"});
  EXPECT_EQ(ask_twice(client, {"INCR", "number"}), ":42\r\n");
  EXPECT_EQ(ask_twice(client, {"DEL", "a", "nothing", "b"}), ":2\r\n");
  EXPECT_EQ(ask_twice(client, {"MSET", "a", "1", "b", "2"}), kOk);
  EXPECT_EQ(ask_twice(client, {"RENAME", "a", "d"}), kOk);
  EXPECT_EQ(ask_twice(client, {"GETSET", "b", "two"}), bulk("2"));
  EXPECT_EQ(ask_twice(client, {"EXPIRE", "b", "100"}), ":1\r\n");
  EXPECT_EQ(ask_twice(client, {"APPEND", "b", "+"}), ":4\r\n");
  EXPECT_EQ(ask_twice(client, {"EVAL",
                               "redis.call('INCR', KEYS[1]) redis.call('SET', 'e', '1') return "
                               "redis.call('GET', KEYS[1])",
                               "1", "number"}),
            bulk("43"));
  EXPECT_EQ(ask_twice(client, {"COPY", "b", "c", "DB", "1"}), ":1\r\n");
}

// Shows that EXEC keeps its queue and what was watched: it is executed as a whole, once, and not when the key
// was changed while it waited.
TEST_F(RoomWaitsTest, ATransactionIsRunAgainAsAWhole) {
  Conversation client(*context_);
  client.ask_all({"SET number 1", "WATCH number", "MULTI", "INCR number", "SELECT 1", "SET x y"});
  EXPECT_EQ(ask_twice(client, {"EXEC"}), "*3\r\n:2\r\n+OK\r\n+OK\r\n");
  EXPECT_EQ(client.ask("GET x"), bulk("y"));
  EXPECT_EQ(client.ask("SELECT 0"), kOk);
  EXPECT_EQ(client.ask("GET number"), bulk("2"));

  client.ask_all({"WATCH number", "MULTI", "INCR number"});
  archive();
  fill_ring(true);
  EXPECT_EQ(client.ask("EXEC"), "");
  archive();
  keyspace_->set(keyspace_->hash("number"), "7");
  EXPECT_EQ(retry({&client}), std::vector<std::string>{"*-1\r\n"});
  EXPECT_EQ(client.ask("GET number"), bulk("7"));
}

// Shows that a client that wants no reply to the one request, or is given the next keys to track, gets that
// for the request that waited.
TEST_F(RoomWaitsTest, WhatAClientSaidOfItsNextRequestStays) {
  Conversation client(*context_);
  EXPECT_EQ(client.ask("CLIENT REPLY SKIP"), "");
  EXPECT_EQ(ask_twice(client, {"SET", "a", "1"}), "");
  EXPECT_EQ(client.ask("PING"), "+PONG\r\n");
  EXPECT_EQ(client.ask("GET a"), bulk("1"));
}

// Shows that a request that waits, and then did what it was to do, is counted once.
TEST_F(RoomWaitsTest, CountsOnce) {
  Conversation client(*context_);
  fill_ring(true);
  EXPECT_EQ(client.say(frame({"GET", "number"}) + frame({"INCR", "number"})), kNil);
  archive();
  EXPECT_EQ(retry({&client}), std::vector<std::string>{":1\r\n"});
  ask_twice(client, {"MSETNX", "a", "1", "b", "2"});
  const std::string statistics = ask("INFO commandstats");
  EXPECT_NE(statistics.find("cmdstat_incr:calls=1,"), std::string::npos) << statistics;
  EXPECT_NE(statistics.find("cmdstat_msetnx:calls=1,"), std::string::npos);
}

// Shows that a client that is gone waits no more, and those behind it go on.
TEST_F(RoomWaitsTest, AClientThatIsGone) {
  auto gone = std::make_unique<Conversation>(*context_);
  Conversation client(*context_);
  fill_ring(true);
  gone->ask({"SET", "a", "1"});
  client.ask("SET b 1");
  gone.reset();
  archive();
  EXPECT_EQ(retry({&client}), std::vector<std::string>{kOk});
  EXPECT_EQ(ask("GET a"), kNil);
}

// Shows that brief turns stop in front of the request for which there is no room, and are not taken while
// somebody waits.
TEST_F(RoomWaitsTest, BriefTurns) {
  Conversation client(*context_);
  Conversation other(*context_);
  BriefTurns turns(*context_);
  Batch batch;
  ByteBuffer output;
  const auto turn = [&](Conversation& conversation, ByteBuffer& input) {
    conversation.session().prepare(input.view(), *keyspace_, batch);
    return turns.execute(conversation.session(), input, batch, output);
  };
  ByteBuffer input;
  ByteBuffer others;
  client.ask("PING");
  other.ask("PING");
  fill_ring(true);
  const std::string rest = frame({"SET", "alpha", "value"}) + frame({"GET", "alpha"});
  input.append(frame({"GET", "alpha"}) + rest);
  others.append(frame({"SET", "beta", "value"}));
  EXPECT_TRUE(turn(client, input));
  EXPECT_EQ(output.view(), kNil);
  EXPECT_EQ(input.view(), rest);
  EXPECT_TRUE(waits(client));
  EXPECT_FALSE(turn(other, others));
  turns.end();
  archive();
  ASSERT_EQ(disk().begin_retry(), &client.session().client());
  EXPECT_EQ(client.say(input.view()), kOk + bulk("value"));
  EXPECT_TRUE(disk().end_retry());
  output = {};
  EXPECT_TRUE(turn(other, others));
  EXPECT_EQ(output.view(), kOk);
  turns.end();
}

// Shows that a worker with somebody who waits does not sleep when the archiver has moved on, and that the
// archiver is to wake it else.
TEST_F(RoomWaitsTest, SleepsUntilTheArchiverMovesOn) {
  Conversation client(*context_);
  EXPECT_TRUE(disk().may_sleep());
  EXPECT_FALSE(disk().wants_archiver());
  fill_ring(true);
  EXPECT_TRUE(disk().wants_archiver());
  client.ask("SET a 1");
  EXPECT_TRUE(disk().take_progress());
  EXPECT_FALSE(disk().take_progress());
  EXPECT_TRUE(disk().may_sleep());
  EXPECT_EQ(ring().waits.load(), 1u);
  archive();
  EXPECT_FALSE(disk().may_sleep());
  EXPECT_TRUE(disk().take_progress());
  retry({&client});
  EXPECT_TRUE(disk().may_sleep());
  EXPECT_FALSE(disk().wants_archiver());
}

}  // namespace
}  // namespace memento::testing
