// The journal where something goes wrong: processes that die in a consumer's or a writer's way, starts with
// other rings or fewer workers, rings that are full.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "tests/shm/journal/journal_fixture.h"

namespace memento {
namespace {

using testing::expect_same;
using testing::get;
using testing::kStartMs;
using testing::make_journalled;
using testing::make_segment;
using testing::name_of;
using testing::replay;

// Shows that a short transaction whose records are too long for the ring does not take a run that it has not.
TEST(JournalFaults, BriefGroupInRun) {
  auto segment = make_journalled(64 << 20, 64 << 10);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  const WriteStatus status = keyspace.transact({}, [&] {
    for (int i = 0; i < 20; ++i) keyspace.set(keyspace.hash(name_of(i)), std::string(1500, 'g'));
    return true;
  });
  EXPECT_EQ(status, WriteStatus::kDone);
  replay(merger, &model);
  expect_same(*segment, keyspace, model);
}

// Shows that a transaction's only write is told as a record of its own, whatever its length.
TEST(JournalFaults, SingleInTransaction) {
  auto segment = make_journalled(64 << 20, 64 << 10);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  const std::string long_key(60'000, 'k');
  int full = 0;
  for (int i = 0; i < 40; ++i) {
    try {
      keyspace.transact({}, [&] {
        keyspace.set(keyspace.hash(i % 2 == 0 ? long_key : name_of(i)),
                     std::string(i % 2 == 0 ? 9 : 20'000, 's'));
        return true;
      });
    } catch (const JournalFull&) {
      ++full;
      replay(merger, &model);
    }
  }
  replay(merger, &model);
  expect_same(*segment, keyspace, model);
  EXPECT_GT(full, 0);
}

// Shows that what a long transaction replaced is kept until it was read, and freed then: long values and many
// short ones, twice.
TEST(JournalFaults, PlacesOfALargeAreaAreLost) {
  auto segment = make_journalled(256 << 20, 32 << 20);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  const auto write = [&](char c) {
    return keyspace.transact({}, [&] {
      for (int i = 0; i < 12; ++i)
        keyspace.set(keyspace.hash("long" + std::to_string(i)), std::string(50'000, c));
      for (int i = 0; i < 20'000; ++i) keyspace.set(keyspace.hash(name_of(i)), std::string(10, c));
      return true;
    });
  };
  EXPECT_EQ(write('a'), WriteStatus::kDone);
  EXPECT_EQ(write('b'), WriteStatus::kDone);
  replay(merger, &model);
  expect_same(*segment, keyspace, model);
}

// Shows that a successor frees what its predecessor had to leave.
TEST(JournalFaults, SuccessorOfWhoLeavesPlaces) {
  auto segment = make_journalled(64 << 20, 16 << 20);
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  const auto write = [&](Keyspace& keyspace, char c) {
    return keyspace.transact({}, [&] {
      for (int i = 0; i < 12; ++i)
        keyspace.set(keyspace.hash("long" + std::to_string(i)), std::string(50'000, c));
      return true;
    });
  };
  {
    Keyspace keyspace(*segment, 1);
    keyspace.set_now_ms(kStartMs);
    EXPECT_EQ(write(keyspace, 'a'), WriteStatus::kDone);
    EXPECT_EQ(write(keyspace, 'b'), WriteStatus::kDone);
  }
  Keyspace successor(*segment, 1);
  successor.set_now_ms(kStartMs);
  replay(merger, &model);
  EXPECT_EQ(write(successor, 'c'), WriteStatus::kDone);
  replay(merger, &model);
  expect_same(*segment, successor, model);
}

// Shows the same for a patch that needs the memory in which a transaction has left something.
TEST(JournalFaults, PatchBehindWhoLeavesPlaces) {
  auto segment = make_journalled(128 << 20, 16 << 20);
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  const HashedKey key = keyspace.hash("patched");
  keyspace.set(key, std::string(400'000, 'p'));
  replay(merger, &model);
  const auto write = [&](char c) {
    return keyspace.transact({}, [&] {
      for (int i = 0; i < 12; ++i)
        keyspace.set(keyspace.hash("long" + std::to_string(i)), std::string(50'000, c));
      return true;
    });
  };
  EXPECT_EQ(write('a'), WriteStatus::kDone);
  EXPECT_EQ(write('b'), WriteStatus::kDone);
  replay(merger, &model);
  const std::string part(60'000, 'q');
  keyspace.update(key, [&](const EntryView* old) {
    return Change{Change::Action::kReplace,
                  {old->value.substr(0, 100), part, old->value.substr(100 + part.size())},
                  kNoExpiry};
  });
  replay(merger, &model);
  expect_same(*segment, keyspace, model);
  keyspace.set_now_ms(kStartMs);
  EXPECT_EQ(write('c'), WriteStatus::kDone);
  replay(merger, &model);
  expect_same(*segment, keyspace, model);
}

// Shows that a consumer's heads move as one, though it dies in between.
TEST(JournalFaults, ConsumerDiesInPublish) {
  auto segment = make_journalled(64 << 20, 1 << 20);
  Keyspace one(*segment, 1);
  one.set_now_ms(kStartMs);
  Keyspace other(*segment, 2);
  other.set_now_ms(kStartMs);
  one.set(one.hash("key"), "1");
  other.set(other.hash("key"), "2");
  one.set(one.hash("key"), "3");
  {
    RingMerger merger(*segment, testing::kDiskConsumer);
    merger.pass([](const RingMerger::Taken&) { return true; });
    EXPECT_EQ(merger.waiting_bytes(), 0u);
    testing::begin_publishing(*segment, merger);
  }
  one.set(one.hash("key"), "4");
  other.set(other.hash("key"), "5");
  RingMerger merger(*segment, testing::kDiskConsumer);
  std::uint64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    merger.pass([&](const RingMerger::Taken& taken) { return last = taken.record.header.position, true; });
    merger.publish();
  }
  EXPECT_EQ(merger.waiting_bytes(), 0u);
  EXPECT_EQ(last, position_of(1, 5));
  for (const std::string& error : check_segment(*segment).errors) ADD_FAILURE() << error;
}

// Shows that who has written nothing yet removes what has expired.
TEST(JournalFaults, WhoHasNotWrittenSweeps) {
  auto segment = make_journalled(64 << 20, 1 << 20);
  Keyspace one(*segment, 1);
  one.set_now_ms(kStartMs);
  SetOptions options;
  options.expiry_ms = kStartMs + 10;
  one.set(one.hash("key"), "1", options);
  Keyspace other(*segment, 2);
  other.set_now_ms(kStartMs + 1000);
  for (int i = 0; i < 100; ++i) other.maintain(1'000'000, true);
  EXPECT_EQ(check_segment(*segment).key_count, 0u);
}

// Shows that a consumer that comes to another one begins where the rings are.
TEST(JournalFaults, AnotherConsumer) {
  auto segment = make_journalled(64 << 20, 1 << 20);
  {
    Keyspace one(*segment, 1);
    one.set_now_ms(kStartMs);
    RingMerger merger(*segment, 0);
    for (int i = 0; i < 100; ++i) {
      one.set(one.hash("key"), std::string(20'000, 'x'));
      merger.pass([](const RingMerger::Taken&) { return true; });
      merger.publish();
    }
  }
  ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk | kJournalForNodes, 1 << 20)));
  Keyspace one(*segment, 1);
  one.set_now_ms(kStartMs);
  EXPECT_NO_THROW(one.set(one.hash("key"), "y"));
  RingMerger nodes(*segment, 1);
  EXPECT_TRUE(nodes.pass([](const RingMerger::Taken&) { return true; })) << nodes.error();
}

// Shows that rings of another size are other rings.
TEST(JournalFaults, LongerRing) {
  auto segment = make_journalled(64 << 20, 64 << 10);
  ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, 4 << 20)));
  testing::expect_long_rings(*segment);
}

// Shows that a full ring, which keeps keys from being evicted, is not taken for want of memory.
TEST(JournalFaults, EvictionWithAFullRing) {
  auto segment = make_journalled(16 << 20, 256 << 10);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  segment->header().page_count = 96;
  ASSERT_TRUE(keyspace.set_eviction(true));
  RingMerger merger(*segment, 0);
  ReplayModel model;
  int out_of_memory = 0;
  int full = 0;
  for (int i = 0; i < 20'000; ++i) {
    try {
      if (keyspace.set(keyspace.hash(name_of(i)), std::string(900, 'x')) == WriteStatus::kOutOfMemory)
        ++out_of_memory;
    } catch (const JournalFull&) {
      ++full;
      replay(merger, &model);
    }
    if (out_of_memory > 0 && i % 100 == 0) replay(merger, &model);
  }
  replay(merger, &model);
  expect_same(*segment, keyspace, model);
  EXPECT_GT(full, 0);
  EXPECT_EQ(out_of_memory, 0);
}

TEST(JournalFaults, SingleOverwritesUnread) {
  auto segment = make_journalled(64 << 20, 64 << 10);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  const auto put = [&](const std::string& key, std::size_t bytes) {
    keyspace.transact({}, [&] {
      keyspace.set(keyspace.hash(key), std::string(bytes, 's'));
      return true;
    });
  };
  put("short", 20'000);
  try {
    put(std::string(60'000, 'k'), 9);
  } catch (const JournalFull&) {
  }
  replay(merger, &model);
  expect_same(*segment, keyspace, model);
}

TEST(JournalFaults, BusyInsteadOfFull) {
  auto segment = make_journalled(64 << 20, 64 << 10);
  Keyspace keyspace(*segment, 1);
  keyspace.set_now_ms(kStartMs);
  RingMerger merger(*segment, testing::kDiskConsumer);
  ReplayModel model;
  const auto fill = [&] {
    return keyspace.transact({}, [&] {
      for (int i = 0; i < 400; ++i) keyspace.set(keyspace.hash(name_of(i)), "value");
      return true;
    });
  };
  const auto erase = [&] {
    return keyspace.transact({}, [&] {
      for (int i = 0; i < 400; ++i) keyspace.erase(keyspace.hash(name_of(i)));
      return true;
    });
  };
  EXPECT_EQ(fill(), WriteStatus::kDone);
  replay(merger, &model);
  EXPECT_EQ(erase(), WriteStatus::kDone);
  replay(merger, &model);
  EXPECT_EQ(fill(), WriteStatus::kDone);
  replay(merger, &model);
  for (int i = 0; i < 9; ++i) {
    try {
      keyspace.set(keyspace.hash("long"), std::string(40'000, 'x'));
    } catch (const JournalFull&) {
    }
  }
  EXPECT_THROW(EXPECT_EQ(erase(), WriteStatus::kDone), JournalFull);
}

}  // namespace
}  // namespace memento
