// Walks over a slot's keys while tables grow, shrink and move; keys drawn at random; what that costs.
#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/cpu_growth.h"
#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::cpu_growth;
using testing::expect_sound;
using testing::kClearlyBelowQuadratic;
using testing::make_segment;

constexpr SlotId kSlot{77};
constexpr TimeMs kNow = 1'800'000'000'000;

/// Keys of one slot with hashes of the test's choice: so tags can be equal, or next to each other.
class ChosenKeys {
 public:
  ChosenKeys(Keyspace& keyspace, std::mt19937_64& random, std::uint64_t tag_count)
      : keyspace_(keyspace), random_(random), tag_count_(tag_count) {}

  void put(const std::string& key) {
    const auto [at, is_new] = hashes_.try_emplace(key, 0);
    if (is_new) at->second = random_hash();
    EXPECT_EQ(keyspace_.set(hashed(key), "v"), WriteStatus::kDone);
    present_.insert(key);
  }
  void erase(const std::string& key) {
    EXPECT_EQ(keyspace_.erase(hashed(key)), WriteStatus::kDone);
    present_.erase(key);
  }
  bool has(const std::string& key) const { return present_.contains(key); }
  const std::set<std::string>& present() const { return present_; }

 private:
  // Tags of a few values at the table's beginning and end, where rows of full lines begin again at line 0.
  std::uint64_t random_hash() {
    std::uint64_t tag = random_() % tag_count_;
    if (random_() % 2 == 0) tag = kScanEnd - 1 - tag;
    if (random_() % 4 == 0) tag = random_() % kScanEnd;
    return tag << 40;
  }
  HashedKey hashed(const std::string& key) const { return {key, kSlot, hashes_.at(key)}; }

  Keyspace& keyspace_;
  std::mt19937_64& random_;
  std::uint64_t tag_count_;
  std::map<std::string, std::uint64_t> hashes_;
  std::set<std::string> present_;
};

