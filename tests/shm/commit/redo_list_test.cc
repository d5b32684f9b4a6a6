// The redo list: nothing before the commit, all of it after, and the same again when a successor applies it.
#include "shm/commit/redo_list.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "shm/segment.h"

namespace memento::testing {
namespace {

// The words changed are the counters of record 2, which nobody else uses.
class RedoListTest : public ::testing::Test {
 protected:
  RedoListTest()
      : segment_(std::move(*Segment::create_anonymous({"", 16 << 20, 3}))),
        redo_(segment_->base(), segment_->process(1)) {}

  Word& word(std::size_t i) { return segment_->process(2).counters[i]; }
  ProcessRecord& record() { return segment_->process(1); }
  /// As a process leaves it that dies right behind its commit.
  void commit_and_die(std::uint64_t count) { record().committed.store(count); }

  std::unique_ptr<Segment> segment_;
  RedoList redo_;
};

// Shows that staging changes no word, that a commit changes all, the later of two values for a word last, and
// withdraws the list.
TEST_F(RedoListTest, ChangesAllAtTheCommit) {
  redo_.stage(word(0), 1);
  redo_.stage(word(1), 2);
  redo_.stage(word(0), 3);
  EXPECT_EQ(word(0).load() + word(1).load(), 0u);
  EXPECT_EQ(redo_.size(), 3u);
  redo_.commit();
  EXPECT_EQ(word(0).load(), 3u);
  EXPECT_EQ(word(1).load(), 2u);
  EXPECT_EQ(record().committed.load(), 0u);
  EXPECT_EQ(redo_.size(), 0u);
}

// Shows that commit_words() changes its words, and lists what stage() would: a successor of who died behind
// its commit applies the same.
TEST_F(RedoListTest, CommitsWordsThatAreKnown) {
  redo_.commit_words(RedoList::Change{word(0), 7}, RedoList::Change{word(2), 8});
  EXPECT_EQ(word(0).load(), 7u);
  EXPECT_EQ(word(2).load(), 8u);
  EXPECT_EQ(record().committed.load(), 0u);
  EXPECT_EQ(redo_.size(), 0u);
  word(0).store(0);
  word(2).store(0);
  commit_and_die(2);
  RedoList::complete(segment_->base(), record());
  EXPECT_EQ(word(0).load(), 7u);
  EXPECT_EQ(word(1).load(), 0u);
  EXPECT_EQ(word(2).load(), 8u);
}

// Shows that a list that is given up changes nothing, neither then nor with the next commit.
TEST_F(RedoListTest, AbandonedChangesNothing) {
  redo_.stage(word(0), 1);
  redo_.abandon();
  redo_.stage(word(1), 2);
  redo_.commit();
  EXPECT_EQ(word(0).load(), 0u);
  EXPECT_EQ(word(1).load(), 2u);
}

// Shows that one entry fills so many words and not the next.
TEST_F(RedoListTest, FillsConsecutiveWords) {
  redo_.stage_fill(word(1), 7, 3);
  redo_.commit();
  EXPECT_EQ(word(0).load(), 0u);
  for (std::size_t i = 1; i <= 3; ++i) EXPECT_EQ(word(i).load(), 7u);
  EXPECT_EQ(word(4).load(), 0u);
}

// Shows that load() sees what is staged, and that restage() replaces it in place, so that the list grows only
// for new words.
TEST_F(RedoListTest, RestagesInPlace) {
  word(0).store(10);
  EXPECT_EQ(redo_.load(word(0)), 10u);
  redo_.restage(word(0), 11);
  redo_.restage(word(0), redo_.load(word(0)) + 1);
  EXPECT_EQ(redo_.size(), 1u);
  EXPECT_EQ(redo_.load(word(0)), 12u);
  redo_.commit();
  EXPECT_EQ(word(0).load(), 12u);
}

// Shows that a list committed by a process that died before it applied anything is completed, that completing
// twice is completing once, and that what was staged and not committed is not.
TEST_F(RedoListTest, ASuccessorCompletesWhatWasCommitted) {
  redo_.stage(word(0), 5);
  redo_.stage(word(1), 6);
  redo_.stage(word(2), 7);
  commit_and_die(2);
  RedoList::complete(segment_->base(), record());
  EXPECT_EQ(word(0).load(), 5u);
  EXPECT_EQ(word(1).load(), 6u);
  EXPECT_EQ(word(2).load(), 0u);
  EXPECT_EQ(record().committed.load(), 0u);
  word(0).store(8);
  RedoList::complete(segment_->base(), record());
  EXPECT_EQ(word(0).load(), 8u);
}

// Shows that a longer list goes to the area that the record holds, is found there by a successor, and that
// the record's own list is used again afterwards.
TEST_F(RedoListTest, LongListsLieInTheArea) {
  const Offset offset{segment_->header().arena_offset};
  auto& area = *reinterpret_cast<TransactionArea*>(segment_->base() + offset);
  area.block_limit = 4;
  area.redo_limit = 2 * kRedoLimit;
  record().held[kHeldTransaction].store(Extent::make(offset, 64, Extent::kRun).word);
  redo_.use_area(area);
  for (std::uint32_t i = 0; i < kRedoLimit + 10; ++i) redo_.stage(word(i % 2), i);
  commit_and_die(redo_.size() | ProcessRecord::kLongList);
  RedoList::complete(segment_->base(), record());
  EXPECT_EQ(word(0).load(), kRedoLimit + 8);
  EXPECT_EQ(word(1).load(), kRedoLimit + 9);
  redo_.abandon();
  redo_.use_record();
  redo_.stage(word(0), 1);
  EXPECT_EQ(record().redo[0].value, 1u);
  redo_.commit();
  EXPECT_EQ(word(0).load(), 1u);
  record().held[kHeldTransaction].store(0);
}

}  // namespace
}  // namespace memento::testing
