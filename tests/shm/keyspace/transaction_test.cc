// Changes to several keys at once: against a map, with FLUSH among them, and when memory is short.
#include <map>
#include <new>
#include <random>
#include <string>
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
