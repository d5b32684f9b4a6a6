// What clients are told of keys: SUB's values. Each worker here is a hub and a keyspace on the same segment.
#include "tests/worker/session/session_fixture.h"
#include "worker/clients/message_hub.h"

namespace memento::testing {
namespace {

std::string value_push(const std::string& key, const std::string& value) {
  return pushed({"value", key, value});
}
std::string nil_push(const std::string& key) {
  return "*3\r\n$5\r\nvalue\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n$-1\r\n";
}

using KeyEventsTest = TwoWorkersTest;

// Shows that SUB follows the keys of database 0 whatever database the command was given in.
TEST_F(KeyEventsTest, WatchersFollowDatabase0) {
  Conversation watcher(*other_context_);
  Conversation writer(*context_);
  watcher.ask("SUB k");
  writer.ask_all({"MULTI", "SET k exec", "SELECT 1", "SET k hidden", "EXEC"});
  EXPECT_EQ(received(watcher), value_push("k", "exec"));
  writer.ask_all({"SET k other", "COPY k k DB 0 REPLACE"});
  EXPECT_EQ(received(watcher), value_push("k", "other"));
  writer.ask_all({"SELECT 0", "DEL k", "SELECT 1", "MOVE k 0"});
  EXPECT_EQ(received(watcher), nil_push("k") + value_push("k", "other"));
  writer.ask_all({"SELECT 0", "MOVE k 1"});
  EXPECT_EQ(received(watcher), nil_push("k"));
}

// Shows that a key that is watched from the end of an EXEC on, which has selected another database, is that
// of database 0: its next value comes, however often its namesake has changed.
TEST_F(KeyEventsTest, WatchedFromAnotherDatabase) {
  Conversation watcher(*other_context_);
  Conversation writer(*context_);
  writer.ask("SELECT 1");
  for (int i = 0; i < 50; ++i) writer.ask("INCR k");
  writer.ask("SELECT 0");
  watcher.ask_all({"MULTI", "SUB k", "SELECT 1", "EXEC"});
  writer.ask("SET k 1");
  EXPECT_EQ(received(watcher), value_push("k", "1"));
}

// Shows that SUB tells what became of the key when all keys of the database were removed or exchanged.
TEST_F(KeyEventsTest, WatchersOfAllKeys) {
  Conversation far(*other_context_);
  Conversation near(*context_);
  Conversation writer(*context_);
  writer.ask_all({"SELECT 1", "SET k swapped", "SELECT 0", "SET k 0"});
  far.ask("SUB k");
  near.ask("SUB k");
  near.pushes();
  writer.ask("SWAPDB 0 1");
  EXPECT_EQ(near.pushes(), value_push("k", "swapped"));
  EXPECT_EQ(received(far), value_push("k", "swapped"));
  writer.ask("SWAPDB 2 1");
  writer.ask_all({"SELECT 1", "FLUSHDB", "SELECT 0"});
  EXPECT_EQ(near.pushes() + received(far), "");
  writer.ask("FLUSHDB");
  EXPECT_EQ(near.pushes(), nil_push("k"));
  EXPECT_EQ(received(far), nil_push("k"));
  writer.ask_all({"SET k 1", "MULTI", "FLUSHALL", "SET k 2", "EXEC"});
  EXPECT_EQ(near.pushes(), value_push("k", "1") + value_push("k", "2"));
}

}  // namespace
}  // namespace memento::testing
