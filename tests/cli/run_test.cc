// memento-cli as scripts use it, against a real server: words, output, exit statuses.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>

#include "tests/integration/test_server.h"

namespace memento {
namespace {

using testing::Finished;
using testing::run_program;
using testing::TemporaryFolder;
using testing::TestServer;

class CliRun : public ::testing::Test {
 protected:
  Finished run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"-p", std::to_string(server_.port())});
    return run_program("memento-cli", arguments);
  }
  /// The script's lines in a file, by -f.
  Finished run_script(const std::string& lines, std::vector<std::string> options = {}) const {
    const std::string path = folder_.path() + "/script";
    std::ofstream(path) << lines;
    options.insert(options.end(), {"-f", path});
    return run(options);
  }

  TestServer server_;
  TemporaryFolder folder_;
};

// Shows that HOST PORT COMMAND goes as a line of the text protocol, and its reply comes back as it is.
TEST_F(CliRun, HostPortCommand) {
  const auto plain = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"127.0.0.1", std::to_string(server_.port())});
    return run_program("memento-cli", words);
  };
  EXPECT_EQ(plain({"SET", "city", "New", "York"}).output, "OK\n");
  EXPECT_EQ(plain({"GET", "city"}).output, "New York\n");
  EXPECT_EQ(plain({"GET", "none"}).output, "(null)\n");
  EXPECT_EQ(plain({"INCF", "t", "-0.5"}).output, "-0.5\n");
  const Finished unknown = plain({"NOSUCH"});
  EXPECT_EQ(unknown.output, "(Unknown command)\n");
  EXPECT_EQ(unknown.status, 1);
  // Arguments that a line would tear apart or change arrive as they are; replies look the same.
  EXPECT_EQ(plain({"SET", "key with space", "v"}).output, "OK\n");
  EXPECT_EQ(plain({"GET", "key with space"}).output, "v\n");
  EXPECT_EQ(plain({"GET", "no such key"}).output, "(null)\n");
  EXPECT_EQ(plain({"EXISTS", "key"}).output, "0\n");
  EXPECT_EQ(plain({"SET", "a", "b\nc"}).output, "OK\n");
  EXPECT_EQ(plain({"GET", "a"}).output, "b\nc\n");
  EXPECT_EQ(plain({"MSET", "m", " x  y ", "n", ""}).output, "OK\n");
  EXPECT_EQ(plain({"STRLEN", "m"}).output, "6\n");
  EXPECT_EQ(plain({"GET", "n"}).output, "\n");
  EXPECT_EQ(plain({"STRLEN", "n"}).output, "0\n");
  EXPECT_EQ(plain({"GET city"}).output, "New York\n");
  const Finished wrong = plain({"INCR", "key with space"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_TRUE(wrong.output.starts_with("(error) ")) << wrong.output << wrong.errors;
}

TEST_F(CliRun, OutputFormats) {
  ASSERT_EQ(run({"SET", "a", "x\"y\n"}).output, "OK\n");
  EXPECT_EQ(run({"GET", "a"}).output, "x\"y\n\n");
  EXPECT_EQ(run({"--json", "MGET", "a", "b"}).output, "[\"x\\\"y\\n\",null]\n");
  EXPECT_EQ(run({"--csv", "MGET", "a", "b"}).output, "\"x\"\"y\n\",\n");
  EXPECT_EQ(run({"--quoted", "GET", "a"}).output, "\"x\\\"y\\n\"\n");
  EXPECT_EQ(run({"--null", "MGET", "a", "a"}).output, std::string("x\"y\n\0x\"y\n\0", 10));
  EXPECT_EQ(run({"--typed", "STRLEN", "a"}).output, "(integer) 4\n");
  EXPECT_EQ(run({"--protocol", "resp2", "--typed", "GETP", "none"}).output, "(null)\n");
}

// Shows the exit statuses, and that errors go to stderr with what to do.
TEST_F(CliRun, ExitStatuses) {
  const Finished error = run({"INCR"});
  EXPECT_EQ(error.status, 1);
  EXPECT_EQ(error.output, "");
  EXPECT_NE(error.errors.find("wrong number of arguments"), std::string::npos);
  EXPECT_EQ(run({"--ignore-errors", "INCR"}).status, 0);
  EXPECT_EQ(run({"--no-such-option"}).status, 2);
  const Finished refused =
      run_program("memento-cli", {"-p", std::to_string(testing::ReservedPort().number()), "PING"});
  EXPECT_EQ(refused.status, 3);
  EXPECT_NE(refused.errors.find("is the server running?"), std::string::npos);
  EXPECT_EQ(run({"-r", "2", "INCR", "n"}).output, "1\n2\n");
}

TEST_F(CliRun, Authentication) {
  TestServer guarded({"--requirepass", "secret"});
  const std::string port = std::to_string(guarded.port());
  for (const std::string protocol : {"text", "resp2", "resp3"}) {
    const auto run_with = [&](std::vector<std::string> options) {
      options.insert(options.begin(), {"-p", port, "--protocol", protocol});
      options.insert(options.end(), {"ECHO", "hello"});
      return run_program("memento-cli", options);
    };
    EXPECT_EQ(run_with({"-a", "secret"}).output, "hello\n") << protocol;
    const Finished wrong = run_with({"-a", "wrong"});
    EXPECT_EQ(wrong.status, 4) << protocol << wrong.errors;
    EXPECT_NE(wrong.errors.find("--askpass"), std::string::npos);
    EXPECT_EQ(run_with({}).status, 4) << protocol;
  }
  EXPECT_EQ(run_program("memento-cli", {"-u", "memento://:secret@127.0.0.1:" + port, "ECHO", "hello"}).output,
            "hello\n");
}

// Shows that a server that accepts and says nothing is a time-out.
TEST_F(CliRun, TimeOut) { EXPECT_EQ(run({"--timeout", "0.2", "DEBUG", "SLEEP", "2"}).status, 5); }

// Shows that a script goes on after an error and says where it was, in both protocols.
TEST_F(CliRun, Scripts) {
  const std::string lines = "SET a hello world\n\n# no comment\nGET a\nquit\nSET a never\n";
  const Finished text = run_script(lines);
  EXPECT_EQ(text.output, "OK\n(Unknown command)\nhello world\n");
  EXPECT_EQ(text.status, 1);
  const Finished resp = run_script("SET a \"hello\\tworld\"\nSET a\nGET a \"\nGET a\n", {"--raw"});
  EXPECT_EQ(resp.output, "OK\nhello\tworld\n");
  EXPECT_NE(resp.errors.find(":2: ERR wrong number of arguments"), std::string::npos);
  EXPECT_NE(resp.errors.find("line 3 was not sent"), std::string::npos);
  EXPECT_EQ(resp.status, 2);
  EXPECT_EQ(run_script("PING\n", {"--no-such"}).status, 2);
}

}  // namespace
}  // namespace memento
