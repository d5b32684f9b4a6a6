// CLIENT LIST, KILL, PAUSE between two workers on one segment; each is served by hand, so that the order of
// events is the test's.
#include <unistd.h>

#include <thread>

#include "tests/worker/session/session_fixture.h"

namespace memento::testing {
namespace {

class ClientsTest : public TwoWorkersTest {
 protected:
  ClientsTest() { set_other_alive(true); }
  ~ClientsTest() override { set_other_alive(false); }

  void set_other_alive(bool is_alive) {
    segment_->process(2).pid = is_alive ? static_cast<std::uint32_t>(getpid()) : 0;
  }

  /// The reply, once the other worker has answered.
  std::string ask_both(Conversation& client, const std::string& line) {
    std::string reply = client.ask(line);
    if (!client.session().is_parked()) return reply;
    EXPECT_EQ(reply, "");
    other_hub_->serve();
    hub_->serve();
    reply = resume(client);
    other_hub_->serve();
    return reply;
  }
  std::string resume(Conversation& client) {
    std::string replies;
    hub_->clients().tick();
    for (ClientState* ready : hub_->clients().take_ready()) {
      if (ready == &client.session().client()) replies += client.say("");
    }
    hub_->clients().close_question();
    return replies;
  }
  static std::string id(Conversation& client) { return std::to_string(client.session().client().id); }
  static std::size_t count(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  }
};

// Shows the fields of a line, in Redis's order.
TEST_F(ClientsTest, FieldsOfALine) {
  Conversation client(*context_);
  client.ask_all(
      {"CLIENT SETNAME me", "CLIENT SETINFO lib-name lib", "CLIENT NO-TOUCH ON", "CLIENT NO-EVICT ON"});
  const std::string line = client.ask("CLIENT INFO");
  EXPECT_EQ(line.substr(line.find("id=")),
            "id=" + id(client) +
                " addr= laddr= fd=-1 name=me age=0 idle=0 flags=eT db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=26 "
                "qbuf-free=0 argv-mem=10 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=" +
                std::to_string(sizeof(ClientState)) +
                " events=r cmd=client|info user=default redir=-1 resp=2 lib-name=lib lib-ver=\n\r\n");
  client.ask_all({"WATCH a b", "MULTI", "SET a 12345"});
  const std::string all = ask("CLIENT INFO");
  EXPECT_NE(all.find(" flags=N "), std::string::npos);
}

// Shows that the clients of both workers are listed, by type and by number, each once.
TEST_F(ClientsTest, ListsAllWorkers) {
  Conversation near(*context_);
  Conversation far(*other_context_);
  Conversation subscriber(*other_context_);
  subscriber.ask("SUBSCRIBE a");
  const std::string all = ask_both(near, "CLIENT LIST");
  for (Conversation* client : {&near, &far, &subscriber})
    EXPECT_EQ(count(all, "id=" + id(*client) + " "), 1u) << all;
  EXPECT_EQ(count(all, "\n"), 5u) << all;  // of the bulk two
  const std::string subscribers = ask_both(near, "CLIENT LIST TYPE pubsub");
  EXPECT_NE(subscribers.find("id=" + id(subscriber) + " "), std::string::npos);
  EXPECT_EQ(count(subscribers, "id="), 1u) << subscribers;
  EXPECT_EQ(count(ask_both(near, "CLIENT LIST TYPE normal"), "id="), 2u);
  EXPECT_EQ(ask_both(near, "CLIENT LIST TYPE master"), "$0\r\n\r\n");
  const std::string some =
      ask_both(near, "CLIENT LIST ID " + id(far) + " 999999 " + id(near) + " " + id(far));
  EXPECT_EQ(count(some, "id=" + id(far) + " "), 2u) << some;
  EXPECT_EQ(count(some, "id="), 3u) << some;
}

// Shows that requests behind CLIENT LIST wait with it, in order, and that its client alone waits.
TEST_F(ClientsTest, OnlyTheAskerWaits) {
  Conversation asker(*context_);
  Conversation bystander(*context_);
  EXPECT_EQ(asker.say(frame({"SET", "a", "1"}) + frame({"CLIENT", "LIST"}) + frame({"GET", "a"})), "+OK\r\n");
  EXPECT_TRUE(asker.session().is_parked());
  EXPECT_EQ(bystander.ask("GET a"), "$1\r\n1\r\n");
  other_hub_->serve();
  hub_->serve();
  const std::string replies = resume(asker);
  EXPECT_EQ(count(replies, "\nid=" + id(bystander)), 1u) << replies;
  EXPECT_TRUE(replies.ends_with("\n\r\n$1\r\n1\r\n")) << replies;
}

// Shows that two who ask get a list each, the second one not from before its request.
TEST_F(ClientsTest, TwoAskers) {
  Conversation first(*context_);
  Conversation second(*context_);
  first.ask("CLIENT LIST");
  other_hub_->serve();
  Conversation late(*other_context_);
  second.ask("CLIENT LIST");
  hub_->serve();
  EXPECT_EQ(count(resume(first), "id=" + id(late) + " "), 0u);
  EXPECT_TRUE(second.session().is_parked());
  other_hub_->serve();
  hub_->serve();
  EXPECT_EQ(count(resume(second), "id=" + id(late) + " "), 1u);
}

// Shows that a worker that dies before it answers is not waited for, and one that is silent for kPatienceMs
// only.
TEST_F(ClientsTest, SilentWorkers) {
  Conversation asker(*context_);
  Conversation far(*other_context_);
  asker.ask("CLIENT LIST");
  EXPECT_EQ(resume(asker), "");
  set_other_alive(false);
  const std::string list = resume(asker);
  EXPECT_EQ(count(list, "id="), 1u) << list;
  set_other_alive(true);
  asker.ask("CLIENT LIST");
  std::string reply;
  while (reply.empty()) reply = resume(asker);
  EXPECT_EQ(count(reply, "id="), 1u) << reply;
  other_hub_->serve();  // too late: nobody asks any more
  hub_->serve();
  EXPECT_EQ(count(ask_both(asker, "CLIENT LIST"), "id="), 2u);
}

// Shows that a list larger than the ring arrives whole.
TEST_F(ClientsTest, ManyClients) {
  Conversation asker(*context_);
  std::vector<std::unique_ptr<Conversation>> far;
  for (int i = 0; i < 3000; ++i) far.push_back(std::make_unique<Conversation>(*other_context_));
  asker.ask("CLIENT LIST");
  std::thread other([&] { other_hub_->serve(); });
  std::string list;
  while (list.empty()) {
    hub_->serve();
    list = resume(asker);
  }
  other.join();
  EXPECT_EQ(count(list, "id="), 3001u);
}

// Shows each filter of CLIENT KILL, the old form, and that who kills itself is answered first.
TEST_F(ClientsTest, Kills) {
  Conversation asker(*context_);
  Conversation near(*context_);
  Conversation far(*other_context_);
  Conversation subscriber(*other_context_);
  subscriber.ask("SUBSCRIBE a");
  const auto is_closed = [](Conversation& client) { return client.session().client().must_close; };
  EXPECT_EQ(ask_both(asker, "CLIENT KILL ID 999999"), ":0\r\n");
  EXPECT_EQ(ask_both(asker, "CLIENT KILL ID " + id(asker)), ":0\r\n");
  EXPECT_EQ(ask_both(asker, "CLIENT KILL 1.2.3.4:5"), "-ERR No such client\r\n");
  EXPECT_EQ(ask_both(asker, "CLIENT KILL MAXAGE 100"), ":0\r\n");
  EXPECT_EQ(ask_both(asker, "CLIENT KILL TYPE pubsub ID " + id(far)), ":0\r\n");
  EXPECT_FALSE(is_closed(far));
  EXPECT_EQ(ask_both(asker, "CLIENT KILL TYPE pubsub"), ":1\r\n");
  EXPECT_TRUE(is_closed(subscriber));
  EXPECT_EQ(ask_both(asker, "CLIENT KILL USER default ID " + id(far)), ":1\r\n");
  EXPECT_TRUE(is_closed(far));
  EXPECT_EQ(far.ask("PING"), "");
  EXPECT_EQ(ask_both(asker, "CLIENT KILL ID " + id(near)), ":1\r\n");
  EXPECT_TRUE(is_closed(near));
  EXPECT_FALSE(asker.session().is_closing());
  EXPECT_EQ(ask_both(asker, "CLIENT KILL SKIPME no ID " + id(asker)), ":1\r\n");
  EXPECT_TRUE(asker.session().is_closing());
}

// Shows LIST and KILL inside EXEC: the others are asked before, and the kill is done once, behind it.
TEST_F(ClientsTest, InsideExec) {
  Conversation asker(*context_);
  Conversation far(*other_context_);
  asker.ask_all({"MULTI", "SET a 1", "CLIENT KILL ID " + id(far), "CLIENT LIST ID " + id(far)});
  const std::string reply = ask_both(asker, "EXEC");
  EXPECT_TRUE(reply.starts_with("*3\r\n+OK\r\n:1\r\n$")) << reply;
  EXPECT_EQ(count(reply, "id=" + id(far) + " "), 1u) << reply;
  EXPECT_TRUE(far.session().client().must_close);
  EXPECT_EQ(asker.ask("GET a"), "$1\r\n1\r\n");
}

// Shows that a request that waits is not answered twice, nor skipped, by CLIENT REPLY.
TEST_F(ClientsTest, RepliesThatNobodyWants) {
  Conversation client(*context_);
  EXPECT_EQ(client.ask("CLIENT REPLY SKIP"), "");
  EXPECT_EQ(ask_both(client, "CLIENT LIST"), "");
  EXPECT_EQ(client.ask("PING"), "+PONG\r\n");
}

// Shows what a pause holds back: writes and messages, or all; not errors, and not in the batch before it.
TEST_F(ClientsTest, Pause) {
  Conversation client(*context_);
  Conversation other(*context_);
  EXPECT_EQ(client.say(frame({"SET", "a", "1"}) + frame({"CLIENT", "PAUSE", "100000", "WRITE"}) +
                       frame({"SET", "a", "2"})),
            "+OK\r\n+OK\r\n");
  EXPECT_TRUE(client.session().is_parked());
  EXPECT_EQ(other.ask("GET a"), "$1\r\n1\r\n");
  EXPECT_EQ(other.ask_all({"MULTI", "GET a", "EXEC"}), "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n");
  EXPECT_EQ(other.ask("SET"), "-ERR wrong number of arguments for 'set' command\r\n");
  EXPECT_NE(ask("CLIENT INFO").find(" flags=N "), std::string::npos);
  EXPECT_EQ(count(ask_both(other, "CLIENT LIST"), " flags=b "), 1u);
  EXPECT_EQ(other.ask("PUBLISH a b"), "");
  EXPECT_TRUE(other.session().is_parked());
  EXPECT_EQ(ask("CLIENT PAUSE 1 ALL"), "+OK\r\n");  // goes on as long as the first one
  Conversation third(*context_);
  EXPECT_EQ(third.ask("GET a"), "");
  EXPECT_EQ(third.say(""), "");
  hub_->pause().end();
  hub_->clients().tick();
  EXPECT_EQ(hub_->clients().take_ready().size(), 3u);
  EXPECT_EQ(client.say(""), "+OK\r\n");
  EXPECT_EQ(other.say(""), ":0\r\n");
  EXPECT_EQ(third.say(""), "$1\r\n2\r\n");
}

// Shows that a clock which is set back by a year, to before the data was made, changes neither a pause nor
// ages, and that values made then are as old as the data; and that one set forward does not end a pause.
TEST_F(ClientsTest, TheClockIsSetBack) {
  constexpr TimeMs kYearMs = 365LL * 24 * 3600 * 1000;
  Conversation client(*context_);
  ASSERT_EQ(client.ask("SET before v"), "+OK\r\n");
  const TimeMs now_ms = keyspace_->now_ms();
  keyspace_->set_now_ms(now_ms - kYearMs);
  ASSERT_EQ(client.ask("SET after v"), "+OK\r\n");
  ASSERT_EQ(client.ask_all({"APPEND appended v", "MULTI", "SET in-exec v", "EXEC"}),
            ":1\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
  for (const char* key : {"before", "after", "appended", "in-exec"}) {
    EXPECT_EQ(client.ask(Words{"OBJECT", "IDLETIME", key}), ":0\r\n") << key;
    TimeMs created_ms = 0;
    ASSERT_TRUE(keyspace_->read(keyspace_->hash(key), [&](const EntryView& entry) {
      created_ms = entry.created_ms;
    })) << key;
    EXPECT_LE(created_ms, now_ms) << key;
    EXPECT_GT(created_ms, now_ms - 60'000) << key;
  }
  const std::string info = ask("CLIENT INFO");
  EXPECT_NE(info.find(" age=0 "), std::string::npos) << info;
  const std::string uptime = ask("INFO server");
  const std::size_t at = uptime.find("uptime_in_days:");
  ASSERT_NE(at, std::string::npos);
  EXPECT_LT(std::atoll(uptime.c_str() + at + 15), 36500) << uptime;

  EXPECT_EQ(client.ask("CLIENT PAUSE 100000 WRITE"), "+OK\r\n");
  keyspace_->set_now_ms(now_ms + kYearMs);
  EXPECT_EQ(client.ask("SET a v"), "");
  EXPECT_TRUE(client.session().is_parked());
  hub_->pause().end();
  hub_->clients().tick();
  EXPECT_EQ(hub_->clients().take_ready().size(), 1u);
  EXPECT_EQ(client.say(""), "+OK\r\n");
}

// Shows that a pause ends by itself, by UNPAUSE, and that a shorter or milder one changes nothing of it.
TEST_F(ClientsTest, PausesEnd) {
  ClientPause& pause = hub_->pause();
  pause.begin(1000, true, 500);
  pause.begin(900, false, 600);
  EXPECT_TRUE(pause.holds(false, 999));
  EXPECT_FALSE(pause.holds(true, 1000));
  pause.begin(1200, false, 1100);
  EXPECT_TRUE(pause.holds(true, 1150));
  EXPECT_FALSE(pause.holds(false, 1150));
  pause.tidy(1150);
  EXPECT_TRUE(pause.is_set());
  pause.tidy(1200);
  EXPECT_FALSE(pause.is_set());
  ask("CLIENT PAUSE 100000 WRITE");
  EXPECT_TRUE(pause.is_set());
  EXPECT_EQ(ask("CLIENT UNPAUSE"), "+OK\r\n");
  EXPECT_FALSE(pause.is_set());
}

// Shows the errors' texts.
TEST_F(ClientsTest, Errors) {
  const std::pair<const char*, const char*> kErrors[] = {
      {"CLIENT KILL", "wrong number of arguments for 'client|kill' command"},
      {"CLIENT KILL ID 0", "client-id should be greater than 0"},
      {"CLIENT KILL ID x", "client-id should be greater than 0"},
      {"CLIENT KILL ID 1 TYPE", "syntax error"},
      {"CLIENT KILL TYPE foo", "Unknown client type 'foo'"},
      {"CLIENT KILL USER nobody", "No such user 'nobody'"},
      {"CLIENT KILL SKIPME maybe", "syntax error"},
      {"CLIENT KILL MAXAGE x", "maxage is not an integer or out of range"},
      {"CLIENT KILL MAXAGE 0", "maxage should be greater than 0"},
      {"CLIENT LIST x", "syntax error"},
      {"CLIENT LIST TYPE", "syntax error"},
      {"CLIENT LIST ID", "syntax error"},
      {"CLIENT LIST TYPE foo", "Unknown client type 'foo'"},
      {"CLIENT LIST ID 1 x", "Invalid client ID"},
      {"CLIENT PAUSE", "wrong number of arguments for 'client|pause' command"},
      {"CLIENT PAUSE x", "timeout is not an integer or out of range"},
      {"CLIENT PAUSE -1", "timeout is negative"},
      {"CLIENT PAUSE 9223372036854775807", "timeout is out of range"},
      {"CLIENT PAUSE 1 x", "CLIENT PAUSE mode must be WRITE or ALL"},
      {"CLIENT UNPAUSE x", "wrong number of arguments for 'client|unpause' command"},
  };
  for (const auto& [request, error] : kErrors)
    EXPECT_EQ(ask(request), "-ERR " + std::string(error) + "\r\n") << request;
}

}  // namespace
}  // namespace memento::testing
