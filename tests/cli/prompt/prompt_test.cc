// memento-cli's prompt in a pseudo-terminal against a real server: what a user types and sees.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "tests/cli/terminal.h"
#include "tests/integration/test_server.h"

namespace memento {
namespace {

using testing::read_file;
using testing::TemporaryFolder;
using testing::Terminal;
using testing::TestServer;

class CliPrompt : public ::testing::Test {
 protected:
  std::vector<std::string> arguments() const { return {"-p", std::to_string(server_.port())}; }
  std::string prompt() const { return "127.0.0.1:" + std::to_string(server_.port()) + "> "; }

  TestServer server_;
  TemporaryFolder home_;
};

// Shows that replies are shown by type, and that Ctrl-D leaves.
TEST_F(CliPrompt, RepliesByType) {
  Terminal terminal("memento-cli", arguments(), home_.path());
  terminal.expect(prompt());
  terminal.type("SET city \"Tu\\x01rin\"\r");
  terminal.expect("\r\nOK\r\n");
  terminal.type("GET city\r");
  terminal.expect("\"Tu\\x01rin\"\r\n");
  terminal.type("GET none\r");
  terminal.expect("(null)\r\n");
  terminal.type("INC n 3\r");
  terminal.expect("(integer) 3\r\n");
  terminal.type("MGET city n\r");
  terminal.expect("1) \"Tu\\x01rin\"\r\n2) \"3\"\r\n");
  terminal.type("GETP n\r");
  terminal.expect("1# \"key\" => \"n\"\r\n");
  terminal.type("NOSUCH\r");
  terminal.expect("(error) ERR unknown command");
  terminal.expect(prompt());
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0);
}

// Shows that Tab completes what is clear and lists what is not, and that the hint follows what is typed.
TEST_F(CliPrompt, CompletionAndHints) {
  Terminal terminal("memento-cli", arguments(), home_.path());
  terminal.expect(prompt());
  terminal.type("getra\t");
  terminal.expect("key start end");
  terminal.type("k ");
  terminal.expect("start end");
  terminal.type("\x03");  // Ctrl-C drops the line
  terminal.expect("^C\r\n");
  terminal.expect(prompt());
  terminal.type("CLIENT NO-\t");
  terminal.expect("NO-EVICT  NO-TOUCH");
  terminal.type("t\t");
  terminal.expect("ON | OFF");
  terminal.type("on\r");
  terminal.expect("OK\r\n");
  terminal.type("help expire\r");
  terminal.expect("EXPIRE key seconds [NX | XX | GT | LT]");
  terminal.type("?\r");
  terminal.expect("Values");
  terminal.expect("Server");
  terminal.expect(prompt());
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0);
}

// Shows that Ctrl-R and the arrows find lines of an earlier prompt, and that a password is not among them.
TEST_F(CliPrompt, History) {
  {
    Terminal terminal("memento-cli", arguments(), home_.path());
    terminal.expect(prompt());
    terminal.type("SET first 1\rAUTH secret\rSET second 2\r");
    terminal.expect("OK\r\n");
    terminal.expect("(error)");
    terminal.expect("OK\r\n");
    terminal.expect(prompt());
    terminal.type("\x04");
    EXPECT_EQ(terminal.wait(), 0);
  }
  EXPECT_EQ(read_file(home_.path() + "/.memento_history"), "SET first 1\nSET second 2\n");
  Terminal terminal("memento-cli", arguments(), home_.path());
  terminal.expect(prompt());
  terminal.type(
      "\x12"
      "fir");
  terminal.expect("bck:");
  terminal.type("\r");
  terminal.expect("OK\r\n");
  terminal.expect(prompt());
  terminal.type("\x1b[A\x1b[A 3\r");  // twice up: SET second 2
  terminal.expect("(error) ERR syntax error");
  terminal.expect(prompt());
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0);
}

// Shows that the end of the server shows at once, and its return too, without a key typed.
TEST_F(CliPrompt, ReconnectsByItself) {
  Terminal terminal("memento-cli", arguments(), home_.path());
  terminal.expect(prompt());
  EXPECT_EQ(server_.stop(), 0);
  terminal.expect("not connected> ");
  terminal.type("PING\r");
  terminal.expect("Connection refused");
  server_.start();
  terminal.expect(prompt());
  terminal.type("PING\r");
  terminal.expect("PONG\r\n");
  terminal.type("quit\r");
  EXPECT_EQ(terminal.wait(), 0);
}

