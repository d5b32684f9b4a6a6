// Memory that gets short: compaction after sizes shifted, eviction against exact LRU, and both under threads.
#include <algorithm>
#include <atomic>
#include <list>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "shm/format/layout.h"
#include "tests/shm/keyspace/keyspace_fixture.h"
#include "tests/shm/keyspace/zipf.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::get;
using testing::make_segment;

std::string name(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return "key:" + std::string(12 - digits.size(), '0') + digits;
}

// Stores keys from `first` on until memory is full; how many.
std::uint64_t fill(Keyspace& keyspace, std::uint64_t first, const std::string& value) {
  std::uint64_t count = 0;
  while (keyspace.set(keyspace.hash(name(first + count)), value) == WriteStatus::kDone) ++count;
  return count;
}

// Removes so many of a hundred of the keys below `count`, chosen at random; how many.
std::uint64_t thin_out(Keyspace& keyspace, std::uint64_t count, std::uint64_t percent) {
  std::mt19937_64 random(11);
  std::uint64_t removed = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (random() % 100 < percent) removed += keyspace.erase(keyspace.hash(name(i))) == WriteStatus::kDone;
  }
  return removed;
}

struct Shift {
  std::size_t value_bytes_before;
  std::size_t value_bytes_after;
};

class ShmShiftingSizes : public ::testing::TestWithParam<Shift> {};

