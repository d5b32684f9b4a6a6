// Turns of nothing but brief requests, of several clients one after the other: replies, statistics and the
// log of slow commands are those of Session::consume().
#include "worker/session/brief_turns.h"

#include <array>

#include "tests/worker/session/session_fixture.h"

namespace memento::testing {
namespace {

class BriefTurnsTest : public SessionTest {
 protected:
  /// A connection's part of a wake-up.
  struct Client {
    explicit Client(SessionContext& context) : conversation(context) {}
    Conversation conversation;
    ByteBuffer input;
    ByteBuffer output;
    Batch batch;
  };
  BriefTurnsTest() : SessionTest(64 << 20, 256 << 20) {
    for (auto& client : clients_) client = std::make_unique<Client>(*context_);
    one().conversation.say("ECHO -\n");
    other().conversation.ask("PING");
  }
  Client& one() { return *clients_[0]; }
  Client& other() { return *clients_[1]; }

  /// What it received, as its turn; the replies. "(refused)": it is no turn for BriefTurns.
  std::string turn(Client& client, std::string_view bytes) {
    client.input = {};
    client.input.append(bytes);
    Session& session = client.conversation.session();
    session.prepare(client.input.view(), *keyspace_, client.batch);
    client.output = {};
    if (!turns_.execute(session, client.input, client.batch, client.output)) {
      EXPECT_EQ(client.input.view(), bytes);
      return "(refused)";
    }
    EXPECT_TRUE(client.input.empty() || session.is_paused());
    return std::string(client.output.view());
  }
  std::string calls_of(const std::string& command) {
    const std::string statistics = ask("INFO commandstats");
    const std::size_t at = statistics.find("cmdstat_" + command + ":");
    if (at == std::string::npos) return "none";
    const std::size_t begin = statistics.find("calls=", at);
    return statistics.substr(begin, statistics.find(',', begin) - begin);
  }

