// The journal's rings: whatever is done to a keyspace, replaying the records gives the same keyspace.
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/shm/journal/journal_fixture.h"

namespace memento {
namespace {

using testing::expect_same;
using testing::get;
using testing::kStartMs;
using testing::make_journalled;
using testing::make_segment;
using testing::replay;

constexpr std::uint64_t kRingBytes = 1 << 20;
std::string random_value(std::mt19937_64& random) {
  const std::uint64_t kind = random() % 100;
  const std::size_t bytes = kind < 80 ? random() % 64 : kind < 97 ? random() % 2000 : random() % 120'000;
  return std::string(bytes, static_cast<char>('a' + random() % 26)) + std::to_string(random() % 1000);
}

Change replaced(std::array<std::string_view, 4> pieces, const EntryView* old) {
  return {Change::Action::kReplace, pieces, old != nullptr ? old->expiry_ms : kNoExpiry};
}

// One random operation after the other. One that finds the journal full is left out.
class Worker {
 public:
  Worker(Segment& segment, std::uint32_t process, std::uint64_t seed)
      : keyspace_(segment, process), random_(seed) {
    keyspace_.set_now_ms(kStartMs);
  }

  void step() {
    if (random_() % 8 == 0) keyspace_.set_now_ms(now_ms_ += static_cast<TimeMs>(random_() % 20));
    try {
      change();
    } catch (const JournalFull&) {
      ++refused;
    }
  }
  Keyspace& keyspace() { return keyspace_; }

  std::uint64_t refused = 0;

 private:
  HashedKey key(const std::string& name) { return keyspace_.hash(name); }
  std::string name() { return "key:" + std::to_string(random_() % 300); }
  TimeMs expiry() {
    return random_() % 4 == 0 ? now_ms_ + static_cast<TimeMs>(random_() % 500) + 1 : kNoExpiry;
  }

  void change() {
    const std::string one = name();
    const std::string value = random_value(random_);
    const std::uint64_t choice = random_() % 100;
    if (choice < 40) {
      SetOptions options;
      options.condition = static_cast<SetCondition>(random_() % 5 < 3 ? 0 : random_() % 3);
      options.expiry_ms = expiry();
      keyspace_.set(key(one), value, options);
    } else if (choice < 52) {
      keyspace_.erase(key(one));
    } else if (choice < 62) {
      keyspace_.update(key(one), [&](const EntryView* old) {
        return replaced({old != nullptr ? old->value : "", value}, old);
      });
    } else if (choice < 70) {
      overwrite(one, value);
    } else if (choice < 78) {
      const TimeMs at = expiry();
      keyspace_.update(key(one), [&](const EntryView* old) {
        return old != nullptr ? Change{Change::Action::kSetExpiry, {}, at} : Change{};
      });
    } else if (choice < 90) {
      several(value);
    } else if (choice < 97) {
      keyspace_.maintain(20);
    } else if (random_() % 16 == 0) {
      keyspace_.flush();
    }
  }

  void overwrite(const std::string& one, const std::string& value) {
    keyspace_.update(key(one), [&](const EntryView* old) {
      if (old == nullptr || old->value.size() < value.size()) return Change{};
      const std::size_t begin = (old->value.size() - value.size()) / 2;
      return replaced({old->value.substr(0, begin), value, old->value.substr(begin + value.size())}, old);
    });
  }

  void several(const std::string& value) {
    std::vector<std::string> names;
    for (std::uint64_t i = random_() % 5 + 1; i > 0; --i) names.push_back(name());
    const std::uint64_t number = random_();
    keyspace_.transact(testing::hashed(keyspace_, names), [&] {
      for (std::size_t i = 0; i < names.size(); ++i) {
        if ((number >> i & 3) == 0) {
          keyspace_.erase(key(names[i]));
        } else {
          keyspace_.set(key(names[i]), value + std::to_string(i));
        }
      }
      return true;
    });
  }

