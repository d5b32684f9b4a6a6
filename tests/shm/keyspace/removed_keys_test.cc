// Keys that expire or are evicted, as the keyspace notes them for those who are told: each once, whoever
// finds it, and none while nobody is told.
#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "shm/format/key_events.h"
#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento::testing {
namespace {

constexpr std::uint32_t kProcesses = 4;

std::string name(int i) { return "key:" + std::to_string(i); }

std::uint64_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Shows that of many processes that see keys expire at the same time, by reading, writing, sweeping and in
// transactions, one notes each.
TEST(ShmRemovedKeys, EachExpiryOnce) {
  constexpr int kKeys = 20'000;
  auto segment = make_segment(64 << 20);
  set_key_events(segment->header(), kExpiredEvents);
  {
    Keyspace keyspace(*segment, 0);
    for (int i = 0; i < kKeys; ++i)
      ASSERT_EQ(keyspace.set(keyspace.hash(name(i)), "v", {SetCondition::kAlways, 1000, false}),
                WriteStatus::kDone);
  }
  std::array<std::map<std::string, int>, kProcesses> noted;
  std::vector<std::thread> threads;
  for (std::uint32_t process = 1; process < kProcesses; ++process) {
    threads.emplace_back([&, process] {
      Keyspace keyspace(*segment, process);
      for (int i = 0; i < kKeys; ++i) {
        const std::string bytes = name(i);
        const HashedKey key = keyspace.hash(bytes);
        const auto action = (static_cast<std::uint32_t>(i) + process) % 5;
        if (action == 0) keyspace.read(key, [](const EntryView&) {});
        if (action == 1) keyspace.set(key, "new");
        if (action == 2) keyspace.update(key, [](const EntryView*) { return Change{}; });
        if (action == 3) keyspace.transact({&key, 1}, [&] { return keyspace.set(key, "new"), true; });
        if (i % 100 == 0) keyspace.maintain(100, true, {process - 1, kProcesses - 1});
        for (const RemovedKey& removed : keyspace.take_removed_keys().keys) {
          EXPECT_FALSE(removed.is_evicted);
          ++noted[process][removed.bytes];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::map<std::string, int> all;
  for (const auto& some : noted) {
    for (const auto& [key, count] : some) all[key] += count;
  }
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kKeys));
  for (const auto& [key, count] : all) ASSERT_EQ(count, 1) << key;
  expect_sound(*segment);
}

// Shows that a round of the sweep finds all keys of a share of the slots, in all databases, and only those
// that have expired.
TEST(ShmRemovedKeys, SweepOfAShare) {
  auto segment = make_segment(64 << 20);
  set_key_events(segment->header(), kExpiredEvents);
  Keyspace keyspace(*segment, 1);
  for (const std::uint32_t database : {0u, 7u}) {
    ASSERT_TRUE(keyspace.open_database(DatabaseId(database)));
    keyspace.select(DatabaseId(database));
    for (int i = 0; i < 1000; ++i)
      keyspace.set(keyspace.hash(name(i)), "v",
                   {SetCondition::kAlways, i % 2 == 0 ? 1000 : INT64_MAX, false});
  }
  std::set<std::pair<std::uint32_t, std::string>> gone;
  while (keyspace.maintain(1'000'000, true, {0, 1})) {
  }
  for (const RemovedKey& removed : keyspace.take_removed_keys().keys)
    EXPECT_TRUE(gone.emplace(database_of(removed.slot).value, removed.bytes).second);
  EXPECT_EQ(gone.size(), 1000u);
  for (const auto& [database, key] : gone) {
    EXPECT_TRUE(database == 0 || database == 7);
    EXPECT_EQ(std::stoi(key.substr(4)) % 2, 0);
  }
}

// Shows that the keys of a process's share are gone long before a sweep of all slots comes to them.
TEST(ShmRemovedKeys, ShareComesFirst) {
  constexpr int kKeys = 20'000;
  constexpr WorkShare kShare{3, 8};
  auto segment = make_segment(64 << 20);
  set_key_events(segment->header(), kExpiredEvents);
  Keyspace keyspace(*segment, 1);
  std::size_t left = 0;
  for (int i = 0; i < kKeys; ++i) {
    const std::string bytes = name(i);
    const HashedKey key = keyspace.hash(bytes);
    keyspace.set(key, "v", {SetCondition::kAlways, 1000, false});
    left += key.slot.value % kShare.count == kShare.index;
  }
  ASSERT_GT(left, 1000u);
  std::size_t gone = 0;
  while (left > 0) {
    keyspace.maintain(1, true, kShare);
    for (const RemovedKey& removed : keyspace.take_removed_keys().keys) {
      ++gone;
      left -= removed.slot.value % kShare.count == kShare.index;
    }
  }
  EXPECT_LT(gone, kKeys / 2u);
}

// Shows that a transaction that reads the same expired keys again and again notes each once, and that they
// are gone behind it.
TEST(ShmRemovedKeys, ATransactionNotesWhatItReadsOnce) {
  auto segment = make_segment(64 << 20);
  set_key_events(segment->header(), kExpiredEvents);
  Keyspace keyspace(*segment, 1);
  for (int i = 0; i < 3; ++i) keyspace.set(keyspace.hash(name(i)), "v", {SetCondition::kAlways, 1000, false});
  std::uint64_t grown_bytes = 0;
  keyspace.transact({}, [&] {
    const std::uint64_t before = allocated_bytes();
    for (int i = 0; i < 100'000; ++i) {
      const std::string bytes = name(i % 3);
      EXPECT_FALSE(keyspace.read(keyspace.hash(bytes), [](const EntryView&) {}));
    }
    grown_bytes = allocated_bytes() - before;
    return true;
  });
  EXPECT_LT(grown_bytes, 100'000u);
  EXPECT_EQ(keyspace.take_removed_keys().keys.size(), 3u);
}

// Shows that each evicted key is noted, short or long, and that nothing is while nobody is told.
TEST(ShmRemovedKeys, Evicted) {
  for (const bool tells : {true, false}) {
    auto segment = make_segment(16 << 20);
    ASSERT_TRUE(Keyspace(*segment, 0).set_eviction(true));
    if (tells) set_key_events(segment->header(), kEvictedEvents);
    Keyspace keyspace(*segment, 1);
    std::set<std::string> live;
    for (int i = 0; i < 3000; ++i) {
      const std::string value(i % 10 == 0 ? 100'000 : 5000, 'v');
      ASSERT_EQ(keyspace.set(keyspace.hash(name(i)), value), WriteStatus::kDone);
      live.insert(name(i));
      for (const RemovedKey& removed : keyspace.take_removed_keys().keys) {
        EXPECT_TRUE(removed.is_evicted);
        EXPECT_EQ(live.erase(removed.bytes), 1u) << removed.bytes;
      }
    }
    EXPECT_GT(keyspace.counter_sum(Counter::kEvicted), 1000u);
    if (!tells) {
      EXPECT_EQ(live.size(), 3000u);
      continue;
    }
    EXPECT_EQ(live.size(), keyspace.key_count());
    for (const std::string& key : live)
      EXPECT_TRUE(keyspace.read(keyspace.hash(key), [](const EntryView&) {})) << key;
  }
}

}  // namespace
}  // namespace memento::testing
