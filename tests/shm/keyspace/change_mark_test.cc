// Marks: a key was changed since, or not, whatever it looks like afterwards.
#include <functional>
#include <string>
#include <vector>

#include "shm/format/layout.h"
#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::make_segment;

constexpr TimeMs kNow = 1'800'000'000'000;

struct Case {
  const char* name;
  bool is_there;  ///< the key, before
  std::function<void(Keyspace&)> between;
  bool is_unchanged;
};

void set(Keyspace& keyspace, const std::string& key, const std::string& value, TimeMs expiry_ms = kNoExpiry) {
  ASSERT_EQ(keyspace.set(keyspace.hash(key), value, {SetCondition::kAlways, expiry_ms, false}),
            WriteStatus::kDone);
}
void erase(Keyspace& keyspace, const std::string& key) { keyspace.erase(keyspace.hash(key)); }
void rename(Keyspace& keyspace, const std::string& from, const std::string& to) {
  const std::vector<HashedKey> keys{keyspace.hash(from), keyspace.hash(to)};
  keyspace.transact(keys, [&] {
    std::string value;
    testing::get(keyspace, from, &value);
    keyspace.erase(keys[0]);
    keyspace.set(keys[1], value);
    return true;
  });
}
void expire(Keyspace& keyspace, const std::string& key, TimeMs expiry_ms) {
  keyspace.update(keyspace.hash(key), [&](const EntryView*) {
    return Change{Change::Action::kSetExpiry, {}, expiry_ms};
  });
}

const Case kCases[] = {
    {"nothing", true, [](Keyspace&) {}, true},
    {"nothing, absent", false, [](Keyspace&) {}, true},
    {"other keys of the slot", true,
     [](Keyspace& keyspace) {
       for (int i = 0; i < 1000; ++i) set(keyspace, "{t}" + std::to_string(i), "value");
     },
     true},
    {"other keys of the slot, absent", false,
     [](Keyspace& keyspace) {
       for (int i = 0; i < 1000; ++i) set(keyspace, "{t}" + std::to_string(i), "value");
     },
     true},
    {"set and erased, absent", false,
     [](Keyspace& keyspace) { set(keyspace, "{t}key", "v"), erase(keyspace, "{t}key"); }, false},
    {"erased and set to the same", true,
     [](Keyspace& keyspace) { erase(keyspace, "{t}key"), set(keyspace, "{t}key", "value"); }, false},
    {"set to the same", true, [](Keyspace& keyspace) { set(keyspace, "{t}key", "value"); }, false},
    {"renamed away and back", true,
     [](Keyspace& keyspace) { rename(keyspace, "{t}key", "{u}key"), rename(keyspace, "{u}key", "{t}key"); },
     false},
    {"an expiry set and taken away", true,
     [](Keyspace& keyspace) {
       expire(keyspace, "{t}key", kNow + 1000), expire(keyspace, "{t}key", kNoExpiry);
     },
     false},
    {"flushed", true, [](Keyspace& keyspace) { keyspace.flush(); }, false},
    {"flushed and set to the same", true,
     [](Keyspace& keyspace) { keyspace.flush(), set(keyspace, "{t}key", "value"); }, false},
    {"flushed, absent", false, [](Keyspace& keyspace) { keyspace.flush(); }, true},
    {"flushed and set, absent", false,
     [](Keyspace& keyspace) { keyspace.flush(), set(keyspace, "{t}key", "v"); }, false},
    {"swept", true, [](Keyspace& keyspace) { keyspace.maintain(1'000'000'000); }, true},
};

class ShmChangeMark : public ::testing::TestWithParam<Case> {};

TEST_P(ShmChangeMark, TellsWhetherTheKeyWasChanged) {
  auto segment = make_segment(64ull << 20);
  Keyspace watcher(*segment, 1);
  Keyspace other(*segment, 2);
  watcher.set_now_ms(kNow);
  other.set_now_ms(kNow);
  if (GetParam().is_there) set(other, "{t}key", "value");
  const HashedKey key = watcher.hash("{t}key");
  const std::optional<ChangeMark> mark = watcher.mark(key);
  ASSERT_TRUE(mark);
  EXPECT_TRUE(watcher.is_unchanged(key, *mark));
  GetParam().between(other);
  EXPECT_EQ(watcher.is_unchanged(key, *mark), GetParam().is_unchanged);
  testing::expect_sound(*segment);
}

INSTANTIATE_TEST_SUITE_P(Each, ShmChangeMark, ::testing::ValuesIn(kCases));

// A key that has expired since was changed, and one that had expired before was not there.
TEST(ShmChangeMarks, Expiry) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kNow);
  set(keyspace, "key", "value", kNow + 10);
  const HashedKey key = keyspace.hash("key");
  const ChangeMark before = *keyspace.mark(key);
  keyspace.set_now_ms(kNow + 10);
  EXPECT_FALSE(keyspace.is_unchanged(key, before));
  const ChangeMark behind = *keyspace.mark(key);
  EXPECT_TRUE(keyspace.is_unchanged(key, behind));
  set(keyspace, "key", "again");
  EXPECT_FALSE(keyspace.is_unchanged(key, behind));
}

// SWAPDB brings a key, which then goes without being changed by itself: by a flush, or because it expires.
TEST(ShmChangeMarks, WhatSwappingBroughtHasGoneAgain) {
  for (const char* const way : {"FLUSHDB", "FLUSHALL", "expiry"}) {
    auto segment = make_segment(64ull << 20);
    Keyspace keyspace(*segment, 1);
    keyspace.set_now_ms(kNow);
    ASSERT_TRUE(keyspace.open_database(DatabaseId(1)));
    keyspace.select(DatabaseId(1));
    set(keyspace, "key", "value", kNow + 10);
    keyspace.select(DatabaseId(0));
    const HashedKey key = keyspace.hash("key");
    const ChangeMark mark = *keyspace.mark(key);
    const ChangeMark other = *keyspace.mark(keyspace.hash("other"));
    keyspace.swap_databases(DatabaseId(0), DatabaseId(1));
    EXPECT_TRUE(keyspace.is_unchanged(keyspace.hash("other"), other));
    if (way == std::string("FLUSHDB")) keyspace.flush_database();
    if (way == std::string("FLUSHALL")) keyspace.flush();
    if (way == std::string("expiry")) keyspace.set_now_ms(kNow + 10);
    EXPECT_FALSE(keyspace.is_unchanged(key, mark)) << way;
    expect_sound(*segment);
  }
}

// What had expired when it was marked was not there, and nobody changes it by clearing it away.
TEST(ShmChangeMarks, ClearingAwayIsNoChange) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kNow);
  set(keyspace, "key", "value", kNow + 10);
  keyspace.set_now_ms(kNow + 10);
  const HashedKey key = keyspace.hash("key");
  const ChangeMark mark = *keyspace.mark(key);
  keyspace.maintain(1'000'000'000);
  EXPECT_TRUE(keyspace.is_unchanged(key, mark));
  expect_sound(*segment);
}

