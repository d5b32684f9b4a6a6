// What INFO, SLOWLOG and LATENCY tell of commands: counts, errors, slow ones, and that resets are felt at
// once.
#include "tests/worker/session_fixture.h"

namespace memento::testing {
namespace {

using Statistics = SessionTest;

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
  EXPECT_EQ(ask("LATENCY RESET"), ":1\r\n");
  EXPECT_EQ(ask("LATENCY LATEST"), "*0\r\n");
}

}  // namespace
}  // namespace memento::testing
