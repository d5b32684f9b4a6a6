// What INFO, SLOWLOG and LATENCY tell of commands: counts, errors, slow ones also in a pipeline, and that
// resets are felt at once.
#include <thread>

#include "shm/commit/robust_lock.h"
#include "shm/keyspace/hash.h"
#include "tests/worker/session/session_fixture.h"
#include "worker/command/command_table.h"
#include "worker/stats/command_meter.h"

namespace memento::testing {
namespace {

class Statistics : public SessionTest {
 protected:
  Statistics() : SessionTest(64 << 20, 256 << 20) {}
};

TEST_F(Statistics, CountsCallsFailuresAndRefusals) {
  ask("SET a text");
  ask("GET a");
  ask("GET a");
  ask("INCR a");
  ask("GET");
  const std::string commands = ask("INFO commandstats");
  EXPECT_NE(commands.find("cmdstat_get:calls=2,"), std::string::npos) << commands;
  EXPECT_NE(commands.find("rejected_calls=1,failed_calls=0"), std::string::npos) << commands;
  EXPECT_NE(commands.find("cmdstat_incr:calls=1,"), std::string::npos) << commands;
  EXPECT_NE(commands.find("rejected_calls=0,failed_calls=1"), std::string::npos) << commands;
  EXPECT_NE(ask("INFO errorstats").find("errorstat_ERR:count=2"), std::string::npos);
  EXPECT_NE(ask("INFO latencystats").find("latency_percentiles_usec_get:p50="), std::string::npos);
  EXPECT_EQ(ask("LATENCY HISTOGRAM incr").substr(0, 45),
            "*2\r\n$4\r\nincr\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogr");
  ask("CONFIG RESETSTAT");
  EXPECT_EQ(ask("INFO commandstats").find("cmdstat_get"), std::string::npos);
}

// Shows that commands in EXEC count for themselves, once even when EXEC works on them again, and queued ones
// do not count; that a subcommand that is not there counts as an error only; and that CONFIG RESETSTAT is the
// first that counts.
TEST_F(Statistics, CommandsInsideExec) {
  ask("CONFIG SET slowlog-log-slower-than 0");
  ask("SLOWLOG RESET");
  Conversation client(*context_);
  client.ask_all({"CONFIG RESETSTAT", "MULTI"});
  client.ask({"SET", "k", std::string(100'000, 'x')});
  client.ask_all({"INCR k", "APPEND k y", "EXEC", "MULTI", "GET k", "DISCARD", "CLIENT nothing"});
  const std::string commands = ask("INFO commandstats");
  const auto line_of = [&](const std::string& name) {
    const std::size_t begin = commands.find("cmdstat_" + name + ":");
    return begin == std::string::npos ? "" : commands.substr(begin, commands.find("\r\n", begin) - begin);
  };
  for (const char* name : {"set", "append", "discard", "config|resetstat"}) {
    EXPECT_NE(line_of(name).find(":calls=1,"), std::string::npos) << commands;
    EXPECT_NE(line_of(name).find("rejected_calls=0,failed_calls=0"), std::string::npos) << commands;
  }
  EXPECT_NE(line_of("exec").find("failed_calls=0"), std::string::npos) << commands;
  EXPECT_NE(line_of("multi").find(":calls=2,"), std::string::npos) << commands;
  EXPECT_NE(line_of("incr").find("rejected_calls=0,failed_calls=1"), std::string::npos) << commands;
  EXPECT_EQ(line_of("get") + line_of("client"), "");
  EXPECT_NE(ask("INFO errorstats").find("errorstat_ERR:count=2\r\n"), std::string::npos);
  const std::string lines = ask("SLOWLOG GET");
  EXPECT_NE(lines.find("*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("$4\r\nEXEC\r\n"), std::string::npos) << lines;
  EXPECT_TRUE(ask("LATENCY HISTOGRAM config").starts_with("*2\r\n$16\r\nconfig|resetstat\r\n"));
}

TEST_F(Statistics, PipelinedCommandsAreCountedOneByOne) {
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "GET key\n";
  talk(requests);
  EXPECT_NE(ask("INFO commandstats").find("cmdstat_get:calls=100,"), std::string::npos);
}

TEST_F(Statistics, SlowlogShowsTheNewestLinesAndCutsLongWords) {
  EXPECT_EQ(ask("SLOWLOG LEN"), ":0\r\n");
  ask("CONFIG SET slowlog-log-slower-than 0");
  ask({"SET", "a", std::string(200, 'x')});
  const std::string lines = ask("SLOWLOG GET 1");
  EXPECT_NE(lines.find("*3\r\n$3\r\nSET\r\n$1\r\na\r\n"), std::string::npos) << lines;
  EXPECT_NE(lines.find(std::string(128, 'x') + "... (72 more bytes)\r\n"), std::string::npos) << lines;
  for (int i = 0; i < 300; ++i) ask("GET a");
  EXPECT_EQ(ask("SLOWLOG LEN"), ":128\r\n");
  ask("CONFIG SET slowlog-max-len 5");
  EXPECT_EQ(ask("SLOWLOG LEN"), ":5\r\n");
  ask("CONFIG SET slowlog-log-slower-than -1");
  ask("SLOWLOG RESET");
  EXPECT_EQ(ask("SLOWLOG LEN"), ":0\r\n");
  EXPECT_EQ(ask("SLOWLOG GET"), "*0\r\n");
}

TEST_F(Statistics, LatencySamplesCommandsAboveTheThreshold) {
  EXPECT_EQ(ask("LATENCY LATEST"), "*0\r\n");
  ask("CONFIG SET latency-monitor-threshold 1");
  ask("DEBUG SLEEP 0.002");
  EXPECT_EQ(ask("LATENCY LATEST").substr(0, 22), "*1\r\n*4\r\n$7\r\ncommand\r\n:");
  EXPECT_EQ(ask("LATENCY HISTORY command").substr(0, 8), "*1\r\n*2\r\n");
  EXPECT_EQ(ask("LATENCY RESET fast-command"), ":0\r\n");
  EXPECT_EQ(ask("LATENCY RESET nothing"), ":0\r\n");
  EXPECT_EQ(ask("LATENCY HISTORY command").substr(0, 8), "*1\r\n*2\r\n");
  EXPECT_EQ(ask("LATENCY RESET nothing Command"), ":1\r\n");
  EXPECT_EQ(ask("LATENCY LATEST"), "*0\r\n");
  ask("DEBUG SLEEP 0.002");
  EXPECT_EQ(ask("LATENCY RESET"), ":1\r\n");
  EXPECT_EQ(ask("LATENCY LATEST"), "*0\r\n");
}

// Shows that of commands in a pipeline the one that is slow because of its size is named, for sure, and
// sampled.
TEST_F(Statistics, SlowBySizeInAPipeline) {
  ask("CONFIG SET slowlog-log-slower-than 1000");
  ask("CONFIG SET latency-monitor-threshold 1");
  const std::string value(60 << 20, 'x');
  Conversation client(*context_);
  client.say(frame({"INCR", "n"}) + frame({"INCR", "n"}) + frame({"SET", "large", value}) +
             frame({"INCR", "n"}));
  const std::string cut =
      "$153\r\n" + std::string(128, 'x') + "... (" + std::to_string(value.size() - 128) + " more bytes)\r\n";
  const std::string line = "*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n" + cut;
  EXPECT_NE(ask("SLOWLOG GET").find(line), std::string::npos) << ask("SLOWLOG GET");
  EXPECT_NE(ask("LATENCY HISTORY command").substr(0, 4), "*0\r\n");
}

// Shows the same for one that waits for a lock.
TEST_F(Statistics, SlowByALockInAPipeline) {
  ask("CONFIG SET slowlog-log-slower-than 1000");
  segment_->open_process(2);
  RobustLock& lock = SlotArray(segment_->base() + segment_->header().slots_offset)[slot_of_key("held")].lock;
  std::atomic<bool> is_held{false};
  std::thread holder([&] {
    LockOwner owner(segment_->base(), 2);
    owner.lock(lock);
    is_held = true;
    while ((lock.word.load() & FUTEX_WAITERS) == 0) {
    }
    burn_ms(2);
    owner.unlock(lock);
  });
  while (!is_held) {
  }
  Conversation client(*context_);
  client.say(frame({"INCR", "a"}) + frame({"INCR", "held"}) + frame({"INCR", "b"}));
  holder.join();
  EXPECT_NE(ask("SLOWLOG GET").find("*2\r\n$4\r\nINCR\r\n$4\r\nheld\r\n"), std::string::npos)
      << ask("SLOWLOG GET");
}

// Shows that a run which was slow for no reason that shows is logged with that remark.
TEST_F(Statistics, SlowForNoReasonInAPipeline) {
  ask("CONFIG SET slowlog-log-slower-than 1000");
  const Command* const get = find_command("GET");
  const std::vector<std::string_view> words{"GET", "k"};
  const auto previous = [&] { return std::span(words); };
  {
    const ClientState client;
    CommandMeter meter(services_->settings, services_->facts.process, client);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(meter.begin(get, 2, previous));
    burn_ms(2);
    meter.end_run(words, false);
    for (int i = 0; i < 2; ++i) meter.begin(get, 2, previous);
    burn_ms(2);
    EXPECT_TRUE(meter.begin(find_command("BITCOUNT"), 2, previous));  // ends the run before it
    meter.end_run(std::span(words).first(1), false);
  }
  const std::string lines = ask("SLOWLOG GET");
  EXPECT_NE(lines.find("*3\r\n$3\r\nGET\r\n$1\r\nk\r\n$28\r\n(one of 3 that took so long)\r\n"),
            std::string::npos)
      << lines;
  EXPECT_NE(lines.find("(one of 2 that took so long)"), std::string::npos) << lines;
}

// Shows that what was rejected or queued can stand anywhere in a slow run: it is not logged itself, and
// nothing of its words is.
TEST_F(Statistics, SlowRunsWithCommandsThatWereNotExecuted) {
  ask("CONFIG SET slowlog-log-slower-than 1000");
  ask({"SET", "large", std::string(60 << 20, 'x')});
  ask("SLOWLOG RESET");
  Conversation pipeline(*context_);
  pipeline.say(frame({"GET"}) + frame({"GET", "large"}));
  EXPECT_NE(ask("SLOWLOG GET").find("*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n"), std::string::npos)
      << ask("SLOWLOG GET");
  ask("SLOWLOG RESET");
  pipeline.say(frame({"MULTI"}) + frame({"SET", "k", std::string(60 << 20, 'x')}));
  EXPECT_EQ(ask("SLOWLOG GET").find("SET"), std::string::npos);
  const Command* const get = find_command("GET");
  const std::vector<std::string_view> words{"GET", "word"};
  const auto previous = [&] { return std::span(words); };
  const ClientState client;
  CommandMeter meter(services_->settings, services_->facts.process, client);
  ask("SLOWLOG RESET");
  meter.begin(get, 2, previous);
  meter.begin(find_command("INCR"), 2, previous);
  meter.begin(get, 1, previous);
  meter.note_error("-ERR wrong number of arguments", true);
  burn_ms(2);
  meter.end_run(words, false);
  for (int i = 0; i < 2; ++i) {
    meter.begin(get, 2, previous);
    meter.skip();
  }
  burn_ms(2);
  meter.end_run(words, false);
  const std::string lines = ask("SLOWLOG GET");
  EXPECT_NE(lines.find("*2\r\n$4\r\nINCR\r\n$28\r\n(one of 3 that took so long)\r\n"), std::string::npos)
      << lines;
  EXPECT_EQ(lines.find("one of 2"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("word"), std::string::npos) << lines;
}

// Shows that statistics go on in another mapping of the same file, and not in one whose words mean something
// else.
TEST_F(Statistics, AreHandedOver) {
  settings_.statistics.begin(7);
  LiveSettings next;
  for (LiveSettings* settings : {&settings_, &next}) settings->slow_after_us = -1;
  ask("SET a 1");
  ask("CONFIG SET slowlog-log-slower-than 0");
  ask("GET a");
  EXPECT_FALSE(next.statistics.take_over(Fd(dup(settings_.statistics.descriptor())), 8));
  EXPECT_FALSE(next.statistics.take_over(Fd(), 7));
  ASSERT_TRUE(next.statistics.take_over(Fd(dup(settings_.statistics.descriptor())), 7));
  WorkerServices services{facts_, next, *hub_};
  SessionContext context{*keyspace_, services};
  Conversation client(context);
  EXPECT_NE(client.ask("INFO commandstats").find("cmdstat_set:calls=1,"), std::string::npos);
  ask("CONFIG SET slowlog-log-slower-than -1");
  const std::string line_count = ask("SLOWLOG LEN");
  EXPECT_EQ(line_count, ":1\r\n");
  EXPECT_EQ(client.ask("SLOWLOG LEN"), line_count);
}

}  // namespace
}  // namespace memento::testing
