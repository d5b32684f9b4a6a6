// Robust locks: one owner at a time, a dead one's list completed before the lock is used, and repairs that
// are made once.
#include "shm/commit/robust_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "shm/commit/redo_list.h"
#include "shm/segment.h"

namespace memento::testing {
namespace {

class RobustLockTest : public ::testing::Test {
 protected:
  RobustLockTest() : segment_(std::move(*Segment::create_anonymous({"", 16 << 20, 4}))) {}

  Slot& slot(std::uint32_t number = 0) {
    return SlotArray(segment_->base() + segment_->header().slots_offset)[SlotId{number}];
  }
  ProcessRecord& record(std::uint32_t process) { return segment_->process(process); }

  /// Runs `body(owner)` in a process with this record, which ends without letting go of anything.
  template <class Body>
  void die_after(std::uint32_t process, Body&& body) {
    const pid_t child = fork();
    if (child == 0) {
      LockOwner owner(segment_->base(), process);
      body(owner);
      _exit(0);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }

  std::unique_ptr<Segment> segment_;
};

// Shows that a lock names its owner while it is held, thread and record, and nobody afterwards.
TEST_F(RobustLockTest, NamesItsOwner) {
  LockOwner owner(segment_->base(), 2);
  owner.lock(slot().lock);
  EXPECT_EQ(slot().lock.word.load(), static_cast<std::uint32_t>(gettid()));
  EXPECT_EQ(slot().lock.holder.load() & 255, 3u);
  owner.unlock(slot().lock);
  EXPECT_EQ(slot().lock.word.load(), 0u);
  EXPECT_EQ(slot().lock.holder.load(), 0u);
}

// Shows that locks are let go in another order than they were taken in: the kernel's list stays whole, as the
// death of the owner, after that, shows: only what is still held is marked.
TEST_F(RobustLockTest, AreLetGoInAnyOrder) {
  die_after(1, [&](LockOwner& owner) {
    for (std::uint32_t i = 0; i < 4; ++i) owner.lock(slot(i).lock);
    owner.unlock(slot(3).lock);
    owner.unlock(slot(1).lock);
  });
  EXPECT_NE(slot(0).lock.word.load() & FUTEX_OWNER_DIED, 0u);
  EXPECT_EQ(slot(1).lock.word.load(), 0u);
  EXPECT_NE(slot(2).lock.word.load() & FUTEX_OWNER_DIED, 0u);
  EXPECT_EQ(slot(3).lock.word.load(), 0u);
}

// Shows that who takes a dead process's lock finds what that had committed done, and the lock its own.
TEST_F(RobustLockTest, TheNextOwnerCompletesADeadOnesList) {
  die_after(1, [&](LockOwner& owner) {
    owner.lock(slot().lock);
    RedoList redo(segment_->base(), record(1));
    redo.stage(slot().version, 42);
    record(1).committed.store(1);
  });
  ASSERT_EQ(slot().version.load(), 0u);
  LockOwner owner(segment_->base(), 2);
  owner.lock(slot().lock);
  EXPECT_EQ(slot().version.load(), 42u);
  EXPECT_EQ(record(1).committed.load(), 0u);
  EXPECT_EQ(slot().lock.holder.load() & 255, 3u);
  EXPECT_EQ(record(1).incarnation.load(), 0u) << "only who reaps it ends the record's incarnation";
  owner.unlock(slot().lock);
}

// Shows that a list which was not committed is not completed by who takes the lock.
TEST_F(RobustLockTest, WhatWasNotCommittedIsNotDone) {
  die_after(1, [&](LockOwner& owner) {
    owner.lock(slot().lock);
    RedoList redo(segment_->base(), record(1));
    redo.stage(slot().version, 42);
  });
  LockOwner owner(segment_->base(), 2);
  owner.lock(slot().lock);
  EXPECT_EQ(slot().version.load(), 0u);
  owner.unlock(slot().lock);
}

// Shows that reaping completes the list, takes the pins off and counts the incarnation up, and that a second
// repair of the same incarnation leaves alone what its successor has committed since.
TEST_F(RobustLockTest, ARecordIsRepairedOnce) {
  record(1).pid.store(77);
  record(1).pins[kReadPin].store(4096);
  RedoList redo(segment_->base(), record(1));
  redo.stage(slot().version, 1);
  record(1).committed.store(1);
  LockOwner owner(segment_->base(), 0);
  owner.repair(1, 0, true);
  EXPECT_EQ(slot().version.load(), 1u);
  EXPECT_EQ(record(1).pins[kReadPin].load(), 0u);
  EXPECT_EQ(record(1).pid.load(), 0u);
  EXPECT_EQ(record(1).incarnation.load(), 1u);
  record(1).redo[0].value = 2;
  record(1).committed.store(1);
  owner.repair(1, 0, true);
  EXPECT_EQ(slot().version.load(), 1u);
  EXPECT_EQ(record(1).committed.load(), 1u);
  record(1).committed.store(0);
}

// Shows that a second owner waits, says in the lock's word that it does, and has the lock once the first has
// let go.
TEST_F(RobustLockTest, IsWaitedFor) {
  LockOwner owner(segment_->base(), 1);
  owner.lock(slot().lock);
  slot().version.store(1);
  std::uint64_t seen_version = 0;
  std::uint64_t contentions = 0;
  std::thread waiter([&] {
    LockOwner other(segment_->base(), 2);
    other.lock(slot().lock);
    seen_version = slot().version.load();
    other.unlock(slot().lock);
    contentions = other.contentions;
  });
  while ((slot().lock.word.load() & FUTEX_WAITERS) == 0) std::this_thread::yield();
  slot().version.store(2);
  owner.unlock(slot().lock);
  waiter.join();
  EXPECT_EQ(seen_version, 2u);
  EXPECT_EQ(contentions, 1u);
  EXPECT_EQ(owner.contentions, 0u);
}

}  // namespace
}  // namespace memento::testing
