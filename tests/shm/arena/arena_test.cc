// The arena without a keyspace: blocks, runs and tables are taken and given back, none twice, and what was
// all given back is all free again.
#include "shm/arena/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <vector>

#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento::testing {
namespace {

/// One process's view: it registers the thread's robust list, so there is one at a time.
struct Process {
  Process(Segment& segment, std::uint32_t number)
      : record(segment.process(number)),
        owner(segment.base(), number),
        redo(segment.base(), record),
        arena(segment, record, owner, redo) {}

  /// Takes the block that is next, as a SET does.
  Offset take(std::uint32_t size_class) {
    const Offset offset = arena.peek(size_class);
    arena.stage_exchange(size_class, kNoOffset);
    redo.commit();
    return offset;
  }
  void give_back(Offset offset) {
    arena.stage_exchange(Arena::kNoClass, offset);
    redo.commit();
    arena.settle(offset);
  }

  ProcessRecord& record;
  LockOwner owner;
  RedoList redo;
  Arena arena;
};

class ArenaTest : public ::testing::Test {
 protected:
  ArenaTest() : segment_(make_segment(32 << 20, 2)) {}
  ~ArenaTest() override { expect_sound(*segment_); }

  std::uint64_t used_units() { return segment_->header().used_units.load(); }

  std::unique_ptr<Segment> segment_;
};

// Shows that blocks of one class, taken over several pages, are as large as the class says, do not overlap,
// and that all the memory is free again when they were given back.
TEST_F(ArenaTest, BlocksDoNotOverlap) {
  Process process(*segment_, 1);
  const std::uint32_t size_class = class_of_size(3000);
  const std::uint64_t block_bytes = kSizeClasses.geometry[size_class].block_bytes;
  std::set<Offset> blocks;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(process.arena.prepare(size_class));
    blocks.insert(process.take(size_class));
  }
  ASSERT_EQ(blocks.size(), 200u);
  Offset end{segment_->header().arena_offset};
  for (const Offset offset : blocks) {
    EXPECT_GE(offset, end);
    EXPECT_EQ(process.arena.capacity(offset), block_bytes);
    end = offset + block_bytes;
  }
  EXPECT_GT(used_units(), kUnitsPerPage);
  for (const Offset offset : blocks) process.give_back(offset);
  process.arena.give_back_all();
  EXPECT_EQ(used_units(), 0u);
}

// Shows that blocks which went back to pages that are still in use are taken again from there: no other page
// is needed.
TEST_F(ArenaTest, BlocksAreTakenAgainFromTheirPage) {
  Process process(*segment_, 1);
  const std::uint32_t size_class = class_of_size(3000);
  std::vector<Offset> blocks;
  const auto take_until = [&](std::size_t count) {
    while (blocks.size() < count) {
      ASSERT_TRUE(process.arena.prepare(size_class));
      blocks.push_back(process.take(size_class));
    }
  };
  take_until(100);
  process.arena.give_back_blocks();
  const std::uint64_t units = used_units();
  for (int i = 0; i < 50; ++i) {
    process.give_back(blocks.front());
    blocks.erase(blocks.begin());
    std::rotate(blocks.begin(), blocks.begin() + 1, blocks.end());
  }
  process.arena.give_back_blocks();
  take_until(100);
  EXPECT_EQ(std::set<Offset>(blocks.begin(), blocks.end()).size(), 100u);
  EXPECT_EQ(used_units(), units);
  for (const Offset offset : blocks) process.give_back(offset);
  process.arena.give_back_all();
}

// Shows that a block that is replaced by one of its class changes places with it: the next one taken is the
// one given back.
TEST_F(ArenaTest, BlocksOfAClassChangePlaces) {
  Process process(*segment_, 1);
  const std::uint32_t size_class = class_of_size(64);
  ASSERT_TRUE(process.arena.prepare(size_class));
  const Offset first = process.take(size_class);
  ASSERT_TRUE(process.arena.prepare(size_class));
  const std::size_t count = process.arena.block_count(size_class);
  const Offset second = process.arena.peek(size_class);
  process.arena.stage_exchange(size_class, first);
  process.redo.commit();
  EXPECT_NE(second, first);
  EXPECT_EQ(process.arena.block_count(size_class), count);
  EXPECT_EQ(process.arena.peek(size_class), first);
  process.give_back(second);
  process.arena.give_back_all();
}