// Shows that a walk meets each key that is there all the while, exactly once, and no key that is not there
// when it comes: whatever is added and removed between its steps, with tables that grow tenfold and shrink
// again, tombstones, and up to thousands of keys whose tags are equal.
TEST(ShmScan, MeetsWhatStaysWhileTablesGrowAndShrink) {
  std::mt19937_64 random(1);
  int churned = 0;
  for (const std::uint64_t tag_count : {std::uint64_t{1}, std::uint64_t{3}, std::uint64_t{200}, kScanEnd}) {
    for (int round = 0; round < 12; ++round) {
      auto segment = make_segment(64ull << 20);
      Keyspace keyspace(*segment, 1);
      ChosenKeys keys(keyspace, random, tag_count);
      std::vector<std::string> staying;
      for (std::uint64_t i = random() % (round < 6 ? 40 : 3000); i > 0; --i)
        staying.push_back("s" + std::to_string(i));
      for (const std::string& key : staying) keys.put(key);
      std::map<std::string, int> visits;
      std::uint64_t place = 0;
      while (place < kScanEnd) {
        const std::uint64_t change = random() % 2000;
        const bool grows = random() % 2 == 0;
        for (std::uint64_t i = 0; i < change; ++i) {
          const std::string key = "c" + std::to_string(random() % 4000);
          if (grows && !keys.has(key)) keys.put(key), ++churned;
          if (!grows && keys.has(key)) keys.erase(key), ++churned;
        }
        if (random() % 2 == 0) keyspace.maintain(1'000'000);  // shrinks what is sparse
        ScanLimit limit{1 + random() % 60, UINT64_MAX};
        const std::uint64_t next = keyspace.scan(kSlot, place, &limit, [&](std::string_view key) {
          ++visits[std::string(key)];
          EXPECT_TRUE(keys.has(std::string(key))) << key;
        });
        ASSERT_GT(next, place);
        place = next;
      }
      for (const std::string& key : staying) ASSERT_EQ(visits[key], 1) << key << ", tags: " << tag_count;
    }
  }
  EXPECT_GT(churned, 100'000);
}

// Shows that a step gives as many keys as were asked for, but for those with one tag, which stay together.
TEST(ShmScan, StepsAreAsLongAsWanted) {
  std::mt19937_64 random(2);
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  for (int i = 0; i < 5000; ++i) keyspace.set(keyspace.hash("{t}" + std::to_string(i)), "v");
  const SlotId slot = keyspace.hash("{t}").slot;
  for (std::uint64_t wanted : {1, 2, 10, 1000}) {
    std::set<std::string> seen;
    for (std::uint64_t place = 0; place < kScanEnd;) {
      ScanLimit limit{wanted, UINT64_MAX};
      std::uint64_t given = 0;
      place = keyspace.scan(slot, place, &limit, [&](std::string_view key) { ++given, seen.emplace(key); });
      EXPECT_LE(given, wanted + 2);
      if (place < kScanEnd) {
        EXPECT_GE(given, wanted);
      }
    }
    EXPECT_EQ(seen.size(), 5000u);
  }
}

// Shows that long keys do not make a step's piece long: what a walk keeps at once is bounded.
TEST(ShmScan, LongKeys) {
  auto segment = make_segment(256ull << 20);
  Keyspace keyspace(*segment, 1);
  std::set<std::string> keys;
  for (int i = 0; i < 500; ++i)
    keys.insert("{t}" + std::to_string(i) + std::string(kKeyLimitBytes - 10, 'k'));
  for (const std::string& key : keys) ASSERT_EQ(keyspace.set(keyspace.hash(key), "v"), WriteStatus::kDone);
  std::set<std::string> seen;
  ScanLimit no_limit{UINT64_MAX, UINT64_MAX};
  keyspace.scan(keyspace.hash("{t}").slot, 0, &no_limit, [&](std::string_view key) { seen.emplace(key); });
  EXPECT_EQ(seen, keys);
}

// Shows that memory which is short, so that entries and tables move all the time, hides no key from a walk.
TEST(ShmScan, MeetsWhatStaysWhileEntriesMove) {
  auto segment = make_segment(24ull << 20);
  Keyspace keyspace(*segment, 1);
  std::mt19937_64 random(3);
  const auto fill = [&](std::size_t bytes) {
    for (int i = 0;; ++i) {
      const std::string key = (i % 2 == 0 ? "{t}f" : "f") + std::to_string(i) + "/" + std::to_string(bytes);
      if (keyspace.set(keyspace.hash(key), std::string(bytes, 'f')) != WriteStatus::kDone) return i;
    }
  };
  const auto thin_out = [&](std::size_t bytes, int count) {
    for (int i = 0; i < count; ++i) {
      if (random() % 8 == 0) continue;
      const std::string key = (i % 2 == 0 ? "{t}f" : "f") + std::to_string(i) + "/" + std::to_string(bytes);
      (void)keyspace.erase(keyspace.hash(key));
    }
  };
  const SlotId slot = keyspace.hash("{t}").slot;
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(keyspace.set(keyspace.hash("{t}s" + std::to_string(i)), "v"), WriteStatus::kDone);
  for (std::size_t bytes = 40; bytes < 400; bytes += 60) {
    const int count = fill(bytes);
    std::set<std::string> seen;
    for (std::uint64_t place = 0; place < kScanEnd;) {
      ScanLimit limit{200, UINT64_MAX};
      place = keyspace.scan(slot, place, &limit, [&](std::string_view key) {
        if (key.starts_with("{t}s")) seen.emplace(key);
      });
      if (place % 3 == 0) thin_out(bytes, count);
      (void)fill(bytes + 30);
    }
    EXPECT_EQ(seen.size(), 1000u);
    thin_out(bytes, count);
    thin_out(bytes + 30, count);
  }
  expect_sound(*segment);
}

// Shows that writers who change the slot all the time neither hide keys nor keep a walk from its end.
TEST(ShmScanThreads, SlotThatKeepsChanging) {
  auto segment = make_segment(128ull << 20);
  Keyspace keyspace(*segment, 1);
  const SlotId slot = keyspace.hash("{t}").slot;
  for (int i = 0; i < 2000; ++i)
    ASSERT_EQ(keyspace.set(keyspace.hash("{t}s" + std::to_string(i)), "v"), WriteStatus::kDone);
  std::atomic<bool> is_over = false;
  std::vector<std::thread> writers;
  for (std::uint32_t t = 0; t < 2; ++t) {
    writers.emplace_back([&, t] {
      Keyspace own(*segment, 2 + t);
      std::mt19937_64 random(t);
      while (!is_over) {
        const std::string key = "{t}c" + std::to_string(random() % 3000);
        if (random() % 2 == 0) {
          EXPECT_EQ(own.set(own.hash(key), std::string(random() % 100, 'x')), WriteStatus::kDone);
        } else {
          (void)own.erase(own.hash(key));
        }
        if (random() % 500 == 0) own.maintain(100);
      }
    });
  }
  for (int round = 0; round < 20; ++round) {
    std::map<std::string, int> visits;
    for (std::uint64_t place = 0; place < kScanEnd;) {
      ScanLimit limit{300, UINT64_MAX};
      place = keyspace.scan(slot, place, &limit, [&](std::string_view key) {
        EXPECT_TRUE(key.starts_with("{t}s") || key.starts_with("{t}c")) << key;
        if (key.starts_with("{t}s")) ++visits[std::string(key)];
      });
    }
    EXPECT_EQ(visits.size(), 2000u);
    EXPECT_TRUE(std::ranges::all_of(visits, [](const auto& visit) { return visit.second == 1; }));
  }
  is_over = true;
  for (std::thread& writer : writers) writer.join();
  expect_sound(*segment);
}

// Shows that expired keys are not visited, that they count as steps, and that the background work removes
// them in portions: a call that may take no time leaves nearly all of a slot's.
TEST(ShmScan, ExpiredKeys) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kNow);
  const SlotId slot = keyspace.hash("{t}").slot;
  for (int i = 0; i < 20'000; ++i) {
    const TimeMs expiry_ms = i % 10 == 0 ? kNoExpiry : kNow + 1;
    keyspace.set(keyspace.hash("{t}" + std::to_string(i)), "v", {SetCondition::kAlways, expiry_ms, false});
  }
  keyspace.set_now_ms(kNow + 1);
  ScanLimit limit{UINT64_MAX, UINT64_MAX};
  std::set<std::string> seen;
  keyspace.scan(slot, 0, &limit, [&](std::string_view key) { seen.emplace(key); });
  EXPECT_EQ(seen.size(), 2000u);
  EXPECT_TRUE(std::ranges::all_of(seen, [](const std::string& key) { return key.ends_with('0'); }));
  limit = {1000, 1000};
  std::uint64_t given = 0;
  EXPECT_LT(keyspace.scan(slot, 0, &limit, [&](std::string_view) { ++given; }), kScanEnd);
  EXPECT_EQ(limit.steps, 0u);
  EXPECT_LT(given, 500u);
  // Laps until the slot is reached.
  while (keyspace.key_count() == 20'000) keyspace.maintain(1);
  EXPECT_GT(keyspace.key_count(), 17'000u);
  while (keyspace.key_count() > 2000) keyspace.maintain(1000);
  EXPECT_EQ(keyspace.counter_sum(Counter::kExpired), 18'000u);
  seen.clear();
  limit = {UINT64_MAX, UINT64_MAX};
  keyspace.scan(slot, 0, &limit, [&](std::string_view key) { seen.emplace(key); });
  EXPECT_EQ(seen.size(), 2000u);
  expect_sound(*segment);
}

// Shows that a body sees what it has changed itself, in any step length.
TEST(ShmScan, SeesATransactionsOwnChanges) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  const auto key_of = [](int i) { return "{t}" + std::to_string(i); };
  const SlotId slot = keyspace.hash("{t}").slot;
  for (int i = 0; i < 300; ++i) keyspace.set(keyspace.hash(key_of(i)), "v");
  const auto seen = [&](std::uint64_t wanted) {
    std::vector<std::string> keys;
    for (std::uint64_t place = 0; place < kScanEnd;) {
      ScanLimit limit{wanted, UINT64_MAX};
      std::uint64_t given = 0;
      place =
          keyspace.scan(slot, place, &limit, [&](std::string_view key) { ++given, keys.emplace_back(key); });
      EXPECT_LE(given, 2 * wanted + 2);
    }
    std::ranges::sort(keys);
    return keys;
  };
  std::set<std::string> expected;
  const auto status = keyspace.transact_all([&] {
    expected.clear();
    for (int i = 0; i < 300; ++i) expected.insert(key_of(i));
    for (int i = 0; i < 300; i += 3)
      (void)keyspace.erase(keyspace.hash(key_of(i))), expected.erase(key_of(i));
    for (int i = 100; i < 110; ++i) keyspace.set(keyspace.hash(key_of(i)), "w"), expected.insert(key_of(i));
    for (std::uint64_t wanted : {1, 7, 1000}) {
      EXPECT_EQ(seen(wanted), std::vector<std::string>(expected.begin(), expected.end()));
    }
    for (int i = 400; i < 900; ++i) keyspace.set(keyspace.hash(key_of(i)), "n"), expected.insert(key_of(i));
    (void)keyspace.erase(keyspace.hash(key_of(500))), expected.erase(key_of(500));
    EXPECT_EQ(seen(5), std::vector<std::string>(expected.begin(), expected.end()));
    keyspace.flush();
    expected.clear();
    for (int i = 250; i < 350; ++i) keyspace.set(keyspace.hash(key_of(i)), "f"), expected.insert(key_of(i));
    EXPECT_EQ(seen(3), std::vector<std::string>(expected.begin(), expected.end()));
    return true;
  });
  EXPECT_EQ(status, WriteStatus::kDone);
  EXPECT_EQ(seen(10), std::vector<std::string>(expected.begin(), expected.end()));
  expect_sound(*segment);
}

// Shows that a step costs what it gives, however many keys the slot has, and a walk what it visits.
TEST(ShmScan, CostsWhatItGives) {
  std::map<std::size_t, std::unique_ptr<Segment>> segments;
  std::map<std::size_t, std::unique_ptr<Keyspace>> keyspaces;
  constexpr std::size_t kCount = 10'000;
  for (const std::size_t count : {kCount, testing::kGrowth * kCount}) {
    segments[count] = make_segment(128ull << 20);
    keyspaces[count] = std::make_unique<Keyspace>(*segments[count], 1);
    Keyspace& keyspace = *keyspaces[count];
    for (std::size_t i = 0; i < count; ++i) keyspace.set(keyspace.hash("{t}" + std::to_string(i)), "v");
  }
  const SlotId slot = keyspaces[kCount]->hash("{t}").slot;
  const auto walk = [&](std::size_t count, std::uint64_t wanted, int steps) {
    std::uint64_t place = 0;
    for (; steps > 0 && place < kScanEnd; --steps) {
      ScanLimit limit{wanted, UINT64_MAX};
      place = keyspaces[count]->scan(slot, place, &limit, [](std::string_view) {});
    }
  };
  EXPECT_LT(cpu_growth(kCount, [&](std::size_t count) { walk(count, 10, 1000); }),
            testing::kClearlyBelowLinear);
  EXPECT_LT(cpu_growth(kCount, [&](std::size_t count) { walk(count, 10, INT_MAX); }), kClearlyBelowQuadratic);
  std::mt19937_64 random(1);
  EXPECT_LT(cpu_growth(kCount,
                       [&](std::size_t count) {
                         for (int i = 0; i < 100; ++i) EXPECT_TRUE(keyspaces[count]->random_key(random));
                       }),
            testing::kClearlyBelowLinear);
}

// The sum of (drawn - expected)^2 / expected over `keys`, which should be about their number.
template <class DrawKey>
double chi_square(const std::vector<std::string>& keys, int draws_per_key, DrawKey&& draw_key) {
  std::map<std::string, int> drawn;
  for (const std::string& key : keys) drawn[key] = 0;
  for (std::size_t i = 0; i < keys.size() * static_cast<std::size_t>(draws_per_key); ++i) ++drawn[draw_key()];
  EXPECT_EQ(drawn.size(), keys.size()) << "others were drawn";
  double sum = 0;
  for (const auto& [key, count] : drawn)
    sum += (count - draws_per_key) * (count - draws_per_key) / double(draws_per_key);
  return sum;
}

// Shows that each live key is drawn as often as any other: tagged or not, among many that have expired, in a
// table that is nearly empty, and among those that a transaction has written and removed.
TEST(ShmRandomKey, EachKeyHasTheSameChance) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kNow);
  std::mt19937_64 random(4);
  EXPECT_EQ(keyspace.random_key(random), std::nullopt);
  std::vector<std::string> keys;
  for (int i = 0; i < 400; ++i) keys.push_back((i % 2 == 0 ? "{t}" : "k") + std::to_string(i));
  for (const std::string& key : keys) keyspace.set(keyspace.hash(key), "v");
  for (int i = 0; i < 3000; ++i) keyspace.set(keyspace.hash("{t}gone" + std::to_string(i)), "v");
  for (int i = 0; i < 3000; ++i)
    EXPECT_EQ(keyspace.erase(keyspace.hash("{t}gone" + std::to_string(i))), WriteStatus::kDone);
  for (int i = 0; i < 300; ++i) {
    keyspace.set(keyspace.hash("{u}" + std::to_string(i)), "v", {SetCondition::kAlways, kNow + 1, false});
  }
  keyspace.set_now_ms(kNow + 1);
  constexpr double kDeviation = 28.2;  // square root of 2 * 399
  constexpr double kLimit = 399 + 6 * kDeviation;
  const auto draw = [&] { return keyspace.random_key(random).value_or("nothing"); };
  EXPECT_LT(chi_square(keys, 100, draw), kLimit);
  (void)keyspace.transact_all([&] {
    for (int i = 0; i < 100; ++i) (void)keyspace.erase(keyspace.hash(keys[static_cast<std::size_t>(i)]));
    std::vector<std::string> now(keys.begin() + 100, keys.end());
    for (int i = 0; i < 50; ++i)
      now.push_back("new" + std::to_string(i)), keyspace.set(keyspace.hash(now.back()), "n");
    for (int i = 0; i < 50; ++i)
      now.push_back(keys[static_cast<std::size_t>(i)]), keyspace.set(keyspace.hash(now.back()), "n");
    for (int i = 0; i < 20; ++i) keyspace.set(keyspace.hash(now[static_cast<std::size_t>(i)]), "changed");
    EXPECT_LT(chi_square(now, 100, draw), kLimit);
    keyspace.flush();
    EXPECT_EQ(keyspace.random_key(random), std::nullopt);
    keyspace.set(keyspace.hash("only"), "v");
    EXPECT_EQ(keyspace.random_key(random), "only");
    return false;
  });
  EXPECT_LT(chi_square(keys, 100, draw), kLimit);
  expect_sound(*segment);
}

// Shows that the last key is found among a hundred thousand that have expired.
TEST(ShmRandomKey, TheLastOneIsFound) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kNow);
  for (int i = 0; i < 100'000; ++i) {
    keyspace.set(keyspace.hash("k" + std::to_string(i)), "v", {SetCondition::kAlways, kNow + 1, false});
  }
  keyspace.set(keyspace.hash("stays"), "v");
  keyspace.set_now_ms(kNow + 1);
  std::mt19937_64 random(5);
  EXPECT_EQ(keyspace.random_key(random), "stays");
  (void)keyspace.erase(keyspace.hash("stays"));
  EXPECT_EQ(keyspace.random_key(random), std::nullopt);
}

}  // namespace
}  // namespace memento
