// Changes to several keys at once: against a map, under threads, with FLUSH among them, and when memory is
// short.
#include <algorithm>
#include <atomic>
#include <map>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::get;
using testing::hashed;
using testing::make_segment;

Change appended(const EntryView* old, std::string_view tail) {
  return Change{
      Change::Action::kReplace, {old != nullptr ? old->value : std::string_view(), tail}, kNoExpiry};
}

class TransactionModel {
 public:
  TransactionModel() : segment_(make_segment(256ull << 20)), keyspace_(*segment_, 1) {}

  // One transaction of random changes; a third of them is given up, and a few flush.
  void step() {
    const bool is_whole = random_() % 8 == 0;
    const bool gives_up = random_() % 3 == 0;
    std::vector<std::string> names;
    for (std::uint64_t i = random_() % 40 + 1; i > 0; --i) names.push_back(name());
    const std::uint64_t seed = random_();
    std::map<std::string, std::string> outcome;
    const auto body = [&] {
      outcome = model_;
      std::mt19937_64 choice(seed);
      for (const std::string& key : names) change(key, is_whole, choice, outcome);
      EXPECT_EQ(keyspace_.key_count(), outcome.size());
      return !gives_up;
    };
    const std::vector<HashedKey> keys = hashed(keyspace_, names);
    const WriteStatus status = is_whole ? keyspace_.transact_all(body) : keyspace_.transact(keys, body);
    if (gives_up) {
      EXPECT_EQ(status, WriteStatus::kUnchanged);
    } else {
      model_ = outcome;
    }
  }

  void expect_as_modelled() {
    EXPECT_EQ(keyspace_.key_count(), model_.size());
    for (const auto& [key, value] : model_) {
      std::string found;
      ASSERT_TRUE(get(keyspace_, key, &found)) << key;
      ASSERT_EQ(found, value) << key;
    }
    expect_sound(*segment_);
  }

 private:
  // Many keys share a slot, so that a transaction changes it in several places.
  std::string name() {
    const std::string number = std::to_string(random_() % 400);
    return random_() % 2 == 0 ? "{tag}" + number : "key" + number;
  }
  static std::string value(std::mt19937_64& choice) {
    const std::uint64_t kind = choice() % 100;
    return std::string(kind < 90   ? choice() % 300
                       : kind < 97 ? choice() % 9000
                                   : 40'000 + choice() % 90'000,
                       static_cast<char>('a' + choice() % 26));
  }

  void change(const std::string& key, bool may_flush, std::mt19937_64& choice,
              std::map<std::string, std::string>& outcome) {
    const HashedKey hashed_key = keyspace_.hash(key);
    const std::uint64_t what = choice() % 100;
    if (may_flush && what < 3) {
      keyspace_.flush();
      outcome.clear();
    } else if (what < 50) {
      const std::string text = value(choice);
      EXPECT_EQ(keyspace_.set(hashed_key, text), WriteStatus::kDone);
      outcome[key] = text;
    } else if (what < 75) {
      EXPECT_EQ(keyspace_.erase(hashed_key) == WriteStatus::kDone, outcome.erase(key) == 1);
    } else if (what < 85) {
      keyspace_.update(hashed_key, [](const EntryView* old) { return appended(old, "tail"); });
      outcome[key] += "tail";
    } else {
      std::string found;
      const auto at = outcome.find(key);
      EXPECT_EQ(get(keyspace_, key, &found), at != outcome.end());
      EXPECT_EQ(found, at != outcome.end() ? at->second : "");
    }
  }

  std::unique_ptr<Segment> segment_;
  Keyspace keyspace_;
  std::mt19937_64 random_{7};
  std::map<std::string, std::string> model_;
};

// Random transactions do what the same changes do to a map, and what was given up does nothing.
TEST(ShmTransaction, RandomChanges) {
  TransactionModel model;
  for (int step = 0; step < 5000 && !::testing::Test::HasFailure(); ++step) model.step();
  model.expect_as_modelled();
}

