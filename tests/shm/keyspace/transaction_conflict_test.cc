// Bodies of transactions that others come in between: how often they run, and on what.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::get;
using testing::hashed;
using testing::make_segment;

class ShmTransactionConflicts : public ::testing::Test {
 protected:
  std::unique_ptr<Segment> segment_ = make_segment(64ull << 20);
  Keyspace keyspace_{*segment_, 1};
  Keyspace other_{*segment_, 2};  // comes in between
};

// A body whose keys nobody else changes runs once; of what it has read each read counts once.
TEST_F(ShmTransactionConflicts, ABodyRunsOnce) {
  int runs = 0;
  const std::vector<std::string> names{"a", "b", "c", "d"};
  const std::vector<HashedKey> keys = hashed(keyspace_, names);
  for (const bool is_whole : {false, true}) {
    const std::uint64_t misses = keyspace_.counter_sum(Counter::kMisses);
    const std::uint64_t hits = keyspace_.counter_sum(Counter::kHits);
    const auto body = [&] {
      ++runs;
      std::string value;
      for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string name = names[i] + (is_whole ? "w" : "");
        EXPECT_FALSE(get(keyspace_, name, &value));
        keyspace_.set(keyspace_.hash(name), "value");
        EXPECT_TRUE(get(keyspace_, name, &value));
      }
      return true;
    };
    EXPECT_EQ(is_whole ? keyspace_.transact_all(body) : keyspace_.transact(keys, body), WriteStatus::kDone);
    EXPECT_EQ(runs, is_whole ? 2 : 1);
    EXPECT_EQ(keyspace_.counter_sum(Counter::kMisses) - misses, 4u);
    EXPECT_EQ(keyspace_.counter_sum(Counter::kHits) - hits, 0u);  // of what it has written itself
  }
  EXPECT_EQ(keyspace_.transact(keys, [&] { return ++runs, false; }), WriteStatus::kUnchanged);
  EXPECT_EQ(runs, 3);
}

// What somebody else changes between a body's read and its commit makes it run again, on what is true then;
// what it has only written does not. In the end it runs under locks, and then nobody comes in between.
TEST_F(ShmTransactionConflicts, ConflictsRunItAgain) {
  const std::vector<std::string> names{"read", "written"};
  const std::vector<HashedKey> keys = hashed(keyspace_, names);
  ASSERT_EQ(other_.set(other_.hash("read"), "0"), WriteStatus::kDone);
  for (const int conflicts : {0, 1, 2}) {
    int runs = 0;
    const std::uint64_t hits = keyspace_.counter_sum(Counter::kHits);
    const WriteStatus status = keyspace_.transact(keys, [&] {
      std::string value;
      EXPECT_TRUE(get(keyspace_, "read", &value));
      if (runs < conflicts) other_.set(other_.hash("read"), std::to_string(runs));
      ++runs;
      keyspace_.set(keys[1], "read " + value);
      return true;
    });
    EXPECT_EQ(status, WriteStatus::kDone);
    EXPECT_EQ(runs, conflicts + 1);
    EXPECT_EQ(keyspace_.counter_sum(Counter::kHits) - hits, 1u);
    std::string read, written;
    ASSERT_TRUE(get(other_, "read", &read) && get(other_, "written", &written));
    EXPECT_EQ(written, "read " + read);
  }
  int runs = 0;
  EXPECT_EQ(keyspace_.transact(
                std::span(keys).last(1),
                [&] {
                  ++runs;
                  EXPECT_EQ(other_.set(other_.hash("written"), "by another"), WriteStatus::kDone);
                  EXPECT_EQ(other_.set(other_.hash("{written}neighbour"), "new"), WriteStatus::kDone);
                  keyspace_.set(keys[1], "blindly");
                  return true;
                }),
            WriteStatus::kDone);
  EXPECT_EQ(runs, 1);
  std::string written;
  EXPECT_TRUE(get(other_, "written", &written));
  EXPECT_EQ(written, "blindly");
  expect_sound(*segment_);
}

// The run that counts, under locks, may write less than those before it, or the same in another order.
TEST_F(ShmTransactionConflicts, TheLastRunWritesOtherKeysThanThoseBefore) {
  std::vector<std::string> names;  // by slot
  for (int i = 0; i < 6; ++i) names.push_back("key" + std::to_string(i));
  std::ranges::sort(names, {}, [](const std::string& name) { return slot_of_key(name); });
  const std::string neighbour = "{" + names[1] + "}neighbour";
  using Order = std::vector<std::string>;
  const std::vector<std::pair<Order, Order>> cases{
      {{names[5], names[0]}, {names[0]}},
      {{names[1], neighbour, names[4]}, {names[1], names[4], neighbour}},
      {{names[4], names[3], names[2], names[0]}, {names[2], names[3]}},
  };
  for (const auto& [before, last] : cases) {
    for (const std::string& name : before)
      ASSERT_EQ(other_.set(other_.hash(name), "old"), WriteStatus::kDone);
    int runs = 0;
    const std::vector<HashedKey> keys = hashed(keyspace_, before);
    EXPECT_EQ(keyspace_.transact(keys,
                                 [&] {
                                   std::string value;
                                   get(keyspace_, "read", &value);
                                   if (runs < 2) other_.set(other_.hash("read"), std::to_string(runs));
                                   ++runs;
                                   for (const std::string& name : runs <= 2 ? before : last)
                                     keyspace_.set(keyspace_.hash(name), name + std::to_string(runs));
                                   return true;
                                 }),
              WriteStatus::kDone);
    EXPECT_EQ(runs, 3);
    for (const std::string& name : before) {
      std::string value;
      ASSERT_TRUE(get(other_, name, &value)) << name;
      EXPECT_EQ(value, std::ranges::find(last, name) != last.end() ? name + "3" : "old") << name;
    }
    expect_sound(*segment_);
  }
}