// A transaction that cannot be committed as it was first tried runs again, and does not take itself for
// another: this one is too long for a brief one's list, which shows when it is staged.
TEST(ShmChangeMarks, ATransactionSeesItsOwnTrialNotAsAChange) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  set(keyspace, "key", std::string(100'000, 'x'));
  const std::vector<HashedKey> keys{keyspace.hash("key")};
  const ChangeMark mark = *keyspace.mark(keys[0]);
  int runs = 0;
  bool was_unchanged = true;
  const WriteStatus status = keyspace.transact(keys, [&] {
    ++runs;
    was_unchanged &= keyspace.is_unchanged(keys[0], mark);
    keyspace.set(keys[0], "short");
    return was_unchanged;
  });
  EXPECT_EQ(status, WriteStatus::kDone);
  EXPECT_TRUE(was_unchanged);
  EXPECT_GT(runs, 1) << "then this test needs another way";
  EXPECT_FALSE(keyspace.is_unchanged(keys[0], mark));
  expect_sound(*segment);
}

// A mark of ten minutes ago is judged by the whole slot.
TEST(ShmChangeMarks, AnOldOneIsJudgedByItsSlot) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  const HashedKey key = keyspace.hash("{t}key");
  ChangeMark mark = *keyspace.mark(key);
  mark.marked_ms -= 601'000;
  EXPECT_TRUE(keyspace.is_unchanged(key, mark));
  set(keyspace, "{t}other", "value");
  EXPECT_FALSE(keyspace.is_unchanged(key, mark));
}

// A mark of another segment, or of before its processes died, says that everything has changed.
TEST(ShmChangeMarks, AnotherSegmentsIsNone) {
  auto one = make_segment(64ull << 20);
  auto other = make_segment(64ull << 20);
  Keyspace in_one(*one, 1);
  Keyspace in_other(*other, 2);
  const ChangeMark mark = *in_one.mark(in_one.hash("key"));
  EXPECT_TRUE(in_one.is_unchanged(in_one.hash("key"), mark));
  EXPECT_FALSE(in_other.is_unchanged(in_other.hash("key"), mark));
  one->header().recoveries.fetch_add(1);
  EXPECT_FALSE(in_one.is_unchanged(in_one.hash("key"), mark));
}

}  // namespace
}  // namespace memento
