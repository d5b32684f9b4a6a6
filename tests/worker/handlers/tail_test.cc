// TAIL: the last values of a key, by the command that asks for them.
#include "tests/worker/session/session_fixture.h"

namespace memento::testing {
namespace {

using TailTest = SessionTest;

// Replies are arrays of strings, as requests are.
std::string list(const Words& words) { return frame(words); }

// Shows what is kept from the first TAIL on: each value that a command or a transaction left, the last one in
// any case, until it is no longer wanted.
TEST_F(TailTest, KeepsValues) {
  EXPECT_EQ(ask("TAIL k"), "*0\r\n");
  for (int i = 1; i <= 20; ++i) ask("INCR k");
  EXPECT_EQ(ask("TAIL k 3"), list({"18", "19", "20"}));
  EXPECT_EQ(ask("TAIL k"), list({"11", "12", "13", "14", "15", "16", "17", "18", "19", "20"}));
  Conversation client(*context_);
  client.ask_all({"MULTI", "SET k a", "SET k b", "EXEC", "EXPIRE k 100", "DEL k"});
  EXPECT_EQ(ask("TAIL k 2"), list({"20", "b"}));
  ask("SET k c");
  EXPECT_EQ(ask("TAIL k 3"), list({"20", "b", "c"}));
  const std::string large(100'000, 'x');
  ask({"SET", "k", large});
  EXPECT_EQ(ask("TAIL k 2"), list({"c", large}));
  ask("SET k d");
  EXPECT_EQ(ask("TAIL k 2"), list({"c", "d"}));
  ask("SET other 1");
  EXPECT_EQ(ask("TAIL other"), list({"1"}));
  ask("SET other 2");
  EXPECT_EQ(ask("TAIL other"), list({"1", "2"}));
  EXPECT_EQ(talk("TAIL other 2\n"), "1\n2\r\n");
  ask("FLUSHDB");
  EXPECT_EQ(ask("TAIL k"), "*0\r\n");
  ask("SET k e");
  EXPECT_EQ(ask("TAIL k 0"), ":1\r\n");
  EXPECT_EQ(ask("TAIL k 0"), ":0\r\n");
  ask("SET k f");
  EXPECT_EQ(ask("TAIL k"), list({"f"}));
}

// Shows what TAIL refuses.
TEST_F(TailTest, Refusals) {
  EXPECT_EQ(ask("TAIL k x"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(ask("TAIL k -1"), "-ERR count is out of range, must be 0 to 100\r\n");
  EXPECT_EQ(ask("TAIL k 101"), "-ERR count is out of range, must be 0 to 100\r\n");
  EXPECT_EQ(ask("TAIL k 1 2"), "-ERR wrong number of arguments for 'tail' command\r\n");
  EXPECT_EQ(ask({"TAIL", std::string(1025, 'k')}),
            "-ERR the key is longer than TAIL's limit of 1024 bytes\r\n");
  Conversation client(*context_);
  client.ask("SELECT 1");
  EXPECT_EQ(client.ask("TAIL k"), "-ERR TAIL is about keys of database 0; SELECT 0 first\r\n");
  client.ask("MULTI");
  EXPECT_TRUE(client.ask("TAIL k").starts_with("-ERR"));
}

}  // namespace
}  // namespace memento::testing
