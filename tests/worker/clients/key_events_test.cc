// What clients are told of keys: keyspace events, and SUB's values. Each worker here is a hub on the same
// segment.
#include <new>

#include "tests/worker/failing_allocations.h"
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

class KeyEventsTest : public TwoWorkersTest {
 protected:
  /// What clients of this worker and of the other one are sent when the worker's wake-up ends.
  std::string told(Conversation& near) {
    hub_->tell_of_removed();
    return near.pushes();
  }
};

/// Both messages of an event.
std::string both(const std::string& event, const std::string& key, const std::string& database = "0") {
  return pushed({"pmessage", "__key*", "__keyspace@" + database + "__:" + key, event}) +
         pushed({"pmessage", "__key*", "__keyevent@" + database + "__:" + event, key});
}
std::string one(const std::string& event, const std::string& key) {
  return pushed({"pmessage", "*", "__keyevent@0__:" + event, key});
}

// Shows that clients of every worker are told each event once, and of which classes, and that the letters are
// shown in one order.
TEST_F(KeyEventsTest, Classes) {
  Conversation far(*other_context_);
  Conversation near(*context_);
  Conversation writer(*context_);
  far.ask("PSUBSCRIBE __key*");
  near.ask("PSUBSCRIBE __key*");
  near.pushes();
  const auto expect = [&](const std::string& messages) {
    EXPECT_EQ(told(near), messages);
    EXPECT_EQ(received(far), messages);
  };
  writer.ask_all({"SET k 1", "GET none", "DEL k"});
  expect("");
  const auto configure = [&](const std::string& letters) {
    return writer.ask({"CONFIG", "SET", "notify-keyspace-events", letters});
  };
  EXPECT_EQ(configure("KEA"), kOk);
  writer.ask_all({"SET k 1", "GET none", "DEL k"});
  expect(both("set", "k") + both("del", "k"));
  EXPECT_EQ(configure("KEmn"), kOk);
  writer.ask_all({"SET k 1", "SET k 2", "GET none", "DEL k"});
  expect(both("new", "k") + both("keymiss", "none"));
  EXPECT_EQ(configure("Eg"), kOk);
  writer.ask_all({"SELECT 5", "SET k 1", "DEL k", "SELECT 0"});
  expect(pushed({"pmessage", "__key*", "__keyevent@5__:del", "k"}));
  EXPECT_EQ(configure("K"), kOk);
  EXPECT_EQ(configure("A"), kOk);
  writer.ask("SET k 1");
  expect("");
  EXPECT_EQ(configure("KEq"),
            "-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event "
            "class character. Use 'Ag$lshzxeKEtmdn'.\r\n");
  for (const auto& [given, shown] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"KEA", "AKE"}, {"Eg$", "g$E"}, {"nmK", "nKm"}, {"tdxezhsl$gK", "AK"}, {"EAn", "AnE"}}) {
    EXPECT_EQ(configure(given), kOk);
    EXPECT_EQ(writer.ask("CONFIG GET notify-keyspace-events"),
              "*2\r\n" + bulk("notify-keyspace-events") + bulk(shown));
  }
}

