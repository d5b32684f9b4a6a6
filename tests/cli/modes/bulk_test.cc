// --pipe, --import, --export, and the modes that look on, against a real server; records without one.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "cli/modes/key_survey.h"
#include "cli/modes/record.h"
#include "cli/modes/top_view.h"
#include "cli/show/format.h"
#include "tests/cli/terminal.h"
#include "tests/integration/test_server.h"

namespace memento::cli {
namespace {

using testing::Finished;
using testing::read_file;
using testing::run_program;
using testing::TemporaryFolder;
using testing::Terminal;
using testing::TestServer;

class CliBulk : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
    return path(name);
  }
  Finished run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"-p", std::to_string(server_.port())});
    return run_program("memento-cli", arguments);
  }
  /// With the file as stdin: by a shell.
  Finished run_with_input(const std::string& input, const std::string& options) const {
    const std::string command = testing::program("memento-cli") + " -p " + std::to_string(server_.port()) +
                                " " + options + " < " + input;
    return run_program("/bin/sh", {"-c", command});
  }

  TestServer server_;
  TemporaryFolder folder_;
};

// Shows that text lines mean what they mean in the text protocol, and errors have their line.
TEST_F(CliBulk, PipeOfLines) {
  const std::string file = write("lines", "SET a hello  world\nSET a\n\nINCR a\r\nSET b 2");
  const Finished finished = run_with_input(file, "--pipe");
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(finished.output, "");
  EXPECT_NE(finished.errors.find("line 2: ERR wrong number"), std::string::npos) << finished.errors;
  EXPECT_NE(finished.errors.find("line 4: ERR value is not an integer"), std::string::npos)
      << finished.errors;
  EXPECT_NE(finished.errors.find("4 commands in "), std::string::npos) << finished.errors;
  EXPECT_EQ(server_.request("GET a"), "hello  world");
  EXPECT_EQ(server_.request("GET b"), "2");
  EXPECT_EQ(run_with_input(file, "--pipe --ignore-errors").status, 0);
}

