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

// A body whose keys nobody else changes runs once; of what it has read each read counts once.
TEST(ShmTransactionConflicts, ABodyRunsOnce) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  int runs = 0;
  const std::vector<std::string> names{"a", "b", "c", "d"};
  const std::vector<HashedKey> keys = hashed(keyspace, names);
  for (const bool is_whole : {false, true}) {
    const std::uint64_t misses = keyspace.counter_sum(Counter::kMisses);
    const std::uint64_t hits = keyspace.counter_sum(Counter::kHits);
    const auto body = [&] {
      ++runs;
      std::string value;
      for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string name = names[i] + (is_whole ? "w" : "");
        EXPECT_FALSE(get(keyspace, name, &value));
        keyspace.set(keyspace.hash(name), "value");
        EXPECT_TRUE(get(keyspace, name, &value));
      }
      return true;
    };
    EXPECT_EQ(is_whole ? keyspace.transact_all(body) : keyspace.transact(keys, body), WriteStatus::kDone);
    EXPECT_EQ(runs, is_whole ? 2 : 1);
    EXPECT_EQ(keyspace.counter_sum(Counter::kMisses) - misses, 4u);
    EXPECT_EQ(keyspace.counter_sum(Counter::kHits) - hits, 0u);  // of what it has written itself
  }
  EXPECT_EQ(keyspace.transact(keys, [&] { return ++runs, false; }), WriteStatus::kUnchanged);
  EXPECT_EQ(runs, 3);
}

// What somebody else changes between a body's read and its commit makes it run again, on what is true then;
// what it has only written does not. In the end it runs under locks, and then nobody comes in between.
TEST(ShmTransactionConflicts, ConflictsRunItAgain) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  Keyspace other(*segment, 2);
  const std::vector<std::string> names{"read", "written"};
  const std::vector<HashedKey> keys = hashed(keyspace, names);
  ASSERT_EQ(other.set(other.hash("read"), "0"), WriteStatus::kDone);
  for (const int conflicts : {0, 1, 2}) {
    int runs = 0;
    const std::uint64_t hits = keyspace.counter_sum(Counter::kHits);
    const WriteStatus status = keyspace.transact(keys, [&] {
      std::string value;
      EXPECT_TRUE(get(keyspace, "read", &value));
      if (runs < conflicts) other.set(other.hash("read"), std::to_string(runs));
      ++runs;
      keyspace.set(keys[1], "read " + value);
      return true;
    });
    EXPECT_EQ(status, WriteStatus::kDone);
    EXPECT_EQ(runs, conflicts + 1);
    EXPECT_EQ(keyspace.counter_sum(Counter::kHits) - hits, 1u);
    std::string read, written;
    ASSERT_TRUE(get(other, "read", &read) && get(other, "written", &written));
    EXPECT_EQ(written, "read " + read);
  }
  int runs = 0;
  EXPECT_EQ(keyspace.transact(std::span(keys).last(1),
                              [&] {
                                ++runs;
                                EXPECT_EQ(other.set(other.hash("written"), "by another"), WriteStatus::kDone);
                                EXPECT_EQ(other.set(other.hash("{written}neighbour"), "new"),
                                          WriteStatus::kDone);
                                keyspace.set(keys[1], "blindly");
                                return true;
                              }),
            WriteStatus::kDone);
  EXPECT_EQ(runs, 1);
  std::string written;
  EXPECT_TRUE(get(other, "written", &written));
  EXPECT_EQ(written, "blindly");
  expect_sound(*segment);
}

// The run that counts, under locks, may write less than those before it, or the same in another order.
TEST(ShmTransactionConflicts, TheLastRunWritesOtherKeysThanThoseBefore) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  Keyspace other(*segment, 2);
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
    for (const std::string& name : before) ASSERT_EQ(other.set(other.hash(name), "old"), WriteStatus::kDone);
    int runs = 0;
    const std::vector<HashedKey> keys = hashed(keyspace, before);
    EXPECT_EQ(keyspace.transact(keys,
                                [&] {
                                  std::string value;
                                  get(keyspace, "read", &value);
                                  if (runs < 2) other.set(other.hash("read"), std::to_string(runs));
                                  ++runs;
                                  for (const std::string& name : runs <= 2 ? before : last)
                                    keyspace.set(keyspace.hash(name), name + std::to_string(runs));
                                  return true;
                                }),
              WriteStatus::kDone);
    EXPECT_EQ(runs, 3);
    for (const std::string& name : before) {
      std::string value;
      ASSERT_TRUE(get(other, name, &value)) << name;
      EXPECT_EQ(value, std::ranges::find(last, name) != last.end() ? name + "3" : "old") << name;
    }
    expect_sound(*segment);
  }
}