// Others may change other keys of the slots that a long body reads, as often as they like; then its second
// run counts.
TEST_F(ShmTransactionConflicts, OtherKeysOfItsSlotsDoNotMatterToALongOne) {
  const std::vector<std::string> names{"{t}read", "{t}written"};
  const std::vector<HashedKey> keys = hashed(keyspace_, names);
  ASSERT_EQ(other_.set(other_.hash("{t}read"), "value"), WriteStatus::kDone);
  int runs = 0;
  const auto body = [&] {
    std::string value;
    EXPECT_TRUE(get(keyspace_, "{t}read", &value));
    EXPECT_FALSE(get(keyspace_, "{t}missing", &value));
    for (int i = 0; i < 100; ++i)
      EXPECT_EQ(other_.set(other_.hash("{t}neighbour" + std::to_string(i)), std::to_string(runs)),
                WriteStatus::kDone);
    EXPECT_EQ(other_.set(other_.hash("{t}written"), "by another"), WriteStatus::kDone);
    ++runs;
    keyspace_.set(keys[1], "from " + value);
    return true;
  };
  EXPECT_EQ(keyspace_.transact(keys, body), WriteStatus::kDone);
  EXPECT_EQ(runs, 2);
  std::string written;
  EXPECT_TRUE(get(other_, "{t}written", &written));
  EXPECT_EQ(written, "from value");
  expect_sound(*segment_);
}

// A body that refuses because of what it has read is believed only when that was true at one moment.
TEST_F(ShmTransactionConflicts, ARefusalIsBelievedWhenWhatItSawWasTrue) {
  const std::vector<std::string> names{"one", "two"};
  const std::vector<HashedKey> keys = hashed(keyspace_, names);
  ASSERT_EQ(other_.set(other_.hash("one"), "1"), WriteStatus::kDone);
  int runs = 0;
  std::string seen;
  EXPECT_EQ(keyspace_.transact(keys,
                               [&] {
                                 std::string value;
                                 seen = get(keyspace_, "one", &value) ? "one" : "";
                                 if (runs++ == 0) {
                                   other_.set(other_.hash("two"), "2");
                                   other_.erase(other_.hash("one"));
                                 }
                                 seen += get(keyspace_, "two", &value) ? "two" : "";
                                 return false;
                               }),
            WriteStatus::kUnchanged);
  EXPECT_EQ(seen, "two");
  EXPECT_EQ(runs, 2);
}

// A body may come to keys that it was not expected to use: without locks, and under them, where it has to
// begin again with their slots locked too.
TEST_F(ShmTransactionConflicts, LearnsItsKeys) {
  ASSERT_EQ(other_.set(other_.hash("pointer"), "0"), WriteStatus::kDone);
  int runs = 0;
  const auto body = [&] {
    std::string target;
    EXPECT_TRUE(get(keyspace_, "pointer", &target) || keyspace_.must_stop());
    if (runs++ < 2) other_.set(other_.hash("pointer"), std::to_string(runs));
    std::string value;
    get(keyspace_, "to " + target, &value);
    keyspace_.set(keyspace_.hash("to " + target), value + "x");
    return true;
  };
  EXPECT_EQ(keyspace_.transact({}, body), WriteStatus::kDone);
  std::string value;
  EXPECT_TRUE(get(other_, "to 2", &value));
  EXPECT_EQ(value, "x");
  EXPECT_EQ(other_.key_count(), 2u);
  expect_sound(*segment_);
}

// A body that takes long is never run under locks; when its keys change each time, it is given up.
TEST_F(ShmTransactionConflicts, ALongOneThatAlwaysConflictsIsGivenUp) {
  const std::vector<std::string> names{"key"};
  const std::vector<HashedKey> keys = hashed(keyspace_, names);
  int runs = 0;
  EXPECT_EQ(keyspace_.transact(keys,
                               [&] {
                                 std::string value;
                                 get(keyspace_, "key", &value);
                                 const std::int64_t end_ns = monotonic_time_ns() + 30'000'000;
                                 while (monotonic_time_ns() < end_ns) {
                                 }
                                 EXPECT_EQ(other_.set(other_.hash("key"), std::to_string(++runs)),
                                           WriteStatus::kDone);
                                 EXPECT_FALSE(keyspace_.must_stop());
                                 keyspace_.set(keys[0], "never");
                                 return true;
                               }),
            WriteStatus::kBusy);
  EXPECT_GT(runs, 2);
  std::string value;
  EXPECT_TRUE(get(other_, "key", &value));
  EXPECT_EQ(value, std::to_string(runs));
  expect_sound(*segment_);
}

// One that is brief, and long only when it has its locks, is told to stop.
TEST_F(ShmTransactionConflicts, UnderLocksItHasToEnd) {
  const std::vector<std::string> names{"key"};
  const std::vector<HashedKey> keys = hashed(keyspace_, names);
  int runs = 0;
  bool was_stopped = false;
  EXPECT_EQ(keyspace_.transact(keys,
                               [&] {
                                 std::string value;
                                 get(keyspace_, "key", &value);
                                 if (++runs <= 2) {
                                   other_.set(other_.hash("key"), std::to_string(runs));
                                 } else if (runs == 3) {
                                   while (!keyspace_.must_stop()) {
                                   }
                                   was_stopped = true;
                                   return false;
                                 }
                                 keyspace_.set(keys[0], "done");
                                 return true;
                               }),
            WriteStatus::kDone);
  EXPECT_TRUE(was_stopped);
  EXPECT_EQ(runs, 4);
  std::string value;
  EXPECT_TRUE(get(other_, "key", &value));
  EXPECT_EQ(value, "done");
}

}  // namespace
}  // namespace memento