// Shows that RESP is taken as it is, and what is broken is told and ends it.
TEST_F(CliBulk, PipeOfRequests) {
  const Finished finished = run_with_input(
      write("resp", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nx\ny\r\n*1\r\n$4\r\nINCR\r\n*1\r\nx"), "--pipe");
  EXPECT_EQ(finished.status, 2);
  EXPECT_NE(finished.errors.find("request 2: ERR wrong number"), std::string::npos) << finished.errors;
  EXPECT_NE(finished.errors.find("after request 2"), std::string::npos) << finished.errors;
  EXPECT_EQ(server_.request("GET a"), "x\ny");
}

// Shows that many commands go through, with depths below and above their number.
TEST_F(CliBulk, PipeOfMany) {
  std::string lines;
  for (int i = 0; i < 20'000; ++i) lines += "SET key" + std::to_string(i) + " v\n";
  const std::string file = write("many", lines);
  for (const std::string depth : {"1", "7", "100000"}) {
    ASSERT_EQ(server_.request("FLUSH"), "OK");
    EXPECT_EQ(run_with_input(file, "--pipe --depth " + depth).status, 0);
    EXPECT_EQ(server_.request("COUNT"), "20000");
  }
}

// Shows that what was exported in either format comes back, bytes and expiry.
TEST_F(CliBulk, ExportAndImport) {
  ASSERT_EQ(run({"SET", "text", "a,\"b\"\nc"}).status, 0);
  ASSERT_EQ(run({"SET", "bytes\xff", "\x01\xfe\xc3\xbc"}).status, 0);
  ASSERT_EQ(run({"SET", "brief", "x", "EX", "1000"}).status, 0);
  for (const std::string name : {"all.csv", "all.jsonl"}) {
    EXPECT_EQ(run({"--export", path(name)}).status, 0);
    ASSERT_EQ(server_.request("FLUSH"), "OK");
    const Finished imported = run({"--import", path(name)});
    EXPECT_EQ(imported.status, 0) << imported.errors;
    EXPECT_EQ(run({"GET", "text"}).output, "a,\"b\"\nc\n") << name;
    EXPECT_EQ(run({"GET", "bytes\xff"}).output, "\x01\xfe\xc3\xbc\n") << name;
    const int ttl_s = std::stoi(run({"TTL", "brief"}).output);
    EXPECT_GT(ttl_s, 900) << name;
    EXPECT_LE(ttl_s, 1000) << name;
  }
  EXPECT_EQ(run({"--export", "-", "--prefix", "te"}).output, "key,value,ttl\n\"text\",\"a,\"\"b\"\"\nc\",\n");
}

// Shows that broken records are told with their line and the others stored, and that an import can begin
// later.
TEST_F(CliBulk, ImportOfBrokenRecords) {
  const std::string csv = write("a.csv", "key,value,ttl\na,1,\nbroken\nb,\"2\n2\",x\nc,3\n");
  const Finished finished = run({"--import", csv});
  EXPECT_EQ(finished.status, 1);
  EXPECT_NE(finished.errors.find("a.csv:3: there are 1 columns"), std::string::npos) << finished.errors;
  EXPECT_NE(finished.errors.find("a.csv:4: the ttl"), std::string::npos) << finished.errors;
  EXPECT_EQ(server_.request("COUNT"), "2");
  ASSERT_EQ(server_.request("FLUSH"), "OK");
  EXPECT_EQ(run({"--import", csv, "--from-line", "6"}).status, 0);
  EXPECT_EQ(server_.request("KEYS *"), "c");
  const std::string json = write(
      "a.jsonl", "{\"value\":{\"x\":[1]},\"key\":\"j\"}\n[]\n{\"key\":1,\"value\":2}\n{\"key\":\"k\"}\n");
  const Finished objects = run({"--import", json});
  EXPECT_EQ(objects.status, 1);
  EXPECT_NE(objects.errors.find("1 records stored"), std::string::npos) << objects.errors;
  EXPECT_NE(objects.errors.find("3 errors"), std::string::npos) << objects.errors;
  EXPECT_EQ(server_.request("GET j"), "{\"x\":[1]}");
  EXPECT_EQ(run({"--import", write("a.txt", "")}).status, 2);
}

// Shows that an export that fails leaves the old file.
TEST_F(CliBulk, FailedExportChangesNothing) {
  const std::string file = write("old.csv", "old");
  EXPECT_EQ(
      run_program("memento-cli", {"-p", std::to_string(testing::ReservedPort().number()), "--export", file})
          .status,
      3);
  EXPECT_EQ(read_file(file), "old");
}

TEST_F(CliBulk, KeysOfTheServer) {
  ASSERT_EQ(run({"MSET", "user:1", "abc", "user:2", "abcdef", "other", "x"}).status, 0);
  EXPECT_EQ(run({"--scan", "--pattern", "user:[1]"}).output, "user:1\n");
  EXPECT_EQ(run({"--scan", "--fuzzy", "ohr"}).output, "other\n");
  EXPECT_EQ(run({"--bigkeys", "--top", "1"}).output,
            "           6 bytes  \"user:2\"\n3 keys (string), 10 bytes, mean 3.3\n");
  const Finished memory = run({"--memkeys", "--top", "1"});
  EXPECT_NE(memory.output.find("3 keys (memory)"), std::string::npos) << memory.output;
  EXPECT_NE(run({"--stat", "-r", "1", "-i", "0.1"}).output.find("ops/s"), std::string::npos);
  EXPECT_NE(run({"--latency", "-i", "0.1"}).output.find("round trips)"), std::string::npos);
  EXPECT_NE(run({"--latency-dist", "-i", "0.1", "-r", "1"}).output.find("p99"), std::string::npos);
}

// Shows `top` in a terminal: its parts, sorting, a server that goes and comes back, and its end.
TEST_F(CliBulk, TopInATerminal) {
  // Workers tell of themselves from their first tick on.
  ASSERT_TRUE(testing::wait_until(
      [&] { return server_.request("INFO workers").find("worker_1") != std::string::npos; }));
  Terminal terminal("memento-cli", {"-p", std::to_string(server_.port()), "-i", "0.2", "top"},
                    folder_.path());
  terminal.expect("ops/s");
  terminal.expect("WORKER");
  terminal.expect("COMMAND");
  terminal.expect("quit");
  ASSERT_EQ(server_.request("SET a 1"), "OK");
  terminal.expect("info");
  terminal.type("a");
  EXPECT_EQ(server_.stop(), 0);
  terminal.expect("not connected");
  server_.start();
  terminal.expect("memento 0");
  terminal.type("q");
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_EQ(run({"top"}).status, 2);  // no terminal
}

// Shows that messages arrive, and that Ctrl-C ends it.
TEST_F(CliBulk, SubscribeInATerminal) {
  Terminal terminal("memento-cli", {"-p", std::to_string(server_.port()), "--subscribe", "news", "we*"},
                    folder_.path());
  terminal.expect("subscribed");
  ASSERT_EQ(server_.request("PUBLISH news hello"), "1");
  terminal.expect("\"news\" \"hello\"\r\n");
  ASSERT_EQ(server_.request("PUBLISH weather sun"), "1");
  terminal.expect("\"weather\" \"sun\"\r\n");
  terminal.type("\x03");
  EXPECT_EQ(terminal.wait(), 0);
}

// Shows the keys of requests by the command table, from MONITOR's lines.
TEST(CliKeySurvey, KeysOfRequests) {
  EXPECT_EQ(monitored_words("1.5 [0 127.0.0.1:1] \"SET\" \"a \\\"b\" \"v\""), (Words{"SET", "a \"b", "v"}));
  EXPECT_EQ(monitored_words("OK"), Words{});
  EXPECT_EQ(keys_of({"MSET", "a", "1", "b", "2"}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(keys_of({"MGET", "a", "b"}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(keys_of({"PING"}), std::vector<std::string>{});
  EXPECT_EQ(keys_of({"GET"}), std::vector<std::string>{});
  EXPECT_EQ(keys_of({"LPUSH", "l", "1"}), std::vector<std::string>{"l"});
}

// Shows that keys used most are found among far more keys than are counted, and that no count is too low.
TEST(CliKeySurvey, FrequentKeys) {
  FrequentKeys keys(100);
  for (int i = 0; i < 10'000; ++i) {
    keys.add("rare" + std::to_string(i));
    if (i % 4 == 0) keys.add("hot");
  }
  const std::vector<Largest::One> most = keys.most(1);
  EXPECT_EQ(most[0].key, "hot");
  EXPECT_GE(most[0].size, 2500U);
}

TEST(CliTop, DifferencesOfHistograms) {
  const Histogram before{{1, 10}, {4, 20}};
  const Histogram now{{1, 10}, {2, 15}, {4, 40}, {8, 42}};
  EXPECT_EQ(difference(before, now), (Histogram{{1, 0}, {2, 5}, {4, 20}, {8, 22}}));
  EXPECT_EQ(percentile_us(difference(before, now), 0.5), 4);
  EXPECT_EQ(percentile_us(difference(before, now), 0.99), 8);
  EXPECT_EQ(percentile_us({}, 0.5), 0);
}

// Shows that the view fits whatever screen there is.
TEST(CliTop, ViewFitsTheScreen) {
  Sample sample;
  sample.slow.assign(20, SlowCommand{1, 2e6, "GET \u00fc"});
  Rates rates;
  rates.commands.assign(50, CommandRates{"get", 5, 1, {1, 2, 4}});
  for (const std::size_t rows : {1U, 5U, 24U, 100U}) {
    const std::vector<ViewLine> lines = view_lines({}, sample, rates, rows, 20);
    EXPECT_LE(lines.size(), rows);
    for (const ViewLine& line : lines) EXPECT_TRUE(is_utf8(line.text));
  }
}

}  // namespace
}  // namespace memento::cli
