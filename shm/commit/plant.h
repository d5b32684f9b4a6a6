// Planted bugs, for tests of the crash tests only (tests/crash/plant_test.cc). In every other build planted()
// is false at compile time and leaves nothing behind. Each is a mistake one could make in good faith.
#pragma once

namespace memento {

enum class Plant {
  kNone,
  kUnlockBeforeClear,     ///< a lock is released before the redo list is withdrawn
  kStoreOutsideList,      ///< a slot's version and table fill are changed without the list
  kRefillInTwoSteps,      ///< a refill marks blocks used before the magazine has them
  kExchangeOutsideList,   ///< the block a write replaces takes its successor's place before the commit
  kForgottenOldBlock,     ///< the block a write replaces goes nowhere
  kCounterAfterCommit,    ///< a slot's byte count is updated behind the commit
  kShortCommit,           ///< the commit word leaves out the last entry
  kLockNotPending,        ///< a lock is taken without telling the kernel first
  kUnlockNotPending,      ///< a lock is dropped from the list before it is released
  kHolderBeforeRepair,    ///< who meets a dead owner's lock puts its own name on it before repairing
  kWithdrawBeforeApply,   ///< a repair clears the list before it has applied it
  kReapWithoutRepair,     ///< the reaper counts the incarnation up and leaves the list
  kValueInPlace,          ///< a value of the same length is written over the old one
  kPinIgnored,            ///< a replaced run is freed while a reader copies it
  kFlushByList,           ///< FLUSH goes through a redo list under a lock that writers do not take
  kMoveWithoutVersion,    ///< an entry is moved to another page and its slot's version stays
  kEvacuatedForgotten,    ///< the block a moved entry leaves goes nowhere
  kTargetNotTaken,        ///< the block an entry moves to stays among those to move to
  kDrainingRecordedLate,  ///< pages are marked as draining before the record says so
  kDrainingLeft,          ///< a successor leaves the marks of draining on
  kGhostsNotPublished,    ///< the ghosts' run is let go of before the header has it
  kChangeCountedLate,     ///< a change of a watched key is counted behind its commit
  kPatchOfPinned,         ///< a long value is changed in place while a reader copies it
  kPatchOutsideList,      ///< a part of a long value is written over without the list
  kLengthBeforeBytes,     ///< a value in a run is said to be longer before its new bytes are there
  kSwapNotedLate,         ///< how far SWAPDB has come is noted behind the list
  kSightingBelieved,      ///< a key is written where it was seen, whatever became of its slot since
  kRingOverwritten,       ///< a journal's ring is written over before everybody has read it
  kTailBeforeCommit,      ///< a record is there before the change that it is of
  kRecordBehindCommit,    ///< a change is there before its record
  kPositionNotStaged,     ///< a record leaves its slot's position as it was
  kCount
};

#if defined(MEMENTO_PLANT)
inline Plant active_plant = Plant::kNone;
inline bool planted(Plant plant) { return active_plant == plant; }
#else
constexpr bool planted(Plant) { return false; }
#endif

}  // namespace memento