// Shows that several blocks are prepared at once and taken from the top, and that an exchange is refused,
// with nothing staged, when what is given back would fill the magazine.
TEST_F(ArenaTest, ExchangesManyAtOnce) {
  Process process(*segment_, 1);
  const std::uint32_t size_class = class_of_size(32);
  ASSERT_TRUE(process.arena.prepare_many(size_class, Arena::kManyLimit));
  std::vector<Offset> taken;
  for (std::size_t i = 0; i < Arena::kManyLimit; ++i)
    taken.push_back(process.arena.peek_below(size_class, i));
  EXPECT_EQ(std::set<Offset>(taken.begin(), taken.end()).size(), Arena::kManyLimit);
  ASSERT_TRUE(process.arena.stage_exchange_many(size_class, taken.size(), {}));
  process.redo.commit();
  ASSERT_TRUE(process.arena.prepare_many(size_class, Arena::kManyLimit));
  const std::uint32_t staged = process.redo.size();
  EXPECT_FALSE(process.arena.stage_exchange_many(size_class, 0, taken));
  EXPECT_EQ(process.redo.size(), staged);
  for (const Offset offset : taken) process.give_back(offset);
  process.arena.give_back_all();
}

// Shows that runs and tables of sizes on both sides of a page and of the smallest run are given back whole.
TEST_F(ArenaTest, RunsAndTablesAreGivenBackWhole) {
  Process process(*segment_, 1);
  for (const std::uint64_t bytes : {kUnitBytes, kPageBytes - 8, kPageBytes, 5 * kPageBytes + 1}) {
    ASSERT_TRUE(process.arena.allocate_run(bytes));
    const Extent run{process.arena.held(kHeldNewRun).load()};
    EXPECT_EQ(run.kind(), Extent::kRun);
    EXPECT_GE(run.size() * kUnitBytes, bytes + sizeof(Word));
    EXPECT_LT(run.size() * kUnitBytes, bytes + 2 * kUnitBytes);
    EXPECT_GE(used_units(), run.size());
    process.arena.free_held(kHeldNewRun);
  }
  for (const std::uint64_t lines : {std::uint64_t{1}, kSmallTableLines, kSmallTableLines + 1}) {
    ASSERT_TRUE(process.arena.allocate_table(lines));
    const Extent table{process.arena.held(kHeldNewTable).load()};
    EXPECT_EQ(table.kind(), Extent::kTable);
    EXPECT_EQ(table.size(), lines);
    process.arena.free_held(kHeldNewTable);
  }
  EXPECT_EQ(used_units(), 0u);
}

// Shows that memory ends with an answer: the last run that does not fit is refused, nothing is held for it,
// and what was freed can be taken again.
TEST_F(ArenaTest, SaysWhenItIsFull) {
  Process process(*segment_, 1);
  const std::uint64_t bytes = 4 << 20;
  EXPECT_FALSE(process.arena.can_ever_hold(segment_->size_bytes()));
  const std::uint32_t roles[] = {kHeldNewRun,     kHeldOldRun,     kHeldOldRun + 1, kHeldOldRun + 2,
                                 kHeldOldRun + 3, kHeldOldRun + 4, kHeldOldRun + 5, kHeldOldRun + 6};
  std::size_t count = 0;
  while (count < std::size(roles) && process.arena.allocate_run(bytes, roles[count])) ++count;
  ASSERT_GT(count, 3u);
  ASSERT_LT(count, std::size(roles));
  EXPECT_EQ(process.record.held[roles[count]].load(), 0u);
  process.arena.free_held(roles[1]);
  EXPECT_TRUE(process.arena.allocate_run(bytes, roles[1]));
  process.arena.give_back_all();
  EXPECT_EQ(used_units(), 0u);
}

// Shows that a run which another process has pinned waits in its place when it was replaced, and goes with
// the pin.
TEST_F(ArenaTest, APinnedRunWaits) {
  Process process(*segment_, 1);
  ASSERT_TRUE(process.arena.allocate_run(kPageBytes, kHeldOldRun));
  const Offset entry = entry_of_run(Extent{process.record.held[kHeldOldRun].load()}.offset());
  Word& pin = segment_->process(2).pins[kReadPin];
  pin.store(entry.value);
  EXPECT_TRUE(process.arena.is_pinned_by_others(entry));
  EXPECT_FALSE(process.arena.free_old_runs());
  EXPECT_GT(used_units(), 0u);
  pin.store(0);
  EXPECT_TRUE(process.arena.free_old_runs());
  EXPECT_EQ(used_units(), 0u);
}

}  // namespace
}  // namespace memento::testing