  Keyspace keyspace_;
  std::mt19937_64 random_;
  TimeMs now_ms_ = kStartMs;
};

// Shows that the records of random operations make what the operations made.
TEST(Journal, RandomOperations) {
  for (const bool evicts : {false, true}) {
    auto segment = make_journalled(evicts ? 16u << 20 : 64u << 20, kRingBytes);
    Worker worker(*segment, 1, evicts ? 2 : 1);
    if (evicts) {
      segment->header().page_count = 96;
      ASSERT_TRUE(worker.keyspace().set_eviction(true));
    }
    RingMerger merger(*segment, testing::kDiskConsumer);
    ReplayModel model;
    for (int i = 0; i < 60'000; ++i) {
      worker.step();
      if (i % 50 == 0) replay(merger, &model);
    }
    replay(merger, &model);
    EXPECT_GT(segment->process(1).journal.tail.load(), 8 * kRingBytes);  // around its end
    expect_same(*segment, worker.keyspace(), model);
  }
}

// Shows that the records of several processes are merged into what they made together.
TEST(JournalThreads, WritersAndAConsumer) {
  constexpr int kWriters = 3;
  auto segment = make_journalled(64 << 20, kRingBytes);
  std::atomic<int> running{kWriters};
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> refused{0};
  for (int i = 0; i < kWriters; ++i) {
    threads.emplace_back([&, i] {
      Worker worker(*segment, static_cast<std::uint32_t>(i + 1), static_cast<std::uint64_t>(i) + 7);
      for (int step = 0; step < 20'000; ++step) worker.step();
      refused += worker.refused;
      --running;
    });
  }
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  while (running > 0) replay(merger, &model);
  for (std::thread& thread : threads) thread.join();
  replay(merger, &model);
  EXPECT_EQ(merger.waiting_bytes(), 0u);
  EXPECT_GT(model.record_count(), 20'000u);
  Keyspace keyspace(*segment, kWriters + 1);
  expect_same(*segment, keyspace, model);
}

// What is tried when the ring is full.
struct Attempt {
  const char* name;
  void (*run)(Keyspace&);
};

// Shows that what finds the ring full changes nothing, and is done once it was read; reads go on.
TEST(Journal, FullRing) {
  const Attempt attempts[] = {
      {"set", [](Keyspace& keyspace) { keyspace.set(keyspace.hash("key"), "new"); }},
      {"set of another", [](Keyspace& keyspace) { keyspace.set(keyspace.hash("other"), "new"); }},
      {"long", [](Keyspace& keyspace) { keyspace.set(keyspace.hash("key"), std::string(200'000, 'l')); }},
      {"erase", [](Keyspace& keyspace) { keyspace.erase(keyspace.hash("key")); }},
      {"append",
       [](Keyspace& keyspace) {
         keyspace.update(keyspace.hash("run"), [](const EntryView* old) {
           return replaced({old->value, "tail"}, old);
         });
       }},
      {"patch",
       [](Keyspace& keyspace) {
         keyspace.update(keyspace.hash("run"), [](const EntryView* old) {
           return replaced({old->value.substr(0, 8), "part", old->value.substr(12)}, old);
         });
       }},
      {"expiry",
       [](Keyspace& keyspace) {
         keyspace.update(keyspace.hash("due"), [](const EntryView*) {
           return Change{Change::Action::kSetExpiry, {}, kStartMs + 99'999};
         });
       }},
      {"several",
       [](Keyspace& keyspace) {
         keyspace.transact({}, [&] {
           keyspace.set(keyspace.hash("key"), "new");
           keyspace.erase(keyspace.hash("run"));
           return true;
         });
       }},
      {"several, long",
       [](Keyspace& keyspace) {
         keyspace.transact({}, [&] {
           keyspace.set(keyspace.hash("key"), std::string(100'000, 'k'));
           keyspace.set(keyspace.hash("run"), std::string(100'000, 'r'));
           return true;
         });
       }},
  };
  for (const Attempt& attempt : attempts) {
    SCOPED_TRACE(attempt.name);
    auto segment = make_journalled(32 << 20, JournalRings::kLeastBytes);
    Keyspace keyspace(*segment, 1);
    keyspace.set_now_ms(kStartMs);
    RingMerger merger(*segment, testing::kDiskConsumer);
    ReplayModel model;
    keyspace.set(keyspace.hash("key"), "old");
    keyspace.set(keyspace.hash("due"), "soon", {SetCondition::kAlways, kStartMs + 1000});
    keyspace.set(keyspace.hash("run"), std::string(50'000, 'r'));
    replay(merger, &model);
    bool is_full = false;
    for (int i = 0; i < 2000 && !is_full; ++i) {
      try {
        keyspace.set(keyspace.hash("filler"), std::string(40, 'f'));
      } catch (const JournalFull&) {
        is_full = true;
      }
    }
    ASSERT_TRUE(is_full);
    for (int i = 0; i < 3; ++i) EXPECT_THROW(attempt.run(keyspace), JournalFull);
    keyspace.set_now_ms(kStartMs + 2000);
    keyspace.maintain(1'000'000, true);  // `due` has expired, and stays
    keyspace.set_now_ms(kStartMs);
    std::string value;
    EXPECT_TRUE(get(keyspace, "key", &value) && value == "old");
    EXPECT_TRUE(get(keyspace, "run", &value) && value == std::string(50'000, 'r'));
    EXPECT_TRUE(get(keyspace, "due", &value));
    replay(merger, &model);
    expect_same(*segment, keyspace, model);
    keyspace.set_now_ms(kStartMs);
    attempt.run(keyspace);
    replay(merger, &model);
    expect_same(*segment, keyspace, model);
  }
}

// Shows that a long value stays as its record says until it was read, whatever becomes of the key.
TEST(Journal, LongValuesWaitForTheConsumer) {
  auto segment = make_journalled(64 << 20, kRingBytes);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  const HashedKey key = keyspace.hash("run");
  keyspace.set(key, std::string(50'000, 'a'));
  keyspace.update(key, [](const EntryView* old) { return replaced({old->value, "grown"}, old); });
  keyspace.update(key, [](const EntryView* old) {
    return replaced({old->value.substr(0, 9), "patched", old->value.substr(16)}, old);
  });
  keyspace.set(key, std::string(60'000, 'b'));
  keyspace.erase(key);
  std::vector<std::string> seen;
  merger.pass([&](const RingMerger::Taken& taken) {
    if (taken.record.header.kind == RecordKind::kPut) seen.push_back(std::string(taken.record.value()));
    return true;
  });
  ASSERT_EQ(seen.size(), 3u);  // the patch became a copy, since a record named what it would have changed
  EXPECT_EQ(seen[0], std::string(50'000, 'a'));
  EXPECT_EQ(seen[1], std::string(9, 'a') + "patched" + std::string(50'000 - 16, 'a') + "grown");
  EXPECT_EQ(seen[2], std::string(60'000, 'b'));

  // Nobody has said that they were taken: more of them than wait find no place, and change nothing.
  int written = 0;
  EXPECT_THROW(
      for (; written < 100; ++written) keyspace.set(key, std::string(50'000, 'c') + std::to_string(written)),
      JournalFull);
  EXPECT_GT(written, 2);
  EXPECT_LT(written, 20);
  std::string value;
  EXPECT_TRUE(get(keyspace, "run", &value) &&
              value == std::string(50'000, 'c') + std::to_string(written - 1));
  merger.publish();
  replay(merger, &model);
  keyspace.set(key, "short");
}

// Shows that a transaction whose records are longer than the ring takes is one record all the same.
TEST(Journal, GroupLongerThanTheRing) {
  auto segment = make_journalled(64 << 20, JournalRings::kLeastBytes);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  for (int round = 0; round < 30; ++round) {
    const WriteStatus status = keyspace.transact({}, [&] {
      for (int i = 0; i < 300; ++i)
        keyspace.set(keyspace.hash("key:" + std::to_string(i)),
                     std::string(400, static_cast<char>('a' + round % 26)));
      return true;
    });
    ASSERT_EQ(status, WriteStatus::kDone);
    if (round % 3 == 2) replay(merger, &model);
  }
  replay(merger, &model);
  expect_same(*segment, keyspace, model);
}

// Shows that changes of whole databases are in the journal, also among other changes.
TEST(Journal, Databases) {
  auto segment = make_journalled(64 << 20, 16 << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  ASSERT_TRUE(keyspace.open_database(DatabaseId(1)) && keyspace.open_database(DatabaseId(7)));
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  const auto fill = [&](std::uint32_t database, int count, const char* value) {
    keyspace.select(DatabaseId(database));
    for (int i = 0; i < count; ++i) keyspace.set(keyspace.hash("key:" + std::to_string(i)), value);
    keyspace.select(DatabaseId(0));
  };
  const auto compare = [&] {
    replay(merger, &model);
    EXPECT_FALSE(model.is_changing());
    expect_same(*segment, keyspace, model);
    keyspace.set_now_ms(kStartMs);
  };
  fill(0, 500, "zero");
  fill(1, 700, "one");
  fill(7, 300, "seven");
  compare();
  keyspace.swap_databases(DatabaseId(1), DatabaseId(7));
  fill(1, 310, "in seven's place");
  compare();
  keyspace.select(DatabaseId(7));
  keyspace.flush_database();
  keyspace.select(DatabaseId(0));
  compare();
  EXPECT_EQ(model.key_count(), 500u + 310u);
  const WriteStatus status = keyspace.transact_all([&] {
    keyspace.flush();
    keyspace.set(keyspace.hash("key:3"), "the only one");
    return true;
  });
  EXPECT_EQ(status, WriteStatus::kDone);
  compare();
  EXPECT_EQ(model.key_count(), 1u);
  fill(1, 10, "again");
  keyspace.flush();
  compare();
  EXPECT_EQ(model.key_count(), 0u);
}

// Shows that positions are counted while nobody reads, and that records go on from there.
TEST(Journal, CountsWithoutAConsumer) {
  auto segment = make_segment(32 << 20);
  ASSERT_TRUE(static_cast<bool>(segment->begin_journal(0, kRingBytes)));
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  for (int i = 0; i < 10; ++i) keyspace.set(keyspace.hash("key"), std::to_string(i));
  keyspace.transact({}, [&] { return keyspace.set(keyspace.hash("key"), "ten") == WriteStatus::kDone; });
  EXPECT_EQ(segment->process(1).journal.tail.load(), 0u);
  ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, kRingBytes)));
  RingMerger merger(*segment, testing::kDiskConsumer);
  keyspace.set(keyspace.hash("key"), "eleven");
  std::vector<std::uint64_t> positions;
  merger.pass([&](const RingMerger::Taken& taken) {
    return positions.push_back(taken.record.header.position), true;
  });
  EXPECT_EQ(positions, std::vector<std::uint64_t>{position_of(1, 12)});
}

}  // namespace
}  // namespace memento
