// Keys that were seen when they were fetched ahead, and changed before they are used: what is read or written
// is what the keyspace holds then.
#include <array>
#include <random>
#include <string>
#include <thread>

#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::make_segment;

constexpr TimeMs kNow = 1'800'000'000'000;

class Sightings : public ::testing::Test {
 protected:
  Sightings() {
    ours_.set_now_ms(kNow);
    theirs_.set_now_ms(kNow);
    // So that it has a block, and knows how much memory is committed.
    EXPECT_EQ(ours_.put(ours_.hash("first"), "one"), WriteStatus::kDone);
    EXPECT_EQ(read(ours_.hash("first")), "one");
  }
  ~Sightings() override { expect_sound(*segment_); }

  static HashedKey see(Keyspace& keyspace, std::string_view name) {
    HashedKey key = keyspace.hash(name);
    keyspace.prefetch_entry(key);
    return key;
  }
  /// "(none)": the key is not there.
  std::string read(const HashedKey& key) {
    std::string value;
    const auto copy = [&](const EntryView& view) { value = view.value; };
    const bool is_there = ours_.read_where_seen(key, copy) || ours_.read(key, copy);
    return is_there ? value : "(none)";
  }
  void put(const std::string& name, const std::string& value, TimeMs expiry_ms = kNoExpiry) {
    ASSERT_EQ(theirs_.put(theirs_.hash(name), value, expiry_ms), WriteStatus::kDone);
  }

  std::unique_ptr<Segment> segment_ = make_segment(64ull << 20);
  Keyspace ours_{*segment_, 1};
  Keyspace theirs_{*segment_, 2};
};

// Shows that a key is seen where it is, and one that is not there nowhere.
TEST_F(Sightings, AreOfKeysThatAreThere) {
  put("a", "one");
  const HashedKey key = see(ours_, "a");
  EXPECT_NE(key.seen.cell, nullptr);
  EXPECT_EQ(read(key), "one");
  EXPECT_EQ(read(key), "one");
  EXPECT_TRUE(ours_.put_where_seen(key, "two"));
  EXPECT_FALSE(ours_.put_where_seen(key, "three"));  // the slot has another version now
  EXPECT_EQ(read(key), "two");
  EXPECT_EQ(see(ours_, "b").seen.cell, nullptr);
  EXPECT_EQ(read(see(ours_, "b")), "(none)");
}

// Shows that reads count, whichever way they took.
TEST_F(Sightings, ReadsCount) {
  put("a", "one");
  read(see(ours_, "a"));
  read(ours_.hash("a"));
  read(see(ours_, "b"));
  EXPECT_EQ(ours_.counter_sum(Counter::kHits), 3u);
  EXPECT_EQ(ours_.counter_sum(Counter::kMisses), 1u);
}

// Shows that what others did since is read and not undone: written, erased, flushed, expired, its table
// rebuilt.
TEST_F(Sightings, OfKeysThatChanged) {
  const auto each = [&](const char* what, auto&& change, const std::string& expected) {
    SCOPED_TRACE(what);
    put("a", "one");
    const HashedKey key = see(ours_, "a");
    EXPECT_NE(key.seen.cell, nullptr);
    change();
    EXPECT_EQ(read(key), expected);
    EXPECT_FALSE(ours_.put_where_seen(key, "no"));
    EXPECT_EQ(read(ours_.hash("a")), expected);
    EXPECT_EQ(ours_.put(key, "ours"), WriteStatus::kDone);
    EXPECT_EQ(read(ours_.hash("a")), "ours");
    EXPECT_EQ(read(key), "ours");
  };
  each(
      "written", [&] { put("a", "two"); }, "two");
  each(
      "longer", [&] { put("a", std::string(300, 'x')); }, std::string(300, 'x'));
  each(
      "very long", [&] { put("a", std::string(100'000, 'x')); }, std::string(100'000, 'x'));
  each(
      "expires later", [&] { put("a", "two", kNow + 1000); }, "two");
  each(
      "erased", [&] { EXPECT_EQ(theirs_.erase(theirs_.hash("a")), WriteStatus::kDone); }, "(none)");
  each(
      "flushed", [&] { theirs_.flush(); }, "(none)");
  each(
      "rebuilt",
      [&] {
        for (int i = 0; i < 100; ++i) put("{a}" + std::to_string(i), "v");
      },
      "one");
  each(
      "expired",
      [&] {
        put("a", "two", kNow + 1);
        ours_.set_now_ms(kNow + 1);
      },
      "(none)");
}

// Shows that the same name in another database was not seen.
TEST_F(Sightings, AreOfOneDatabase) {
  ASSERT_TRUE(ours_.open_database(DatabaseId(1)));
  put("a", "one");
  const HashedKey there = Keyspace::in_database(DatabaseId(1), see(ours_, "a"));
  EXPECT_EQ(read(there), "(none)");
  EXPECT_EQ(ours_.put(there, "uno"), WriteStatus::kDone);
  EXPECT_EQ(read(there), "uno");
  EXPECT_EQ(read(see(ours_, "a")), "one");
}

// Shows that inside a transaction what it has written is read, not what was seen before.
TEST_F(Sightings, InATransaction) {
  put("a", "one");
  const HashedKey key = see(ours_, "a");
  const auto body = [&] {
    EXPECT_EQ(ours_.put(key, "two"), WriteStatus::kDone);
    EXPECT_EQ(read(key), "two");
    return true;
  };
  EXPECT_EQ(ours_.transact(std::span(&key, 1), body), WriteStatus::kDone);
  EXPECT_EQ(read(key), "two");
}

// Threads that see a few keys, wait a little, and read or write them, while others write, erase, flush and
// make tables grow and shrink. Values say whose they are and how long.
TEST(ShmKeyspaceThreads, SightingsHoldWhatTheyPromise) {
  auto segment = make_segment(64ull << 20);
  constexpr int kRounds = 20'000;
  const auto value_of = [](std::size_t key, std::size_t bytes) {
    return std::string(bytes, static_cast<char>('a' + key));
  };
  std::vector<std::thread> threads;
  for (std::uint32_t t = 1; t < 5; ++t) {
    threads.emplace_back([&, t] {
      Keyspace keyspace(*segment, t);
      std::mt19937_64 random(t);
      std::string value;
      for (int round = 0; round < kRounds; ++round) {
        std::array<std::string, 8> names;
        std::array<HashedKey, 8> keys;
        for (std::size_t i = 0; i < names.size(); ++i) {
          names[i] = "{t}" + std::to_string(i);
          keys[i] = keyspace.hash(names[i]);
          keyspace.prefetch_entry(keys[i]);
        }
        const std::size_t key = random() % keys.size();
        const std::uint64_t choice = random() % 64;
        if (choice < 40) {
          const auto copy = [&](const EntryView& view) { value.assign(view.value); };
          if (keyspace.read_where_seen(keys[key], copy) || keyspace.read(keys[key], copy)) {
            EXPECT_EQ(value, value_of(key, value.size()));
          }
        } else if (choice < 60) {
          const std::string written = value_of(key, 1 + random() % 40);
          if (!keyspace.put_where_seen(keys[key], written)) {
            EXPECT_EQ(keyspace.put(keys[key], written), WriteStatus::kDone);
          }
        } else if (choice == 60) {
          (void)keyspace.erase(keys[key]);
        } else if (choice == 61) {
          keyspace.flush();
        } else {
          const std::string other = "{t}other" + std::to_string(random() % 100);
          (void)keyspace.put(keyspace.hash(other), "v");
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_sound(*segment);
}

}  // namespace
}  // namespace memento