// Ten thousand keys at once, in one slot and over all, which takes a redo list longer than a record's and
// more slots than a robust list holds.
TEST(ShmTransaction, ManyKeys) {
  auto segment = make_segment(128ull << 20);
  Keyspace keyspace(*segment, 1);
  for (const char* prefix : {"{one}", "key"}) {
    std::vector<std::string> names;
    for (int i = 0; i < 10'000; ++i) names.push_back(prefix + std::to_string(i));
    const std::vector<HashedKey> keys = hashed(keyspace, names);
    for (const std::string value : {"first", "the second value"}) {
      EXPECT_EQ(keyspace.transact(keys,
                                  [&] {
                                    for (const HashedKey& key : keys) keyspace.set(key, value);
                                    return true;
                                  }),
                WriteStatus::kDone);
      std::size_t found = 0;
      keyspace.read_many(
          keys, [&] { found = 0; },
          [&](std::size_t, const EntryView* view) { found += view != nullptr && view->value == value; });
      EXPECT_EQ(found, names.size());
    }
  }
  expect_sound(*segment);
}

// When memory does not suffice for all, nothing is changed, and what was reserved is free again.
TEST(ShmTransaction, OutOfMemoryChangesNothing) {
  auto segment = make_segment(24ull << 20);
  Keyspace keyspace(*segment, 1);
  std::vector<std::string> names;
  for (int i = 0; i < 200; ++i) names.push_back("key" + std::to_string(i));
  const std::vector<HashedKey> keys = hashed(keyspace, names);
  EXPECT_EQ(keyspace.set(keys[0], "old"), WriteStatus::kDone);
  const std::string large(200'000, 'x');
  EXPECT_EQ(keyspace.transact(keys,
                              [&] {
                                for (const HashedKey& key : keys) keyspace.set(key, large);
                                return true;
                              }),
            WriteStatus::kOutOfMemory);
  EXPECT_EQ(keyspace.key_count(), 1u);
  std::string found;
  EXPECT_TRUE(get(keyspace, names[0], &found));
  EXPECT_EQ(found, "old");
  EXPECT_EQ(keyspace.transact(std::span(keys).first(20),
                              [&] {
                                for (const HashedKey& key : std::span(keys).first(20))
                                  keyspace.set(key, large);
                                return true;
                              }),
            WriteStatus::kDone);
  expect_sound(*segment);
}

// A body whose keys nobody else changes runs once; of what it has read each read counts once.
TEST(ShmTransaction, ABodyRunsOnce) {
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
TEST(ShmTransaction, ConflictsRunItAgain) {
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
TEST(ShmTransaction, TheLastRunWritesOtherKeysThanThoseBefore) {
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
TEST(ShmTransaction, OtherKeysOfItsSlotsDoNotMatterToALongOne) {
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
TEST(ShmTransaction, ARefusalIsBelievedWhenWhatItSawWasTrue) {
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
TEST(ShmTransaction, LearnsItsKeys) {
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
TEST(ShmTransaction, ALongOneThatAlwaysConflictsIsGivenUp) {
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
TEST(ShmTransaction, UnderLocksItHasToEnd) {
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

// Memory that a body asks for and does not get ends the transaction, not the process, and locks nothing.
TEST(ShmTransaction, AnAllocationThatFailsInABody) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  Keyspace other(*segment, 2);
  const std::vector<std::string> names{"key"};
  const std::vector<HashedKey> keys = hashed(keyspace, names);
  for (const int conflicts : {0, 2}) {
    int runs = 0;
    EXPECT_EQ(keyspace.transact(keys,
                                [&]() -> bool {
                                  std::string value;
                                  get(keyspace, "key", &value);
                                  keyspace.set(keys[0], "lost");
                                  if (runs++ == conflicts) throw std::bad_alloc();
                                  other.set(other.hash("key"), "other");
                                  return true;
                                }),
              WriteStatus::kOutOfMemory);
    EXPECT_EQ(runs, conflicts + 1);
    EXPECT_EQ(other.set(other.hash("key"), "other"), WriteStatus::kDone);
    EXPECT_EQ(keyspace.set(keys[0], "kept"), WriteStatus::kDone);
  }
  expect_sound(*segment);
}

}  // namespace
}  // namespace memento