  std::array<std::unique_ptr<Client>, 2> clients_;
  BriefTurns turns_{*context_};
};

// Shows the replies in both protocols, and that commands, errors and calls are counted exactly.
TEST_F(BriefTurnsTest, OfTwoClients) {
  const std::uint64_t commands = keyspace_->counter_sum(Counter::kCommands);
  const std::uint64_t errors = keyspace_->counter_sum(Counter::kErrors);
  const std::uint64_t hits = keyspace_->counter_sum(Counter::kHits);
  const std::uint64_t misses = keyspace_->counter_sum(Counter::kMisses);
  EXPECT_EQ(turn(one(), "SET a one\nGET a\nINCR a\n"),
            "OK\r\none\r\n(error) value is not an integer or out of range\r\n");
  EXPECT_EQ(turn(other(), frame({"GET", "a"}) + frame({"GET", "none"}) + frame({"SET", "a", "two"})),
            bulk("one") + kNil + kOk);
  EXPECT_EQ(turn(one(), "GET a\n"), "two\r\n");
  turns_.end();
  EXPECT_EQ(keyspace_->counter_sum(Counter::kCommands) - commands, 7u);
  EXPECT_EQ(keyspace_->counter_sum(Counter::kErrors) - errors, 1u);
  EXPECT_EQ(keyspace_->counter_sum(Counter::kHits) - hits, 3u);
  EXPECT_EQ(keyspace_->counter_sum(Counter::kMisses) - misses, 1u);
  EXPECT_EQ(calls_of("get"), "calls=4");
  EXPECT_EQ(calls_of("set"), "calls=2");
  EXPECT_EQ(calls_of("incr"), "calls=1");
  turns_.end();
  EXPECT_EQ(calls_of("get"), "calls=4");
}

// Shows that more turns than one run of the meter holds are all counted.
TEST_F(BriefTurnsTest, ManyInARow) {
  std::string requests;
  for (int i = 0; i < 40; ++i) requests += "GET a\n";
  for (int i = 0; i < 5; ++i) turn(one(), requests);
  turns_.end();
  EXPECT_EQ(calls_of("get"), "calls=200");
}

// Shows what is left to consume(): anything else in the input, a request that is not whole, and clients and
// times that are not as usual.
TEST_F(BriefTurnsTest, OthersAreRefused) {
  const std::string refused = "(refused)";
  EXPECT_EQ(turn(one(), "GET a\nPING\n"), refused);
  EXPECT_EQ(turn(one(), "GET a\nGET"), refused);
  EXPECT_EQ(turn(one(), "GET\n"), refused);
  EXPECT_EQ(turn(one(), ""), refused);
  EXPECT_EQ(turn(other(), frame({"MGET", "a", "b"})), refused);
  EXPECT_EQ(turn(other(), "*1\r\n$-7\r\n"), refused);
  EXPECT_EQ(other().conversation.session().is_closing(), false);
  one().conversation.say("MULTI\n");
  EXPECT_EQ(turn(one(), "GET a\n"), refused);
  one().conversation.say("DISCARD\n");
  EXPECT_EQ(turn(one(), "GET a\n"), "(null)\r\n");
  turns_.end();
  ask("CONFIG SET slowlog-log-slower-than 10");
  EXPECT_EQ(turn(one(), "GET a\n"), refused);
  turns_.end();
  ask("CONFIG SET slowlog-log-slower-than 10000");
  const TimeMs now_ms = monotonic_time_ns() / 1'000'000;
  hub_->pause().begin(now_ms + 100'000, true, now_ms);
  EXPECT_EQ(turn(one(), "GET a\n"), refused);
  hub_->pause().end();
  EXPECT_EQ(turn(one(), "GET a\n"), "(null)\r\n");
  turns_.end();
}

// Shows that a client which tracks a key hears of its change by another's turn before that is answered, and
// of what was not told yet when a turn begins; and that such a client's own requests, and those of one that
// another's invalidations go to, are left to consume().
TEST_F(BriefTurnsTest, ChangesAreToldBeforeTheReply) {
  Conversation& cache = other().conversation;
  cache.ask("HELLO 3");
  cache.ask("CLIENT TRACKING ON NOLOOP");
  EXPECT_EQ(cache.ask("GET a"), "_\r\n");
  EXPECT_EQ(turn(other(), frame({"GET", "a"})), "(refused)");
  EXPECT_EQ(turn(one(), "SET b 1\n"), "OK\r\n");
  EXPECT_EQ(cache.pushes(), "");
  const std::string invalidated = ">2\r\n" + bulk("invalidate") + pushed({"a"});
  EXPECT_EQ(turn(one(), "SET a 1\n"), "OK\r\n");
  EXPECT_EQ(cache.pushes(), invalidated);
  turns_.end();
  EXPECT_EQ(cache.pushes(), "");

  cache.ask("GET a");
  EXPECT_EQ(keyspace_->put(keyspace_->hash("a"), "2"), WriteStatus::kDone);
  EXPECT_EQ(turn(one(), "GET a\n"), "2\r\n");
  EXPECT_EQ(cache.pushes(), invalidated);
  turns_.end();

  cache.ask("CLIENT TRACKING OFF");
  one().conversation.session().client().is_redirect_target = true;
  EXPECT_EQ(turn(one(), "GET a\n"), "(refused)");
}

// Shows that the events of what a row changes, and does not find, come with it.
TEST_F(BriefTurnsTest, EventsAreTold) {
  Conversation watcher(*context_);
  ask("CONFIG SET notify-keyspace-events KEAnm");
  watcher.ask("PSUBSCRIBE __keyevent@0__:*");
  watcher.pushes();
  const auto event = [](const std::string& name, const std::string& key) {
    return pushed({"pmessage", "__keyevent@0__:*", "__keyevent@0__:" + name, key});
  };
  EXPECT_EQ(turn(one(), "SET k 1\nSET k 2\nGET k\nGET none\n"), "OK\r\nOK\r\n2\r\n(null)\r\n");
  EXPECT_EQ(watcher.pushes(),
            event("new", "k") + event("set", "k") + event("set", "k") + event("keymiss", "none"));
  ask("SET k 3 PX 5");
  watcher.pushes();
  keyspace_->set_now_ms(keyspace_->now_ms() + 10);
  EXPECT_EQ(turn(one(), "GET k\n"), "(null)\r\n");
  turns_.end();
  hub_->tell_of_removed();
  EXPECT_EQ(watcher.pushes(), event("expired", "k") + event("keymiss", "k"));
  ask("CONFIG SET notify-keyspace-events \"\"");
}

// Shows that clients whose replies are not as usual, or who may be sent something else, are left to
// consume(), and that all are while somebody monitors; and what they are answered.
TEST_F(BriefTurnsTest, UnusualClientsAreRefused) {
  const std::string refused = "(refused)";
  Conversation& client = one().conversation;
  EXPECT_EQ(client.say("CLIENT REPLY OFF\n"), "");
  EXPECT_EQ(turn(one(), "SET a 1\n"), refused);
  EXPECT_EQ(client.say("SET a 1\nCLIENT REPLY ON\n"), "OK\r\n");
  EXPECT_EQ(client.say("CLIENT REPLY SKIP\n"), "");
  EXPECT_EQ(turn(one(), "SET a 1\n"), refused);
  EXPECT_EQ(client.say("SET a 2\nGET a\n"), "2\r\n");
  EXPECT_EQ(turn(one(), "GET a\n"), "2\r\n");
  turns_.end();
  client.session().client().authenticated = false;
  EXPECT_EQ(turn(one(), "GET a\n"), refused);
  client.session().client().authenticated = true;
  {
    Conversation monitor(*context_);
    monitor.ask("MONITOR");
    EXPECT_EQ(turn(one(), "GET a\n"), refused);
    EXPECT_EQ(client.say("GET a\n"), "2\r\n");
    EXPECT_NE(monitor.pushes().find("\"GET\" \"a\""), std::string::npos);
  }
  EXPECT_EQ(turn(one(), "GET a\n"), "2\r\n");
  turns_.end();
  client.say("SUBSCRIBE c\n");
  EXPECT_EQ(turn(one(), "GET a\n"), refused);
}

// Shows that WATCH hears of another client's turn and of the client's own, and not of reads.
TEST_F(BriefTurnsTest, WatchedKeys) {
  const auto transaction_of = [&](Client& client) { return client.conversation.say("MULTI\nGET a\nEXEC\n"); };
  const std::string queued = "OK\r\nQUEUED\r\n";
  turn(one(), "SET a 1\n");
  turns_.end();
  one().conversation.say("WATCH a\n");
  EXPECT_EQ(turn(other(), frame({"GET", "a"}) + frame({"SET", "b", "22"})), bulk("1") + kOk);
  EXPECT_EQ(turn(one(), "GET a\n"), "1\r\n");
  turns_.end();
  EXPECT_NE(transaction_of(one()).find("1"), std::string::npos);
  one().conversation.say("WATCH a\n");
  EXPECT_EQ(turn(other(), frame({"SET", "a", "22"})), kOk);
  turns_.end();
  EXPECT_EQ(transaction_of(one()), queued + "(null)\r\n");
  one().conversation.say("WATCH a\n");
  EXPECT_EQ(turn(one(), "SET a 3\n"), "OK\r\n");
  turns_.end();
  EXPECT_EQ(transaction_of(one()), queued + "(null)\r\n");
}

// Shows that CLIENT LIST knows who was active last, and by what command.
TEST_F(BriefTurnsTest, ClientsAreActive) {
  one().conversation.session().client().name = "first";
  other().conversation.session().client().name = "second";
  EXPECT_EQ(turn(other(), frame({"GET", "none"})), kNil);
  turns_.end();
  keyspace_->set_now_ms(keyspace_->now_ms() + 5000);
  turn(one(), "SET a 1\nGET a\n");
  turn(one(), "SET a 1\n");
  turns_.end();
  const std::string clients = ask("CLIENT LIST");
  const auto line_of = [&](const std::string& name) {
    const std::size_t begin = clients.find("name=" + name);
    return clients.substr(begin, clients.find('\n', begin) - begin);
  };
  EXPECT_NE(line_of("first").find(" idle=0 "), std::string::npos) << clients;
  EXPECT_NE(line_of("first").find(" cmd=set "), std::string::npos) << clients;
  EXPECT_NE(line_of("second").find(" idle=5 "), std::string::npos) << clients;
  EXPECT_NE(line_of("second").find(" cmd=get "), std::string::npos) << clients;
}

// Shows that a client in another database reads its own.
TEST_F(BriefTurnsTest, OfADatabase) {
  other().conversation.ask("SELECT 1");
  EXPECT_EQ(turn(other(), frame({"SET", "a long key", "there"})), kOk);
  EXPECT_EQ(turn(one(), "GET none\n"), "(null)\r\n");
  EXPECT_EQ(turn(other(), frame({"GET", "a long key"})), bulk("there"));
  turns_.end();
}

// Shows that replies which are more than a socket takes at once pause the session, and that it goes on.
TEST_F(BriefTurnsTest, PausesForTheReplies) {
  ask({"SET", "large", std::string(900'000, 'x')});
  std::string requests;
  for (int i = 0; i < 5; ++i) requests += frame({"GET", "large"});
  const std::string first = turn(other(), requests);
  turns_.end();
  Session& session = other().conversation.session();
  EXPECT_TRUE(session.is_paused());
  EXPECT_EQ(first, bulk(std::string(900'000, 'x')) + bulk(std::string(900'000, 'x')));
  std::string rest;
  while (session.is_paused()) {
    other().output = {};
    other().input.consume(session.consume(other().input.view(), *context_, other().batch, other().output));
    rest += other().output.view();
  }
  EXPECT_EQ(rest.size(), first.size() / 2 * 3);
}

// Shows that of a row the turn that was slow for no reason of its own is logged, with its words and its
// client, and neither those in front of it nor those behind it. What passes between two turns counts for the
// second.
TEST_F(BriefTurnsTest, TheSlowOneIsLogged) {
  ask("CONFIG SET slowlog-log-slower-than 500000");
  one().conversation.session().client().name = "first";
  other().conversation.session().client().name = "second";
  turn(one(), "GET a\nSET a 1\n");
  burn_ms(510);
  turn(other(), frame({"GET", "the slow one"}));
  turn(one(), "GET a\n");
  turns_.end();
  EXPECT_EQ(ask("SLOWLOG LEN"), ":1\r\n");
  const std::string lines = ask("SLOWLOG GET");
  EXPECT_NE(lines.find("*2\r\n$3\r\nGET\r\n$12\r\nthe slow one\r\n"), std::string::npos) << lines;
  EXPECT_NE(lines.find("second"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("first"), std::string::npos) << lines;
  EXPECT_EQ(calls_of("get"), "calls=3");
  EXPECT_EQ(calls_of("set"), "calls=1");
}

// Shows that of a slow turn with several commands the last one is logged, and how many they were.
TEST_F(BriefTurnsTest, OneOfASlowTurnIsLogged) {
  ask("CONFIG SET slowlog-log-slower-than 500000");
  turn(one(), "GET a\nGET a\n");
  burn_ms(510);
  turn(other(), frame({"GET", "a"}) + frame({"GET", "the last one"}));
  turns_.end();
  EXPECT_EQ(ask("SLOWLOG LEN"), ":1\r\n");
  const std::string lines = ask("SLOWLOG GET");
  EXPECT_NE(lines.find("$3\r\nGET\r\n$12\r\nthe last one\r\n$28\r\n(one of 2 that took so long)\r\n"),
            std::string::npos)
      << lines;
}

// Shows that one with a reason to be slow is logged itself, though others of other clients follow.
TEST_F(BriefTurnsTest, TheLongOneIsLoggedItself) {
  ask({"SET", "large", std::string(60 << 20, 'x')});
  ask("CONFIG SET slowlog-log-slower-than 1000");
  ask("SLOWLOG RESET");
  turn(one(), "GET large\n");
  turn(other(), frame({"GET", "a"}));
  turns_.end();
  EXPECT_NE(ask("SLOWLOG GET").find("*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n"), std::string::npos);
}

}  // namespace
}  // namespace memento::testing