// Shows that FLUSH asks, that what was typed ahead is no answer, and that only yes flushes.
TEST_F(CliPrompt, FlushAsks) {
  ASSERT_EQ(server_.request("SET a 1"), "OK");
  Terminal terminal("memento-cli", arguments(), home_.path());
  terminal.expect(prompt());
  terminal.type("FLUSHALL\r");
  terminal.expect("Remove all 1 keys");
  terminal.expect("[y/N] ");
  terminal.type("\r");
  terminal.expect("Nothing was changed.");
  EXPECT_EQ(server_.request("COUNT"), "1");
  terminal.expect(prompt());
  terminal.type("FLUSH\r");
  terminal.expect("[y/N] ");
  terminal.type("y\r");
  terminal.expect("OK\r\n");
  EXPECT_EQ(server_.request("COUNT"), "0");
}

// Shows that an open quote goes on in the next line, in the history as one line.
TEST_F(CliPrompt, QuotesOverLines) {
  Terminal terminal("memento-cli", arguments(), home_.path());
  terminal.expect(prompt());
  terminal.type("SET a \"one\r");
  terminal.expect("\"... ");
  terminal.type("two\"\r");
  terminal.expect("OK\r\n");
  terminal.type("GET a\r");
  terminal.expect("\"one\\ntwo\"\r\n");
  terminal.expect(prompt());
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_EQ(read_file(home_.path() + "/.memento_history"), "SET a \"one\\ntwo\"\nGET a\n");
}

// Shows that JSON is pretty-printed on request, in colour, and without colours under NO_COLOR.
TEST_F(CliPrompt, PrettyJsonAndColours) {
  ASSERT_EQ(server_.request("SET j {\"a\":[1]}"), "OK");
  Terminal terminal("memento-cli", arguments(), home_.path(), {"NO_COLOR=1"});
  terminal.expect(prompt());
  terminal.type(":pretty on\r");
  terminal.expect("over several lines");
  terminal.type("GET j\r");
  terminal.expect("{\r\n  \"a\": [\r\n    1\r\n  ]\r\n}\r\n");
  terminal.type(":output json\rGET j\r");
  terminal.expect("\"{\\\"a\\\":[1]}\"\r\n");
  terminal.expect(prompt());
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0);
}

// Shows that Ctrl-C ends SUBSCRIBE, not the prompt, and that a message arrives meanwhile.
TEST_F(CliPrompt, CtrlCEndsSubscribe) {
  Terminal terminal("memento-cli", arguments(), home_.path());
  terminal.expect(prompt());
  terminal.type("SUBSCRIBE news\r");
  terminal.expect("Ctrl-C ends this.");
  EXPECT_EQ(server_.request("PUBLISH news hello"), "1");
  terminal.expect("\"hello\"");
  terminal.type("\x03");
  terminal.expect(prompt());
  terminal.type("PING\r");
  terminal.expect("PONG\r\n");
}

// Shows that the prompt survives a password that is asked for, MULTI in the prompt, and a slow command's
// time.
TEST(CliPromptPassword, AuthThenSlowCommand) {
  TestServer server({"--requirepass", "secret"});
  const TemporaryFolder home;
  Terminal terminal("memento-cli", {"-p", std::to_string(server.port())}, home.path());
  const std::string prompt = "127.0.0.1:" + std::to_string(server.port());
  terminal.expect("AUTH password");
  terminal.type("GET a\r");
  terminal.expect("(error) NOAUTH");
  terminal.type("AUTH secret\r");
  terminal.expect("OK\r\n");
  terminal.type("MULTI\r");
  terminal.expect(prompt + "(TX)> ");
  terminal.type("EXEC\r");
  terminal.expect("(empty array)");
  terminal.type("DEBUG SLEEP 0.7\r");
  terminal.expect(" s)\r\n");
}

}  // namespace
}  // namespace memento
