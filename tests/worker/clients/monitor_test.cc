// MONITOR: the lines of commands, from clients of this worker and of another; what is hidden; how it ends.
#include "tests/worker/session/session_fixture.h"
#include "worker/command/command_table.h"
#include "worker/command/shown_words.h"
#include "worker/stats/command_meter.h"

namespace memento::testing {
namespace {

// The lines without their times and, these clients having no sockets, empty addresses.
std::string without_times(const std::string& lines) {
  std::string rest;
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = lines.find('\n', at);
    const std::string line = lines.substr(at, lines.find('\r', at) - at);
    const std::size_t bracket = line.find(" [0 ] ");
    rest += (bracket == std::string::npos ? line : line.substr(bracket + 6)) + "\n";
    at = end == std::string::npos ? lines.size() : end + 1;
  }
  return rest;
}

class MonitorTest : public TwoWorkersTest {
 protected:
  /// Lines that a client of the first worker got.
  std::string shown(Conversation& client) { return without_times(client.pushes()); }
};

// Shows the form of a line: time, database, address, and every byte that has to be escaped.
TEST_F(MonitorTest, FormOfALine) {
  const std::string_view words[] = {"set", "a b", std::string_view("\\\"\n\r\t\a\b\0\x7f\xff~ ", 12)};
  EXPECT_EQ(
      monitor_line(1339518083107412, DatabaseId(12), "127.0.0.1:60866", *find_command("SET"), words, 1000),
      R"(1339518083.107412 [12 127.0.0.1:60866] "set" "a b" "\\\"\n\r\t\a\b\x00\x7f\xff~ ")");
  EXPECT_EQ(monitor_line(5, {}, "", *find_command("SET"), words, 1000).substr(0, 20),
            R"(0.000005 [0 ] "set" )");
  const std::string large(100'000, '\n');
  const std::string_view many[] = {"set", large, large};
  EXPECT_LT(monitor_line(5, {}, "", *find_command("SET"), many, 1000).size(), 1010u);
}

// Shows which commands are told, in the order in which they were executed: not those that were refused, that
// are about the server, or that only were queued.
TEST_F(MonitorTest, WhatIsShown) {
  Conversation monitor(*context_);
  Conversation client(*context_);
  EXPECT_EQ(monitor.ask("MONITOR"), "+OK\r\n");
  client.ask_all({"SET a b",     "get a",
                  "GET",         "NOPE",
                  "INCR a",      "CONFIG GET port",
                  "CLIENT ID",   "CLIENT NO-EVICT ON",
                  "SLOWLOG LEN", "MULTI",
                  "SET q 1",     "CLIENT ID",
                  "SLOWLOG LEN", "EXEC",
                  "MULTI",       "NOPE",
                  "GET a",       "EXEC",
                  "WATCH a",     "DISCARD",
                  "QUIT"});
  EXPECT_EQ(shown(monitor), R"("SET" "a" "b"
"get" "a"
"INCR" "a"
"CLIENT" "ID"
"MULTI"
"SET" "q" "1"
"CLIENT" "ID"
"EXEC"
"MULTI"
"EXEC"
"WATCH" "a"
"DISCARD"
"QUIT"
)");
}

// Shows that a line stands as a status in RESP, and as it is in text; and that a pipeline is shown one by
// one.
TEST_F(MonitorTest, BothProtocols) {
  Conversation monitor(*context_);
  Conversation text(*context_);
  monitor.ask("MONITOR");
  EXPECT_EQ(text.say("MONITOR\n"), "OK\r\n");
  ask("PING");
  const std::string line = monitor.pushes();
  EXPECT_EQ(line.front(), '+');
  EXPECT_TRUE(line.ends_with("] \"PING\"\r\n")) << line;
  EXPECT_EQ("+" + text.pushes(), line);
  Conversation(*context_).say(frame({"GET", "a"}) + frame({"GET", "b"}) + "PING\r\n");
  EXPECT_EQ(shown(monitor), "\"GET\" \"a\"\n\"GET\" \"b\"\n\"PING\"\n");
}

// Shows what scripts call, behind the request that ran them, as of `lua`; also what was undone.
TEST_F(MonitorTest, ScriptsShowWhatTheyCall) {
  Conversation monitor(*context_);
  monitor.ask("MONITOR");
  const auto lines = [&] {
    std::string rest;
    std::string all = monitor.pushes();
    for (std::size_t at = 0; (at = all.find('[')) != std::string::npos;) {
      rest += all.substr(at, all.find('\r') - at) + "\n";
      all.erase(0, all.find('\n') + 1);
    }
    return rest;
  };
  const std::string script = "redis.call('select', 2) redis.call('SET', KEYS[1], 'v') redis.pcall('nope')";
  ask(Words{"EVAL", script, "1", "k"});
  EXPECT_EQ(lines(), "[0 ] \"EVAL\" \"" + script + "\" \"1\" \"k\"\n" +
                         "[0 lua] \"select\" \"2\"\n[2 lua] \"SET\" \"k\" \"v\"\n");
  ask(Words{"EVAL", "redis.call('get', 'k') error('no')", "0"});
  EXPECT_EQ(lines(), "[0 ] \"EVAL\" \"redis.call('get', 'k') error('no')\" \"0\"\n[0 lua] \"get\" \"k\"\n");
  Conversation client(*context_);
  client.ask("MULTI");
  client.ask(Words{"EVAL", "redis.call('get', 'a')", "0"});
  client.ask(Words{"EVAL", "redis.call('get', 'b')", "0"});
  client.ask("EXEC");
  EXPECT_EQ(lines(), R"-([0 ] "MULTI"
[0 ] "EVAL" "redis.call('get', 'a')" "0"
[0 lua] "get" "a"
[0 ] "EVAL" "redis.call('get', 'b')" "0"
[0 lua] "get" "b"
[0 ] "EXEC"
)-");
}

// Shows that passwords reach neither MONITOR nor SLOWLOG.
TEST_F(MonitorTest, PasswordsAreHidden) {
  Conversation monitor(*context_);
  monitor.ask("MONITOR");
  ask("CONFIG SET slowlog-log-slower-than 0");
  Conversation client(*context_);
  client.ask_all({"AUTH secret", "AUTH default secret", "HELLO 3 SETNAME x AUTH default secret",
                  "HELLO 2 auth default secret SETNAME y", "MIGRATE host 1 k 0 1 AUTH2 user secret"});
  EXPECT_EQ(shown(monitor), R"-("AUTH" "(redacted)"
"AUTH" "(redacted)" "(redacted)"
"HELLO" "3" "SETNAME" "x" "AUTH" "(redacted)" "(redacted)"
"HELLO" "2" "auth" "(redacted)" "(redacted)" "SETNAME" "y"
"MIGRATE" "host" "1" "k" "0" "1" "AUTH2" "(redacted)" "(redacted)"
)-");
  client.ask("CONFIG SET maxclients 100 requirepass secret slowlog-max-len 100");
  const std::string config =
      "$6\r\nCONFIG\r\n$3\r\nSET\r\n$10\r\nmaxclients\r\n$3\r\n100\r\n$11\r\nrequirepass\r\n$10\r\n(redacted)"
      "\r\n$15\r\nslowlog-max-len\r\n$3\r\n100\r\n";
  client.ask_all({"AUTH secret", "MULTI", "CONFIG SET requirepass secret", "AUTH secret", "EXEC"});
  const std::string lines = client.ask("SLOWLOG GET 100");
  EXPECT_NE(lines.find(config), std::string::npos) << lines;
  EXPECT_NE(lines.find("(redacted)"), std::string::npos);
  EXPECT_EQ(lines.find("secret"), std::string::npos);
}

// Shows that a slow run's line hides what its last command gave, though the run began with another.
TEST_F(MonitorTest, PasswordsAreHiddenInASlowRun) {
  ask("CONFIG SET slowlog-log-slower-than 1000");
  const std::vector<std::string_view> words{"AUTH", "secret"};
  const auto previous = [&] { return std::span(words); };
  const ClientState client;
  CommandMeter meter(services_->settings, services_->facts.process, client);
  meter.begin(find_command("GET"), 2, previous);
  meter.begin(find_command("AUTH"), 2, previous);
  const std::int64_t end_ns = monotonic_time_ns() + 2'000'000;
  while (monotonic_time_ns() < end_ns) {
  }
  meter.end_run(words, false);
  const std::string lines = ask("SLOWLOG GET");
  EXPECT_NE(lines.find("$4\r\nAUTH\r\n$10\r\n(redacted)\r\n"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("secret"), std::string::npos) << lines;
}

// Shows that commands of another worker's clients are told, many times the ring of them, and that nothing is
// sent when nobody monitors any more.
TEST_F(MonitorTest, OtherWorkers) {
  Conversation monitor(*other_context_);
  Conversation client(*context_);
  monitor.ask("MONITOR");
  std::string expected;
  std::string got;
  for (int i = 0; i < 2000; ++i) {
    const std::string key = std::to_string(i) + std::string(400, 'k');
    client.ask({"SET", key, "v"});
    expected += "\"SET\" \"" + key + "\" \"v\"\n";
    if (i % 100 == 0) got += without_times(received(monitor));
  }
  got += without_times(received(monitor));
  EXPECT_TRUE(got == expected);
  EXPECT_EQ(monitor.ask("RESET"), "+RESET\r\n");
  EXPECT_FALSE(hub_->has_monitors());
  const std::uint64_t sent = segment_->process(1).mailbox.tail;
  client.ask("PING");
  EXPECT_EQ(segment_->process(1).mailbox.tail, sent);
  EXPECT_EQ(received(monitor), "");
}

// Shows what a monitor may do: nothing with keys or messages; and that a second MONITOR has no answer.
TEST_F(MonitorTest, MonitorsCommands) {
  Conversation monitor(*context_);
  monitor.ask("MONITOR");
  EXPECT_EQ(monitor.ask("MONITOR"), "");
  for (const char* refused : {"GET a", "SET a b", "PUBLISH a b", "FLUSHALL"}) {
    EXPECT_EQ(monitor.ask(refused), "-ERR Replica can't interact with the keyspace\r\n") << refused;
  }
  EXPECT_EQ(monitor.ask("PING"), "+PONG\r\n");
  EXPECT_EQ(shown(monitor), "\"PING\"\n");
  EXPECT_EQ(monitor.ask("RESET"), "+RESET\r\n");
  EXPECT_EQ(monitor.ask("GET a"), "$-1\r\n");
  EXPECT_EQ(shown(monitor), "");
}

// Shows that EXEC refuses MONITOR, and executes the rest.
TEST_F(MonitorTest, NotInsideExec) {
  EXPECT_EQ(
      Conversation(*context_).ask_all({"MULTI", "PING", "MONITOR", "EXEC"}),
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+PONG\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n");
  EXPECT_FALSE(hub_->has_monitors());
}

// Shows that a monitor whose lines pile up is marked to be closed, and the other one and the clients are not.
TEST_F(MonitorTest, LimitOfWaitingLines) {
  Conversation slow(*context_);
  Conversation other(*context_);
  Conversation client(*context_);
  slow.ask("MONITOR");
  other.ask("MONITOR");
  const std::string word(1 << 20, 'x');
  for (std::size_t i = 0; i <= MessageHub::kPushLimitBytes / word.size(); ++i) {
    EXPECT_EQ(client.ask({"ECHO", word}).substr(0, 9), "$1048576\r");
    other.pushes();
  }
  EXPECT_TRUE(slow.session().client().must_close);
  EXPECT_FALSE(other.session().client().must_close);
  EXPECT_FALSE(client.session().client().must_close);
}

// Shows that a dead worker's monitors are forgotten when its record is repaired.
TEST_F(MonitorTest, DeadWorkersMonitorsVanish) {
  Conversation monitor(*other_context_);
  monitor.ask("MONITOR");
  EXPECT_TRUE(hub_->has_monitors());
  segment_->recover_process(2);
  EXPECT_FALSE(hub_->has_monitors());
  segment_->process(2).mailbox.monitors = segment_->header().monitors = 1;  // its end counts them down again
  keyspace_ = nullptr;  // the repair took over this thread's list of locks
  keyspace_ = std::make_unique<Keyspace>(*segment_, 1);
}

}  // namespace
}  // namespace memento::testing
