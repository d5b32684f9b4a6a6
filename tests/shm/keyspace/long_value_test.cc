// Values in runs: what is changed in place, what is copied, and what readers see meanwhile.
#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::get;
using testing::make_segment;

constexpr TimeMs kNow = 1'800'000'000'000;

// As SETRANGE does it.
WriteStatus write_range(Keyspace& keyspace, const std::string& key, std::uint64_t begin,
                        std::string_view part) {
  return keyspace.update(keyspace.hash(key), [&](const EntryView* old) {
    const std::string_view value = old != nullptr ? old->value : std::string_view();
    const std::string_view head = value.substr(0, std::min<std::uint64_t>(begin, value.size()));
    const std::uint64_t end = begin + part.size();
    return Change{Change::Action::kReplace,
                  {head, std::string_view(nullptr, begin - head.size()), part,
                   end < value.size() ? value.substr(end) : std::string_view()},
                  old != nullptr ? old->expiry_ms : kNoExpiry};
  });
}

WriteStatus append(Keyspace& keyspace, const std::string& key, std::string_view tail) {
  return keyspace.update(keyspace.hash(key), [&](const EntryView* old) {
    return Change{Change::Action::kReplace,
                  {old != nullptr ? old->value : std::string_view(), tail},
                  old != nullptr ? old->expiry_ms : kNoExpiry};
  });
}

WriteStatus expire(Keyspace& keyspace, const std::string& key, TimeMs expiry_ms) {
  return keyspace.update(keyspace.hash(key), [&](const EntryView* old) {
    return Change{old != nullptr ? Change::Action::kSetExpiry : Change::Action::kKeep, {}, expiry_ms};
  });
}

const char* place_of(Keyspace& keyspace, const std::string& key) {
  const char* place = nullptr;
  keyspace.read(keyspace.hash(key), [&](const EntryView& view) { place = view.value.data(); });
  return place;
}

// An entry in a run has the word for an expiry always; no expiry that a key may have says there that it has
// none.
TEST(ShmLongValue, TheLastOfAllTimesIsAnExpiry) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kNow);
  ASSERT_EQ(keyspace.set(keyspace.hash("long"), std::string(1'000'000, 'x')), WriteStatus::kDone);
  const auto expiry = [&] {
    TimeMs expiry_ms = 0;
    EXPECT_TRUE(
        keyspace.read(keyspace.hash("long"), [&](const EntryView& view) { expiry_ms = view.expiry_ms; }));
    return expiry_ms;
  };
  EXPECT_EQ(expiry(), kNoExpiry);
  ASSERT_EQ(expire(keyspace, "long", INT64_MAX), WriteStatus::kDone);
  EXPECT_EQ(expiry(), INT64_MAX);
  ASSERT_EQ(expire(keyspace, "long", kNoExpiry), WriteStatus::kDone);
  EXPECT_EQ(expiry(), kNoExpiry);
  expect_sound(*segment);
}