// Shows that a key that expires is told once: by the sweep, by whoever asks for it, or in front of what takes
// its place; and that nobody is told what a transaction that did not come to be would have done.
TEST_F(KeyEventsTest, Expired) {
  Conversation listener(*context_);
  Conversation writer(*other_context_);
  writer.ask("CONFIG SET notify-keyspace-events EAmn");
  listener.ask("PSUBSCRIBE *");
  listener.pushes();
  const auto told_of = [&](const std::vector<std::string>& lines) {
    writer.ask_all(lines);
    other_hub_->tell_of_removed();
    hub_->serve();
    return listener.pushes();
  };
  told_of({"SET k 1 PXAT 1", "SELECT 3", "SET l 1 PXAT 1", "SELECT 0"});
  while (keyspace_->maintain(1000)) {
  }
  EXPECT_EQ(told_of({}), one("expired", "k") + pushed({"pmessage", "*", "__keyevent@3__:expired", "l"}));
  EXPECT_EQ(keyspace_->counter_sum(Counter::kExpired), 2u);
  EXPECT_EQ(told_of({"GET k"}), one("keymiss", "k"));
  told_of({"SET k 1 PXAT 1"});
  EXPECT_EQ(told_of({"GET k", "GET k"}), one("expired", "k") + one("keymiss", "k") + one("keymiss", "k"));
  for (const std::size_t size : {1, 1000, 100'000}) {
    const std::string value(size, 'v');
    told_of({"SET k " + value + " PXAT 1"});
    EXPECT_EQ(told_of({"SET k " + value}), one("expired", "k") + one("new", "k") + one("set", "k"));
    told_of({"SET k " + value + " PXAT 1"});
    EXPECT_EQ(told_of({"APPEND k x"}), one("expired", "k") + one("new", "k") + one("append", "k"));
    told_of({"SET k " + value + " PXAT 1"});
    EXPECT_EQ(told_of({"DEL k"}), one("expired", "k"));
    told_of({"SET k " + value + " PXAT 1"});
    EXPECT_EQ(told_of({"SET k 1 XX"}), one("expired", "k"));
  }
  told_of({"SET k 1 PXAT 1"});
  EXPECT_EQ(told_of({"MULTI", "SET k 1", "DEL k", "EXEC"}),
            one("expired", "k") + one("new", "k") + one("set", "k") + one("del", "k"));
  told_of({"SET k 1 PXAT 1"});
  EXPECT_EQ(told_of({"MULTI", "GET k", "EXISTS k", "EXEC"}),
            one("expired", "k") + one("keymiss", "k") + one("keymiss", "k"));
  told_of({"SET k 1 PXAT 1"});
  EXPECT_EQ(told_of({"RENAME k l"}), one("expired", "k"));
  EXPECT_EQ(told_of({"MULTI", "SET k 1", "DISCARD", "WATCH k", "SET k 1", "MULTI", "DEL k", "EXEC"}),
            one("new", "k") + one("set", "k"));
}

// Shows that SUB is told of a key that expires.
TEST_F(KeyEventsTest, WatchedKeyExpires) {
  Conversation watcher(*other_context_);
  Conversation writer(*context_);
  watcher.ask("SUB k");
  writer.ask("SET k 1 PXAT 1");
  while (keyspace_->maintain(1000)) {
  }
  hub_->tell_of_removed();
  EXPECT_TRUE(received(watcher).ends_with(nil_push("k")));
}

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

// Shows that of keys that have expired none is left out when memory is short while they are told.
TEST_F(KeyEventsTest, WantOfMemoryLeavesOutNone) {
  Conversation near(*context_);
  Conversation far(*other_context_);
  Conversation writer(*context_);
  writer.ask("CONFIG SET notify-keyspace-events Ex");
  for (Conversation* client : {&near, &far}) {
    client->ask("SUBSCRIBE __keyevent@0__:expired");
    client->pushes();
  }
  bool goes_on = true;
  for (std::uint64_t n = 0; goes_on; ++n) {
    for (int i = 0; i < 5; ++i) writer.ask("SET k" + std::to_string(i) + " 1 PX 5");
    keyspace_->set_now_ms(keyspace_->now_ms() + 10);
    for (int i = 0; i < 5; ++i)
      keyspace_->read(keyspace_->hash("k" + std::to_string(i)), [](const EntryView&) {});
    {
      const FailingAllocations failing(n);
      try {
        hub_->tell_of_removed();
      } catch (const std::bad_alloc&) {
      }
      goes_on = failing.has_failed();
    }
    hub_->tell_of_removed();
    other_hub_->serve();
    for (Conversation* client : {&near, &far}) {
      const std::string told = client->pushes();
      for (int i = 0; i < 5; ++i) EXPECT_NE(told.find("k" + std::to_string(i)), std::string::npos) << n;
    }
  }
}

}  // namespace
}  // namespace memento::testing