// A store full of one size of values, of which nine in ten are removed at random, takes as many values of
// another size as 85 % of that part of an empty one takes.
TEST_P(ShmShiftingSizes, FreedMemoryIsUsedAgain) {
  constexpr std::uint64_t kBytes = 96ull << 20;
  const std::string large_or_small(GetParam().value_bytes_after, 'b');
  auto empty = make_segment(kBytes, 2);
  Keyspace into_empty(*empty, 1);
  const std::uint64_t capacity = fill(into_empty, 0, large_or_small);

  auto segment = make_segment(kBytes, 2);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(1'800'000'000'000);
  const std::uint64_t before = fill(keyspace, 0, std::string(GetParam().value_bytes_before, 'a'));
  const std::uint64_t removed = thin_out(keyspace, before, 90);
  keyspace.set_now_ms(1'800'000'000'001);
  const std::uint64_t after = fill(keyspace, 1'000'000'000, large_or_small);
  const double freed = static_cast<double>(removed) / static_cast<double>(before);
  const double used = static_cast<double>(after) / static_cast<double>(capacity);
  EXPECT_GE(used, 0.85 * freed);
  std::printf("%zu then %zu bytes: %.1f %% of the freed memory used again\n", GetParam().value_bytes_before,
              GetParam().value_bytes_after, 100 * used / freed);
  std::string value;
  std::mt19937_64 random(11);
  for (std::uint64_t i = 0; i < before; ++i) {
    const bool was_removed = random() % 100 < 90;
    ASSERT_EQ(get(keyspace, name(i), &value), !was_removed) << i;
    if (!was_removed) {
      ASSERT_EQ(value, std::string(GetParam().value_bytes_before, 'a')) << i;
    }
  }
  expect_sound(*segment);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ShmShiftingSizes,
                         ::testing::Values(Shift{100, 10'240}, Shift{10'240, 100}, Shift{32, 2000},
                                           Shift{2000, 32}, Shift{100, 200'000}, Shift{50'000, 100}));

/// Exact LRU, for comparison.
class Lru {
 public:
  explicit Lru(std::size_t capacity) : capacity_(capacity) {}
  bool touch(std::uint64_t key) {
    const auto at = places_.find(key);
    if (at != places_.end()) {
      order_.splice(order_.begin(), order_, at->second);
      return true;
    }
    order_.push_front(key);
    places_[key] = order_.begin();
    if (order_.size() > capacity_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    return false;
  }

 private:
  std::size_t capacity_;
  std::list<std::uint64_t> order_;
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> places_;
};

// Reads by a Zipf distribution, each miss stored: eviction hits at least as often as exact LRU over as many
// keys.
TEST(ShmEviction, HitsAsOftenAsLru) {
  constexpr std::uint64_t kKeys = 1'000'000;
  constexpr int kReads = 3'000'000;
  auto segment = make_segment(17ull << 20, 1);
  Keyspace keyspace(*segment, 1);
  ASSERT_TRUE(keyspace.set_eviction(true));
  const std::string value(32, 'v');
  const testing::Zipf zipf(kKeys, 1.0);
  std::mt19937_64 random(3);
  std::vector<std::uint64_t> trace(kReads);
  for (std::uint64_t& key : trace) key = zipf(random);
  int hits = 0;
  std::uint64_t most_keys = 0;
  for (int i = 0; i < kReads; ++i) {
    const std::string text = name(trace[static_cast<std::size_t>(i)]);
    std::string found;
    if (get(keyspace, text, &found)) {
      hits += i >= kReads / 3;
    } else {
      ASSERT_EQ(keyspace.set(keyspace.hash(text), value), WriteStatus::kDone);
    }
    if (i % 10'000 == 0) most_keys = std::max(most_keys, keyspace.key_count());
  }
  Lru lru(most_keys);
  int lru_hits = 0;
  for (int i = 0; i < kReads; ++i) {
    const bool hit = lru.touch(trace[static_cast<std::size_t>(i)]);
    lru_hits += hit && i >= kReads / 3;
  }
  constexpr double kCounted = kReads - kReads / 3;
  std::printf("%llu of %llu keys kept; hit rate %.2f %%, exact LRU of as many keys %.2f %%\n",
              static_cast<unsigned long long>(most_keys), static_cast<unsigned long long>(kKeys),
              100 * hits / kCounted, 100 * lru_hits / kCounted);
  EXPECT_GE(hits, lru_hits);
  expect_sound(*segment);
}

// With eviction every write finds room, whatever its size, and what is found is what was stored.
TEST(ShmEviction, EveryWriteFindsRoom) {
  auto segment = make_segment(24ull << 20, 1);
  Keyspace keyspace(*segment, 1);
  ASSERT_TRUE(keyspace.set_eviction(true));
  std::mt19937_64 random(5);
  TimeMs now = 1'800'000'000'000;
  for (int i = 0; i < 200'000; ++i) {
    keyspace.set_now_ms(now += static_cast<TimeMs>(i % 100 == 0));
    const std::uint64_t number = random() % 50'000;
    const std::size_t bytes = random() % 100 < 90   ? random() % 200
                              : random() % 100 < 95 ? random() % 9000
                                                    : random() % 120'000;
    const std::string value(bytes, static_cast<char>('a' + number % 26));
    if (random() % 3 == 0) {
      std::string found;
      if (get(keyspace, name(number), &found)) {
        ASSERT_EQ(found, std::string(found.size(), static_cast<char>('a' + number % 26)));
      }
    } else {
      ASSERT_EQ(keyspace.set(keyspace.hash(name(number)), value), WriteStatus::kDone) << i << ": " << bytes;
    }
    if (i % 1000 == 0) keyspace.maintain(200);
  }
  EXPECT_GT(keyspace.counter_sum(Counter::kEvicted), 0u);
  expect_sound(*segment);
}

// When memory is full, what frees memory or takes no more of it works all the same: alone and in
// transactions, for blocks and for runs.
TEST(ShmFullMemory, WhatDoesNotGrowWorks) {
  for (const std::size_t value_bytes : {40, 3000, 200'000}) {
    auto segment = make_segment(32ull << 20, 2);
    Keyspace keyspace(*segment, 1);
    const std::uint64_t count = fill(keyspace, 0, std::string(value_bytes, 'a'));
    for (const std::size_t filler_bytes : {1000, 100, 10})
      fill(keyspace, 1'000'000'000 + filler_bytes * 1'000'000, std::string(filler_bytes, 'f'));
    ASSERT_GT(count, 40u) << value_bytes;
    const auto transact_one = [&](std::uint64_t i, auto&& change) {
      const std::string text = name(i);
      const std::vector<HashedKey> keys{keyspace.hash(text)};
      return keyspace.transact(keys, [&] { return change(keys[0]), true; });
    };
    const auto expire = [&](const HashedKey& at) {
      return keyspace.update(at, [](const EntryView*) {
        return Change{Change::Action::kSetExpiry, {}, INT64_MAX / 2};
      });
    };
    // Nothing has been freed yet when each of these kinds comes first.
    for (int first = 0; first < 6; ++first) {
      const auto at = static_cast<std::uint64_t>(first) * 6;
      WriteStatus status = WriteStatus::kUnchanged;
      const std::string shorter(value_bytes / 2, 's');
      const std::string text = name(at);
      if (first == 0) status = transact_one(at, [&](const HashedKey& k) { expire(k); });
      if (first == 1) status = expire(keyspace.hash(text));
      if (first == 2) status = keyspace.set(keyspace.hash(text), shorter);
      if (first == 3) status = transact_one(at, [&](const HashedKey& k) { keyspace.set(k, shorter); });
      if (first == 4) {
        status = keyspace.update(keyspace.hash(text), [&](const EntryView*) {
          return Change{Change::Action::kReplace, {shorter}, kNoExpiry};
        });
      }
      if (first == 5) status = transact_one(at, [&](const HashedKey& k) { keyspace.erase(k); });
      EXPECT_EQ(status, WriteStatus::kDone) << value_bytes << " bytes, kind " << first;
    }
    for (std::uint64_t i = 1; i < 40; i += 6) {
      const std::string text = name(i);
      EXPECT_EQ(keyspace.erase(keyspace.hash(text)), WriteStatus::kDone);
    }
    expect_sound(*segment);
  }
}

// Many keys erased at once by one transaction, when memory is full.
TEST(ShmFullMemory, ManyKeysAreErasedAtOnce) {
  auto segment = make_segment(32ull << 20, 2);
  Keyspace keyspace(*segment, 1);
  const std::uint64_t count = fill(keyspace, 0, std::string(40, 'a'));
  std::vector<std::string> names;
  for (std::uint64_t i = 0; i < 10'000; ++i) names.push_back(name(i));
  std::vector<HashedKey> keys;
  for (const std::string& text : names) keys.push_back(keyspace.hash(text));
  EXPECT_EQ(keyspace.transact(keys,
                              [&] {
                                for (const HashedKey& key : keys) keyspace.erase(key);
                                return true;
                              }),
            WriteStatus::kDone);
  EXPECT_EQ(keyspace.key_count(), count - names.size());
  expect_sound(*segment);
}

// What can never fit is refused before anything is evicted for it.
TEST(ShmEviction, NothingGoesForWhatCanNeverFit) {
  auto segment = make_segment(32ull << 20, 2);
  Keyspace keyspace(*segment, 1);
  ASSERT_TRUE(keyspace.set_eviction(true));
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(keyspace.set(keyspace.hash(name(static_cast<std::uint64_t>(i))), std::string(10'000, 'v')),
              WriteStatus::kDone);
  const HashedKey key = keyspace.hash("large");
  const std::string whole(40 << 20, 'x');
  const std::string half(12 << 20, 'x');
  EXPECT_EQ(keyspace.set(key, whole), WriteStatus::kOutOfMemory);
  EXPECT_EQ(keyspace.update(key,
                            [&](const EntryView*) {
                              return Change{Change::Action::kReplace, {whole}, kNoExpiry};
                            }),
            WriteStatus::kOutOfMemory);
  const std::string other = "other";
  const std::vector<HashedKey> keys{key, keyspace.hash(other)};
  EXPECT_EQ(
      keyspace.transact(keys, [&] { return keyspace.set(keys[0], half), keyspace.set(keys[1], half), true; }),
      WriteStatus::kOutOfMemory);
  EXPECT_EQ(keyspace.counter_sum(Counter::kEvicted), 0u);
  EXPECT_EQ(keyspace.key_count(), 1000u);
  // One half fits; a second one beside it, made from it, does not, and leaves it.
  ASSERT_EQ(keyspace.set(key, half), WriteStatus::kDone);
  const auto append = [&](const EntryView* old) {
    return Change{
        Change::Action::kReplace, {old != nullptr ? old->value : std::string_view(), half}, kNoExpiry};
  };
  EXPECT_EQ(keyspace.update(key, append), WriteStatus::kOutOfMemory);
  EXPECT_EQ(keyspace.transact(keys,
                              [&] {
                                std::string value;
                                if (!get(keyspace, "large", &value)) return false;
                                keyspace.set(keys[1], value);
                                return true;
                              }),
            WriteStatus::kOutOfMemory);
  std::string found;
  EXPECT_TRUE(get(keyspace, "large", &found));
  expect_sound(*segment);
}

// Several processes that write more than fits, values in runs: none is refused, for there is always something
// to evict.
TEST(ShmKeyspaceThreads, EvictionRefusesNobody) {
  auto segment = make_segment(64ull << 20, 4);
  ASSERT_TRUE(Keyspace(*segment, 0).set_eviction(true));
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Keyspace keyspace(*segment, t + 1);
      std::mt19937_64 random(t);
      const TimeMs start = wall_time_ms();
      for (int i = 0; i < 1500; ++i) {
        keyspace.set_now_ms(start + i / 4);
        const std::string value(random() % 4 == 0 ? random() % 2000 : 300'000, 'v');
        refused += keyspace.set(keyspace.hash(name(random() % 2000)), value) != WriteStatus::kDone;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 0);
  expect_sound(*segment);
}

// A limit below the segment's size refuses what would exceed it, by what INFO shows as used, and takes more
// once it is raised; what can never fit below it is refused at once.
TEST(ShmMemoryLimit, NothingIsStoredAboveIt) {
  auto segment = make_segment(64ull << 20, 2);
  Keyspace keyspace(*segment, 1);
  EXPECT_EQ(keyspace.memory_limit_bytes(), keyspace.memory_size_bytes());
  std::uint64_t stored = 0;
  for (const std::uint64_t limit_bytes : {30'000'001ull, 40'000'000ull}) {
    keyspace.set_memory_limit(limit_bytes);
    EXPECT_EQ(keyspace.memory_limit_bytes(), limit_bytes);
    const std::uint64_t more = fill(keyspace, stored, std::string(300, 'v'));
    EXPECT_GT(more, 10'000u);
    stored += more;
    EXPECT_LE(keyspace.memory_used_bytes(), limit_bytes);
    EXPECT_GT(keyspace.memory_used_bytes() + (1 << 20), limit_bytes);
  }
  EXPECT_EQ(keyspace.set(keyspace.hash("long"), std::string(41 << 20, 'x')), WriteStatus::kOutOfMemory);
  keyspace.set_memory_limit(1);
  EXPECT_EQ(keyspace.set(keyspace.hash("run"), std::string(200'000, 'x')), WriteStatus::kOutOfMemory);
  keyspace.set_memory_limit(0);
  EXPECT_EQ(keyspace.set(keyspace.hash("run"), std::string(200'000, 'x')), WriteStatus::kDone);
  expect_sound(*segment);
}

// A limit below what is in use already is brought down to by eviction, which can be switched on for that.
TEST(ShmMemoryLimit, EvictionBeginsAboveIt) {
  auto segment = make_segment(64ull << 20, 2);
  Keyspace keyspace(*segment, 1);
  for (std::uint64_t i = 0; i < 100'000; ++i)
    ASSERT_EQ(keyspace.set(keyspace.hash(name(i)), std::string(300, 'v')), WriteStatus::kDone);
  constexpr std::uint64_t kLimitBytes = 30 << 20;
  keyspace.set_memory_limit(kLimitBytes);
  ASSERT_GT(keyspace.memory_used_bytes(), kLimitBytes + (2 << 20));
  ASSERT_TRUE(keyspace.set_eviction(true));
  for (int i = 0; i < 100'000 && keyspace.memory_used_bytes() > kLimitBytes; ++i) keyspace.maintain(1000);
  EXPECT_LE(keyspace.memory_used_bytes(), kLimitBytes);
  EXPECT_EQ(keyspace.set(keyspace.hash("new"), "v"), WriteStatus::kDone);
  expect_sound(*segment);
}

// With eviction a limit that is lowered refuses no write, and background work takes memory in use below it.
TEST(ShmMemoryLimit, KeysGoWhenItIsLowered) {
  auto segment = make_segment(64ull << 20, 2);
  Keyspace keyspace(*segment, 1);
  ASSERT_TRUE(keyspace.set_eviction(true));
  for (std::uint64_t i = 0; i < 100'000; ++i)
    ASSERT_EQ(keyspace.set(keyspace.hash(name(i)), std::string(300, 'v')), WriteStatus::kDone);
  constexpr std::uint64_t kLimitBytes = 30 << 20;
  ASSERT_GT(keyspace.memory_used_bytes(), kLimitBytes + (4 << 20));
  keyspace.set_memory_limit(kLimitBytes);
  const std::uint64_t used_bytes = keyspace.memory_used_bytes();
  for (std::uint64_t i = 100'000; i < 110'000; ++i)
    ASSERT_EQ(keyspace.set(keyspace.hash(name(i)), std::string(300, 'v')), WriteStatus::kDone);
  EXPECT_LE(keyspace.memory_used_bytes(), used_bytes + (1 << 20));
  for (int i = 0; i < 100'000 && keyspace.memory_used_bytes() > kLimitBytes; ++i) keyspace.maintain(1000);
  EXPECT_LE(keyspace.memory_used_bytes(), kLimitBytes);
  EXPECT_GT(keyspace.key_count(), 20'000u);
  expect_sound(*segment);
}

// Processes that switch eviction on at the same time share one table of ghosts: none is left without an
// owner.
TEST(ShmKeyspaceThreads, EvictionIsSwitchedOnByAll) {
  for (int round = 0; round < 20; ++round) {
    auto segment = make_segment(32ull << 20, 4);
    std::atomic<int> ready{0};
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        Keyspace keyspace(*segment, t + 1);
        for (++ready; ready < 4;) {
        }
        EXPECT_TRUE(keyspace.set_eviction(true));
      });
    }
    for (std::thread& thread : threads) thread.join();
    expect_sound(*segment);
  }
}

// Threads write more than fits, some with a transaction, one removes, so that pages are emptied under
// everybody's hands.
TEST(ShmKeyspaceThreads, MemoryIsShort) {
  for (const bool evicts : {false, true}) {
    auto segment = make_segment(24ull << 20, 8);
    ASSERT_TRUE(Keyspace(*segment, 0).set_eviction(evicts));
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        Keyspace keyspace(*segment, t + 1);
        std::mt19937_64 random(t);
        const TimeMs start = wall_time_ms();
        for (int i = 0; i < 20'000; ++i) {
          keyspace.set_now_ms(start + i / 16);
          const std::uint64_t number = random() % 20'000;
          const std::string text = name(number);
          const auto letter = static_cast<char>('a' + number % 26);
          const std::uint64_t what = random() % 10;
          std::string found;
          if (what < 4) {
            const std::size_t bytes = i / 4000 % 2 == 0 ? 100 : 3000;
            (void)keyspace.set(keyspace.hash(text), std::string(random() % bytes, letter));
          } else if (what < 6) {
            (void)keyspace.erase(keyspace.hash(text));
          } else if (what < 7) {
            const std::vector<HashedKey> keys = {keyspace.hash(text)};
            (void)keyspace.transact(keys, [&] {
              (void)keyspace.set(keys[0], std::string(200, letter));
              return true;
            });
          } else if (get(keyspace, text, &found)) {
            ASSERT_EQ(found, std::string(found.size(), letter));
          }
          if (i % 500 == 0) keyspace.maintain(100);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    expect_sound(*segment);
  }
}

}  // namespace
}  // namespace memento