// Parts of a value whose length stays, its expiry, and what is appended into the room that its run has: none
// of them moves the value.
TEST(ShmLongValue, ChangesInPlaceDoNotMoveIt) {
  auto segment = make_segment(64ull << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kNow);
  std::string expected(1'000'000, 'x');
  ASSERT_EQ(keyspace.set(keyspace.hash("long"), expected), WriteStatus::kDone);
  const char* const place = place_of(keyspace, "long");
  // One byte at each alignment; a hundred thousand, which takes a redo list longer than a record's.
  for (std::uint64_t at : {0ull, 1ull, 7ull, 8ull, 500'001ull, 999'999ull}) {
    ASSERT_EQ(write_range(keyspace, "long", at, "B"), WriteStatus::kDone);
    expected[at] = 'B';
  }
  const std::string much(100'003, 'm');
  ASSERT_EQ(write_range(keyspace, "long", 333'333, much), WriteStatus::kDone);
  expected.replace(333'333, much.size(), much);
  ASSERT_EQ(append(keyspace, "long", "tail"), WriteStatus::kDone);
  expected += "tail";
  ASSERT_EQ(expire(keyspace, "long", kNow + 1000), WriteStatus::kDone);
  EXPECT_EQ(keyspace.expiring_key_count(), 1u);
  ASSERT_EQ(expire(keyspace, "long", kNoExpiry), WriteStatus::kDone);
  EXPECT_EQ(keyspace.expiring_key_count(), 0u);
  ASSERT_EQ(expire(keyspace, "long", kNow + 1000), WriteStatus::kDone);
  EXPECT_EQ(place_of(keyspace, "long"), place);
  std::string found;
  TimeMs expiry_ms = 0;
  ASSERT_TRUE(get(keyspace, "long", &found, &expiry_ms));
  EXPECT_TRUE(found == expected);
  EXPECT_EQ(expiry_ms, kNow + 1000);
  expect_sound(*segment);
  keyspace.set_now_ms(kNow + 1000);
  EXPECT_FALSE(get(keyspace, "long", &found));
}

// Whoever copies a long value, taking long over it, gets it as it was when it began.
TEST(ShmLongValue, AReaderKeepsWhatItReads) {
  auto segment = make_segment(64ull << 20);
  Keyspace writer(*segment, 1);
  Keyspace reader(*segment, 2);
  const std::string before(200'000, 'x');
  ASSERT_EQ(writer.set(writer.hash("long"), before), WriteStatus::kDone);
  std::string seen;
  reader.read(reader.hash("long"), [&](const EntryView& view) {
    seen.assign(view.value.substr(0, 100'000));
    EXPECT_EQ(write_range(writer, "long", 150'000, "CHANGED"), WriteStatus::kDone);
    EXPECT_EQ(append(writer, "long", "tail"), WriteStatus::kDone);
    EXPECT_EQ(expire(writer, "long", kNow), WriteStatus::kDone);
    seen.append(view.value.substr(100'000));
  });
  EXPECT_TRUE(seen == before);
  writer.set_now_ms(kNow - 1);
  std::string after;
  ASSERT_TRUE(get(writer, "long", &after));
  EXPECT_EQ(after.substr(149'999, 9), "xCHANGEDx");
  EXPECT_EQ(after.substr(200'000), "tail");
  expect_sound(*segment);
}

// Random changes of a few keys, short and long, are the same changes of a map.
TEST(ShmLongValue, RandomChanges) {
  auto segment = make_segment(128ull << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kNow);
  std::mt19937_64 random(5);
  std::map<std::string, std::string> model;
  const auto text = [&](std::uint64_t limit) {
    return std::string(random() % limit + 1, static_cast<char>('a' + random() % 26));
  };
  for (int step = 0; step < 4000; ++step) {
    const std::string key = "{tag}" + std::to_string(random() % 6);
    std::string& expected = model[key];
    const std::uint64_t what = random() % 10;
    if (what == 0) {
      expected = text(random() % 2 == 0 ? 300 : 150'000);
      ASSERT_EQ(keyspace.set(keyspace.hash(key), expected), WriteStatus::kDone);
    } else if (what == 1) {
      const std::string tail = text(6000);
      ASSERT_EQ(append(keyspace, key, tail), WriteStatus::kDone);
      expected += tail;
    } else if (what == 2) {
      (void)expire(keyspace, key, random() % 2 == 0 ? kNoExpiry : kNow + 1);
    } else if (what == 3) {
      keyspace.erase(keyspace.hash(key));
      expected.clear();
    } else {
      const std::uint64_t begin = random() % (expected.size() + 100);
      const std::string part = text(random() % 4 == 0 ? 40'000 : 50);
      ASSERT_EQ(write_range(keyspace, key, begin, part), WriteStatus::kDone);
      if (begin + part.size() > expected.size()) expected.resize(begin + part.size(), '\0');
      expected.replace(begin, part.size(), part);
    }
    std::string found;
    ASSERT_EQ(get(keyspace, key, &found), !expected.empty()) << step;
    ASSERT_TRUE(found == expected) << step;
    if (expected.empty()) model.erase(key);
  }
  EXPECT_EQ(keyspace.key_count(), model.size());
  expect_sound(*segment);
}

// Writers put one number into many places of a long value at once, in place where nobody reads; compaction
// moves it, and others write the slot. Readers find the same number in all places.
TEST(ShmKeyspaceThreads, LongValuesAreSeenWhole) {
  auto segment = make_segment(64ull << 20);
  constexpr std::uint64_t kBytes = 100'000;
  constexpr std::uint64_t kBegin = 20'001;
  constexpr std::uint64_t kHull = 4000;
  const std::string key = "{t}long";
  {
    Keyspace keyspace(*segment, 1);
    ASSERT_EQ(keyspace.set(keyspace.hash(key), std::string(kBytes, 'a')), WriteStatus::kDone);
  }
  std::atomic<int> running{3};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Keyspace keyspace(*segment, t + 1);
      for (int i = 0; i < 3000; ++i) {
        EXPECT_EQ(write_range(keyspace, key, kBegin,
                              std::string(kHull, static_cast<char>('a' + (i + static_cast<int>(t)) % 26))),
                  WriteStatus::kDone);
        EXPECT_EQ(keyspace.set(keyspace.hash("{t}other"), std::to_string(i)), WriteStatus::kDone);
        if (i % 100 == 0) {
          EXPECT_EQ(append(keyspace, key, "tail"), WriteStatus::kDone);
        }
        if (i % 150 == 0) {
          EXPECT_EQ(keyspace.set(keyspace.hash(key), std::string(kBytes, 'z')), WriteStatus::kDone);
        }
      }
      --running;
    });
  }
  for (std::uint32_t t = 3; t < 5; ++t) {
    threads.emplace_back([&, t] {
      Keyspace keyspace(*segment, t + 1);
      std::string found;
      while (running > 0) {
        ASSERT_TRUE(get(keyspace, key, &found));
        const std::string_view hull = std::string_view(found).substr(kBegin, kHull);
        ASSERT_EQ(hull.find_first_not_of(hull[0]), std::string_view::npos);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_sound(*segment);
}

}  // namespace
}  // namespace memento