// Others may change other keys of the slots that a long body reads, as often as they like; then its second
// run counts.
TEST(ShmTransactionConflicts, OtherKeysOfItsSlotsDoNotMatterToALongOne) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  Keyspace other(*segment, 2);
  const std::vector<std::string> names{"{t}read", "{t}written"};
  const std::vector<HashedKey> keys = hashed(keyspace, names);
  ASSERT_EQ(other.set(other.hash("{t}read"), "value"), WriteStatus::kDone);
  int runs = 0;
  const auto body = [&] {
    std::string value;
    EXPECT_TRUE(get(keyspace, "{t}read", &value));
    EXPECT_FALSE(get(keyspace, "{t}missing", &value));
    for (int i = 0; i < 100; ++i)
      EXPECT_EQ(other.set(other.hash("{t}neighbour" + std::to_string(i)), std::to_string(runs)),
                WriteStatus::kDone);
    EXPECT_EQ(other.set(other.hash("{t}written"), "by another"), WriteStatus::kDone);
    ++runs;
    keyspace.set(keys[1], "from " + value);
    return true;
  };
  EXPECT_EQ(keyspace.transact(keys, body), WriteStatus::kDone);
  EXPECT_EQ(runs, 2);
  std::string written;
  EXPECT_TRUE(get(other, "{t}written", &written));
  EXPECT_EQ(written, "from value");
  expect_sound(*segment);
}

// A body that refuses because of what it has read is believed only when that was true at one moment.
TEST(ShmTransactionConflicts, ARefusalIsBelievedWhenWhatItSawWasTrue) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  Keyspace other(*segment, 2);
  const std::vector<std::string> names{"one", "two"};
  const std::vector<HashedKey> keys = hashed(keyspace, names);
  ASSERT_EQ(other.set(other.hash("one"), "1"), WriteStatus::kDone);
  int runs = 0;
  std::string seen;
  EXPECT_EQ(keyspace.transact(keys,
                              [&] {
                                std::string value;
                                seen = get(keyspace, "one", &value) ? "one" : "";
                                if (runs++ == 0) {
                                  other.set(other.hash("two"), "2");
                                  other.erase(other.hash("one"));
                                }
                                seen += get(keyspace, "two", &value) ? "two" : "";
                                return false;
                              }),
            WriteStatus::kUnchanged);
  EXPECT_EQ(seen, "two");
  EXPECT_EQ(runs, 2);
}

// A body may come to keys that it was not expected to use: without locks, and under them, where it has to
// begin again with their slots locked too.
TEST(ShmTransactionConflicts, LearnsItsKeys) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  Keyspace other(*segment, 2);
  ASSERT_EQ(other.set(other.hash("pointer"), "0"), WriteStatus::kDone);
  int runs = 0;
  const auto body = [&] {
    std::string target;
    EXPECT_TRUE(get(keyspace, "pointer", &target) || keyspace.must_stop());
    if (runs++ < 2) other.set(other.hash("pointer"), std::to_string(runs));
    std::string value;
    get(keyspace, "to " + target, &value);
    keyspace.set(keyspace.hash("to " + target), value + "x");
    return true;
  };
  EXPECT_EQ(keyspace.transact({}, body), WriteStatus::kDone);
  std::string value;
  EXPECT_TRUE(get(other, "to 2", &value));
  EXPECT_EQ(value, "x");
  EXPECT_EQ(other.key_count(), 2u);
  expect_sound(*segment);
}

// A body that takes long is never run under locks; when its keys change each time, it is given up.
TEST(ShmTransactionConflicts, ALongOneThatAlwaysConflictsIsGivenUp) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  Keyspace other(*segment, 2);
  const std::vector<std::string> names{"key"};
  const std::vector<HashedKey> keys = hashed(keyspace, names);
  int runs = 0;
  EXPECT_EQ(keyspace.transact(keys,
                              [&] {
                                std::string value;
                                get(keyspace, "key", &value);
                                const std::int64_t end_ns = monotonic_time_ns() + 30'000'000;
                                while (monotonic_time_ns() < end_ns) {
                                }
                                EXPECT_EQ(other.set(other.hash("key"), std::to_string(++runs)),
                                          WriteStatus::kDone);
                                EXPECT_FALSE(keyspace.must_stop());
                                keyspace.set(keys[0], "never");
                                return true;
                              }),
            WriteStatus::kBusy);
  EXPECT_GT(runs, 2);
  std::string value;
  EXPECT_TRUE(get(other, "key", &value));
  EXPECT_EQ(value, std::to_string(runs));
  expect_sound(*segment);
}

// One that is brief, and long only when it has its locks, is told to stop.
TEST(ShmTransactionConflicts, UnderLocksItHasToEnd) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  Keyspace other(*segment, 2);
  const std::vector<std::string> names{"key"};
  const std::vector<HashedKey> keys = hashed(keyspace, names);
  int runs = 0;
  bool was_stopped = false;
  EXPECT_EQ(keyspace.transact(keys,
                              [&] {
                                std::string value;
                                get(keyspace, "key", &value);
                                if (++runs <= 2) {
                                  other.set(other.hash("key"), std::to_string(runs));
                                } else if (runs == 3) {
                                  while (!keyspace.must_stop()) {
                                  }
                                  was_stopped = true;
                                  return false;
                                }
                                keyspace.set(keys[0], "done");
                                return true;
                              }),
            WriteStatus::kDone);
  EXPECT_TRUE(was_stopped);
  EXPECT_EQ(runs, 4);
  std::string value;
  EXPECT_TRUE(get(other, "key", &value));
  EXPECT_EQ(value, "done");
}

}  // namespace
}  // namespace memento
