// RobustLocks as one thread takes them. The kernel walks the thread's robust list when the thread dies,
// marks every lock it held and wakes a waiter; the next owner repairs the dead process's record before it
// uses what the lock guards.
//
// Order of locks: the gate, slots ascending, the flush lock, the arena's, a record's repair lock.
#pragma once

#include <linux/futex.h>

#include <cstdint>

#include "shm/layout.h"

namespace memento {

class LockOwner {
 public:
  /// Registers the calling thread's robust list (set_robust_list): glibc's robust mutexes are not used here.
  LockOwner(char* segment_base, std::uint32_t process);
  ~LockOwner();
  LockOwner(const LockOwner&) = delete;
  LockOwner& operator=(const LockOwner&) = delete;

  /// REQUIRES: not held by this thread.
  void lock(RobustLock& lock);
  /// REQUIRES: held, with no redo entries committed but not applied.
  void unlock(RobustLock& lock);

  /// Completes the committed changes of a record whose owner is dead. `incarnation` is the dead owner's: when
  /// the record has another one, somebody repaired it already.
  void repair(std::uint32_t process, std::uint32_t incarnation, bool reap);

 private:
  bool lock_contended(RobustLock& lock);

  char* base_;
  std::uint32_t thread_id_;
  std::uint32_t holder_;
  robust_list_head head_;
};

/// unlock() at the end of a scope.
class LockGuard {
 public:
  LockGuard(LockOwner& owner, RobustLock& lock) : owner_(owner), lock_(lock) { owner_.lock(lock_); }
  ~LockGuard() { owner_.unlock(lock_); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  LockOwner& owner_;
  RobustLock& lock_;
};

}  // namespace memento
