// Databases: the same names in each, kept apart; flushed and swapped as a whole, also while others work.
#include <linux/futex.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "shm/commit/robust_lock.h"
#include "shm/format/layout.h"
#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::get;
using testing::make_segment;

constexpr TimeMs kNow = 1'800'000'000'000;
constexpr DatabaseId kZero(0);
constexpr DatabaseId kOne(1);
constexpr DatabaseId kLast(kDatabaseLimit - 1);

class Databases : public ::testing::Test {
 protected:
  void SetUp() override {
    keyspace_.set_now_ms(kNow);
    for (const DatabaseId database : {kOne, kLast}) ASSERT_TRUE(keyspace_.open_database(database));
  }
  void TearDown() override { expect_sound(*segment_); }

  void set_in(DatabaseId database, const std::string& key, const std::string& value,
              TimeMs expiry_ms = kNoExpiry) {
    keyspace_.select(database);
    ASSERT_EQ(keyspace_.set(keyspace_.hash(key), value, {SetCondition::kAlways, expiry_ms, false}),
              WriteStatus::kDone);
  }
  std::string in(DatabaseId database, const std::string& key) {
    keyspace_.select(database);
    std::string value;
    return get(keyspace_, key, &value) ? value : "(nil)";
  }
  std::uint64_t count_in(DatabaseId database) {
    keyspace_.select(database);
    return keyspace_.key_count();
  }
  std::set<std::string> keys_in(DatabaseId database) {
    keyspace_.select(database);
    std::set<std::string> keys;
    ScanLimit no_limit{UINT64_MAX, UINT64_MAX};
    for (SlotId slot; slot < kSlotEnd; ++slot)
      keyspace_.scan(slot, 0, &no_limit, [&](std::string_view key) { keys.emplace(key); });
    return keys;
  }
  void flush(DatabaseId database) {
    keyspace_.select(database);
    keyspace_.flush_database();
  }

  std::unique_ptr<Segment> segment_ = make_segment(64 << 20);
  Keyspace keyspace_{*segment_, 1};
};

// One name has a value of its own in each database: short and long ones, an expiry, and what goes.
TEST_F(Databases, KeepTheSameNamesApart) {
  set_in(kZero, "key", "zero");
  set_in(kOne, "key", std::string(50'000, '1'));
  EXPECT_EQ(in(kLast, "key"), "(nil)");
  set_in(kLast, "key", "last", kNow + 1000);
  EXPECT_EQ(in(kZero, "key"), "zero");
  EXPECT_EQ(in(kOne, "key"), std::string(50'000, '1'));
  EXPECT_EQ(in(kLast, "key"), "last");
  EXPECT_EQ(keyspace_.expiring_key_count(), 1u);
  keyspace_.select(kOne);
  EXPECT_EQ(keyspace_.expiring_key_count(), 0u);
  EXPECT_EQ(keyspace_.erase(keyspace_.hash("key")), WriteStatus::kDone);
  EXPECT_EQ(in(kOne, "key"), "(nil)");
  EXPECT_EQ(in(kZero, "key"), "zero");
  keyspace_.set_now_ms(kNow + 2000);
  while (keyspace_.maintain(1'000'000)) {
  }
  EXPECT_EQ(count_in(kLast), 0u);
  EXPECT_EQ(count_in(kZero), 1u);
}

// A walk, a drawn key and a count see the keys of the database that is selected.
TEST_F(Databases, WalksSeeOne) {
  std::set<std::string> zero, one;
  for (int i = 0; i < 300; ++i) {
    set_in(kZero, *zero.insert("{t}zero" + std::to_string(i)).first, "v");
    set_in(kOne, *one.insert("{t}one" + std::to_string(i)).first, "v");
  }
  EXPECT_EQ(keys_in(kZero), zero);
  EXPECT_EQ(keys_in(kOne), one);
  EXPECT_EQ(keys_in(kLast).size(), 0u);
  std::mt19937_64 random(1);
  keyspace_.select(kOne);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(one.contains(*keyspace_.random_key(random)));
  keyspace_.select(kLast);
  EXPECT_FALSE(keyspace_.random_key(random));
}

// FLUSHDB takes the keys of one, gives their memory back, and the database is used on; FLUSHALL takes all.
TEST_F(Databases, AreFlushedOneByOne) {
  const std::uint64_t used_bytes = keyspace_.memory_used_bytes();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 2000; ++i) {
      set_in(kZero, "key" + std::to_string(i), "zero");
      set_in(kOne, "key" + std::to_string(i), std::string(500, '1'));
    }
    flush(kOne);
    EXPECT_EQ(count_in(kOne), 0u);
    EXPECT_EQ(keys_in(kOne).size(), 0u);
    EXPECT_EQ(count_in(kZero), 2000u);
    EXPECT_EQ(in(kZero, "key7"), "zero");
    set_in(kOne, "key7", "again");
    EXPECT_EQ(in(kOne, "key7"), "again");
    EXPECT_EQ(count_in(kOne), 1u);
  }
  keyspace_.flush();
  EXPECT_EQ(count_in(kZero) + count_in(kOne), 0u);
  while (keyspace_.maintain(1'000'000)) {
  }
  keyspace_.give_back();
  EXPECT_LE(keyspace_.memory_used_bytes(), used_bytes + (1 << 20));
}

TEST_F(Databases, AreSwapped) {
  for (int i = 0; i < 3000; ++i) set_in(kZero, "zero" + std::to_string(i), "z", kNow + 5000);
  for (int i = 0; i < 1000; ++i) set_in(kLast, "last" + std::to_string(i), "l");
  set_in(kOne, "key", "one");
  flush(kOne);  // what is flushed is no more afterwards either
  keyspace_.swap_databases(kZero, kLast);
  EXPECT_EQ(count_in(kZero), 1000u);
  EXPECT_EQ(keyspace_.expiring_key_count(), 0u);
  EXPECT_EQ(count_in(kLast), 3000u);
  EXPECT_EQ(keyspace_.expiring_key_count(), 3000u);
  EXPECT_EQ(in(kZero, "last7"), "l");
  EXPECT_EQ(in(kLast, "zero7"), "z");
  keyspace_.swap_databases(kOne, kLast);
  EXPECT_EQ(count_in(kLast), 0u);
  EXPECT_EQ(in(kOne, "zero7"), "z");
  keyspace_.swap_databases(kOne, kOne);
  EXPECT_EQ(count_in(kOne), 3000u);
}

// A transaction moves a key, and flushes one database among other changes; its body sees what it has done.
TEST_F(Databases, AreChangedByOneTransaction) {
  set_in(kZero, "key", "value");
  set_in(kOne, "old", "one");
  set_in(kOne, "{t}old", "one");
  const HashedKey from = Keyspace::in_database(kZero, keyspace_.hash("key"));
  const HashedKey to = Keyspace::in_database(kOne, from);
  const std::vector<HashedKey> keys{from, to};
  EXPECT_EQ(keyspace_.transact(keys,
                               [&] {
                                 EXPECT_FALSE(keyspace_.read(to, [](const EntryView&) {}));
                                 keyspace_.set(to, "value");
                                 keyspace_.erase(from);
                                 EXPECT_EQ(count_in(kZero), 0u);
                                 EXPECT_EQ(count_in(kOne), 3u);
                                 return true;
                               }),
            WriteStatus::kDone);
  EXPECT_EQ(in(kZero, "key"), "(nil)");
  EXPECT_EQ(in(kOne, "key"), "value");
  EXPECT_EQ(keyspace_.transact_all([&] {
    keyspace_.select(kZero);
    keyspace_.set(keyspace_.hash("zero"), "0");
    keyspace_.select(kOne);
    keyspace_.set(keyspace_.hash("gone"), "1");
    keyspace_.flush_database();
    keyspace_.set(keyspace_.hash("{t}new"), "1");
    EXPECT_EQ(keyspace_.key_count(), 1u);
    EXPECT_EQ(in(kOne, "old"), "(nil)");
    EXPECT_EQ(in(kZero, "zero"), "0");
    return true;
  }),
            WriteStatus::kDone);
  EXPECT_EQ(keys_in(kOne), (std::set<std::string>{"{t}new"}));
  EXPECT_EQ(keys_in(kZero), (std::set<std::string>{"zero"}));
}

// A mark does not mind what happens to the same name in another database, and minds what happens to its own.
TEST_F(Databases, AreWatched) {
  set_in(kZero, "there", "0");
  set_in(kOne, "there", "1");
  const auto mark_in = [&](DatabaseId database, const std::string& key) {
    keyspace_.select(database);
    return *keyspace_.mark(keyspace_.hash(key));
  };
  const auto holds = [&](DatabaseId database, const std::string& key, const ChangeMark& mark) {
    keyspace_.select(database);
    const HashedKey hashed = keyspace_.hash(key);
    bool is_unchanged = false;
    keyspace_.transact({}, [&] { return is_unchanged = keyspace_.is_unchanged(hashed, mark), false; });
    EXPECT_EQ(keyspace_.is_unchanged(hashed, mark), is_unchanged);
    return is_unchanged;
  };
  const ChangeMark zero = mark_in(kZero, "there");
  ChangeMark absent = mark_in(kZero, "absent");
  set_in(kOne, "there", "uno");
  set_in(kOne, "absent", "uno");
  flush(kLast);
  EXPECT_TRUE(holds(kZero, "there", zero));
  EXPECT_TRUE(holds(kZero, "absent", absent));
  ChangeMark one = mark_in(kOne, "there");
  flush(kOne);
  EXPECT_FALSE(holds(kOne, "there", one));
  EXPECT_TRUE(holds(kZero, "there", zero));
  keyspace_.swap_databases(kZero, kOne);
  EXPECT_FALSE(holds(kZero, "there", zero));
  EXPECT_TRUE(holds(kZero, "absent", absent));
  one = mark_in(kZero, "there");  // it is not there now, and comes back
  keyspace_.swap_databases(kZero, kOne);
  EXPECT_FALSE(holds(kZero, "there", one));
  EXPECT_FALSE(holds(kZero, "absent", absent));  // it may have been there in between
  absent = mark_in(kZero, "absent");
  flush(kZero);
  flush(kZero);
  EXPECT_TRUE(holds(kZero, "absent", absent));
}

// What a dead process has begun is done before its record says that it is: who keeps values in mind drops
// them then, and must not read again what was there before. The gate is held so long that it can be seen.
TEST_F(Databases, AreWholeBeforeTheDeadOneCounts) {
  segment_->header().database_change.store(1 | 1 << 16 | 1 << 24);  // FLUSHDB of 1 has begun
  const std::uint32_t before = segment_->process(2).incarnation.load();
  std::thread reaper;
  std::thread([&] {
    LockOwner owner(segment_->base(), 1);
    const LockGuard guard(owner, segment_->header().gate_lock);
    reaper = std::thread([&] { segment_->recover_process(2); });
    while ((segment_->header().gate_lock.word.load() & FUTEX_WAITERS) == 0) std::this_thread::yield();
    EXPECT_EQ(segment_->process(2).incarnation.load(), before);
  }).join();
  reaper.join();
  EXPECT_EQ(segment_->header().database_change.load(), 0u);
  EXPECT_EQ(segment_->process(2).incarnation.load(), before + 1);
}

// Memory is short: entries of all databases are moved when pages are emptied, and evicted.
TEST_F(Databases, ShareTheMemory) {
  ASSERT_TRUE(keyspace_.set_eviction(true));  // what it needs stays when it is switched off
  ASSERT_TRUE(keyspace_.set_eviction(false));
  std::map<std::string, std::string> kept;
  const auto fill = [&](std::size_t bytes) {
    for (int i = 0;; ++i) {
      keyspace_.select(i % 2 == 0 ? kOne : kLast);
      const std::string key = "key" + std::to_string(i);
      if (keyspace_.set(keyspace_.hash(key), std::string(bytes, 'f')) != WriteStatus::kDone) return i;
      if (i % 16 < 2) kept[key + (i % 2 == 0 ? " one" : " last")] = key;
    }
  };
  const int count = fill(100);
  ASSERT_GT(count, 100'000);
  for (int i = 0; i < count; ++i) {
    keyspace_.select(i % 2 == 0 ? kOne : kLast);
    if (i % 16 >= 2) (void)keyspace_.erase(keyspace_.hash("key" + std::to_string(i)));
  }
  keyspace_.set_now_ms(kNow + 1);  // it is not tried again within one
  keyspace_.select(kZero);
  int others = 0;  // of another size: the pages of the first have to be emptied
  while (keyspace_.set(keyspace_.hash("other" + std::to_string(others)), std::string(1000, 'o')) ==
         WriteStatus::kDone)
    ++others;
  EXPECT_GT(others, 20'000);
  for (const auto& [name, key] : kept)
    ASSERT_EQ(in(name.ends_with(" one") ? kOne : kLast, key), std::string(100, 'f')) << name;
  ASSERT_TRUE(keyspace_.set_eviction(true));
  const std::uint64_t before = count_in(kOne);
  for (int i = 0; i < 50'000; ++i) set_in(kLast, "new" + std::to_string(i), std::string(1000, 'n'));
  EXPECT_LT(count_in(kOne), before);
}

// While one thread swaps two databases again and again, others see each value in one of them, never in none
// or in both, and no write that was acknowledged is lost.
TEST(DatabasesThreads, SwapIsOneChange) {
  const auto segment = make_segment(32 << 20);
  {
    Keyspace keyspace(*segment, 1);
    ASSERT_TRUE(keyspace.open_database(kOne));
    keyspace.set(keyspace.hash("key"), "A");
    keyspace.set(Keyspace::in_database(kOne, keyspace.hash("key")), "B");
    for (int i = 0; i < 500; ++i) keyspace.set(keyspace.hash("more" + std::to_string(i)), "v");
  }
  std::atomic<bool> done{false};
  std::thread swapper([&] {
    Keyspace keyspace(*segment, 1);
    for (int i = 0; i < 300; ++i) keyspace.swap_databases(kZero, kOne);
    done.store(true);
  });
  std::thread reader([&] {
    Keyspace keyspace(*segment, 2);
    const HashedKey key = keyspace.hash("key");
    const std::vector<HashedKey> keys{key, Keyspace::in_database(kOne, key)};
    std::array<std::string, 2> values;
    while (!done.load()) {
      keyspace.read_many(
          keys, [&] { values = {}; },
          [&](std::size_t i, const EntryView* view) {
            if (view != nullptr) values[i].assign(view->value);
          });
      ASSERT_EQ(values[0] == "A" ? "AB" : "BA", values[0] + values[1]);
    }
  });
  std::uint64_t written = 0;
  std::thread writer([&] {
    Keyspace keyspace(*segment, 3);
    for (; !done.load() && written < 3000; ++written) {
      const std::string name = "written" + std::to_string(written);
      ASSERT_EQ(keyspace.set(keyspace.hash(name), "v"), WriteStatus::kDone);
    }
  });
  for (std::thread* thread : {&swapper, &reader, &writer}) thread->join();
  Keyspace keyspace(*segment, 4);
  std::uint64_t count = keyspace.key_count();
  keyspace.select(kOne);
  count += keyspace.key_count();
  EXPECT_EQ(count, 502 + written);
  expect_sound(*segment);
}

// While one thread swaps two databases again and again, others count the keys of one or the other, nothing in
// between.
TEST(DatabasesThreads, CountsDuringSwaps) {
  const auto segment = make_segment(32 << 20);
  {
    Keyspace keyspace(*segment, 1);
    ASSERT_TRUE(keyspace.open_database(kOne));
    for (int i = 0; i < 3000; ++i) {
      const std::string name = std::to_string(i);
      const HashedKey key = keyspace.hash(name);
      keyspace.set(key, "v", {SetCondition::kAlways, INT64_MAX, false});
      if (i < 1000) keyspace.set(Keyspace::in_database(kOne, key), "v");
    }
  }
  std::atomic<bool> done{false};
  std::thread swapper([&] {
    Keyspace keyspace(*segment, 1);
    for (int i = 0; i < 500; ++i) keyspace.swap_databases(kZero, kOne);
    done.store(true);
  });
  std::thread counter([&] {
    Keyspace keyspace(*segment, 2);
    std::set<std::uint64_t> keys;
    std::set<std::uint64_t> expiring;
    while (!done.load()) {
      keys.insert(keyspace.key_count());
      expiring.insert(keyspace.expiring_key_count());
    }
    const auto is_one_of = [](const std::set<std::uint64_t>& seen, std::uint64_t a, std::uint64_t b) {
      return std::ranges::all_of(seen, [&](std::uint64_t count) { return count == a || count == b; });
    };
    EXPECT_TRUE(is_one_of(keys, 1000, 3000));
    EXPECT_TRUE(is_one_of(expiring, 0, 3000));
  });
  for (std::thread* thread : {&swapper, &counter}) thread->join();
}

// What a thread has written to one database outlives the flushes of another, and none outlives its own.
TEST(DatabasesThreads, FlushOfOneLeavesOthers) {
  const auto segment = make_segment(32 << 20);
  {
    Keyspace keyspace(*segment, 1);
    ASSERT_TRUE(keyspace.open_database(kOne));
  }
  std::atomic<bool> done{false};
  std::thread flusher([&] {
    Keyspace keyspace(*segment, 1);
    keyspace.select(kOne);
    for (int i = 0; i < 300; ++i) {
      keyspace.flush_database();
      // Nobody but this thread writes there.
      ASSERT_EQ(keyspace.key_count(), 0u);
      for (int k = 0; k < 20; ++k) keyspace.set(keyspace.hash("key" + std::to_string(k)), "v");
      ASSERT_EQ(keyspace.key_count(), 20u);
    }
    done.store(true);
  });
  std::uint64_t written = 0;
  std::thread writer([&] {
    Keyspace keyspace(*segment, 2);
    for (; !done.load() && written < 20'000; ++written) {
      const std::string name = "key" + std::to_string(written);
      ASSERT_EQ(keyspace.set(keyspace.hash(name), "v"), WriteStatus::kDone);
      std::string value;
      ASSERT_TRUE(get(keyspace, name, &value));
    }
  });
  flusher.join();
  writer.join();
  Keyspace keyspace(*segment, 3);
  EXPECT_EQ(keyspace.key_count(), written);
  expect_sound(*segment);
}

}  // namespace
}  // namespace memento
