// RobustLocks as one thread takes them. The kernel walks the thread's robust list when the thread dies,
// marks every lock it held and wakes a waiter; the next owner repairs the dead process's record before it
// uses what the lock guards.
//
// A holder that neither dies nor goes on (it was stopped) would block its waiters for ever. Who has waited
// for one holder for Header::lock_timeout_ms, in which that used no processor time at all, tells the master,
// which kills it: then it is a dead holder as any other. The master, when it is the one that waits, kills it
// itself. A holder that runs is waited for, however long it takes. A waiter whose master is dead leaves.
//
// Order of locks: the gate, slots ascending, the flush lock, the arena's, a record's repair lock.
#pragma once

#include <linux/futex.h>

#include <cstdint>

#include "shm/commit/plant.h"
#include "shm/format/layout.h"

namespace memento {

/// What a waiter writes into the pipe to the master: that a lock, or a pin on a run, is not let go, and who
/// held it. No signal: the master may be root's and the waiter not.
struct StuckLock {
  std::uint64_t offset = 0;  ///< of the RobustLock or the pin
  std::uint64_t thread_id = 0;
};

/// One wait for what others hold, in slices of LockOwner::kWaitSliceMs.
struct SlowWait {
  std::uint32_t holder = 0;            ///< thread id
  std::uint32_t slices = 0;            ///< that this holder was waited for
  std::uint64_t holder_active_ns = 0;  ///< active_time_ns() of it as last looked at
};

class LockOwner {
 public:
  static constexpr std::uint32_t kWaitSliceMs = 100;

  /// Registers the calling thread's robust list (set_robust_list): glibc's robust mutexes are not used here.
  /// `master_pipe`: gets a StuckLock for each that is not let go; -1: none, as in the master.
  LockOwner(char* segment_base, std::uint32_t process, int master_pipe = -1);
  ~LockOwner();
  LockOwner(const LockOwner&) = delete;
  LockOwner& operator=(const LockOwner&) = delete;

  /// REQUIRES: not held by this thread.
  void lock(RobustLock& lock) {
    if (acquire(lock)) [[unlikely]]
      repair_for(lock);
    lock.holder.store(holder_, std::memory_order_release);
    kernel_visible();
  }
  /// False: somebody has it, or was faster.
  bool try_lock(RobustLock& lock) {
    std::uint32_t seen = lock.word.load(std::memory_order_relaxed);
    if ((seen & FUTEX_TID_MASK) != 0) return false;
    head_.list_op_pending = link_of(lock);
    kernel_visible();
    const bool is_taken = lock.word.compare_exchange_strong(
        seen, thread_id_ | (seen & FUTEX_WAITERS), std::memory_order_acquire, std::memory_order_relaxed);
    if (!is_taken) {
      kernel_visible();
      head_.list_op_pending = nullptr;
      return false;
    }
    link(lock);
    if ((seen & FUTEX_OWNER_DIED) != 0) repair_for(lock);
    lock.holder.store(holder_, std::memory_order_release);
    kernel_visible();
    return true;
  }
  /// REQUIRES: held, with no redo entries committed but not applied.
  void unlock(RobustLock& lock) {
    kernel_visible();
    lock.holder.store(0, std::memory_order_release);
    kernel_visible();
    head_.list_op_pending = planted(Plant::kUnlockNotPending) ? nullptr : link_of(lock);
    kernel_visible();
    robust_list* at = &head_.list;
    while (at->next != link_of(lock)) at = at->next;
    at->next = reinterpret_cast<robust_list*>(lock.next);
    kernel_visible();
    if (lock.word.exchange(0, std::memory_order_release) & FUTEX_WAITERS) [[unlikely]]
      wake_one(lock);
    kernel_visible();
    if (planted(Plant::kUnlockBeforeClear)) clear_committed();
    head_.list_op_pending = nullptr;
  }

  /// After each slice in which `thread_id` held a lock, or a run by a pin, that we wait for: tells the master
  /// when it did not run for lock-timeout, and ends this process when its master is dead. Slices are counted,
  /// not the clock read: a waiter that was stopped together with the holder counts one.
  void on_slow_wait(const void* what, std::uint32_t thread_id, SlowWait* wait) const;

  /// Completes the committed changes of a record whose owner is dead. `incarnation` is the dead owner's: when
  /// the record has another one, somebody repaired it already.
  void repair(std::uint32_t process, std::uint32_t incarnation, bool reap);

  std::uint64_t contentions = 0;  ///< how often a lock was held by somebody else

 private:
  static robust_list* link_of(RobustLock& lock) { return reinterpret_cast<robust_list*>(&lock.next); }
  /// The kernel reads the list at any instruction: keeps the compiler from reordering the stores around it.
  static void kernel_visible() { std::atomic_signal_fence(std::memory_order_seq_cst); }

  /// True when the former owner died.
  bool acquire(RobustLock& lock) {
    head_.list_op_pending = planted(Plant::kLockNotPending) ? nullptr : link_of(lock);
    kernel_visible();
    std::uint32_t expected = 0;
    bool owner_died = false;
    if (!lock.word.compare_exchange_strong(expected, thread_id_, std::memory_order_acquire,
                                           std::memory_order_relaxed)) [[unlikely]] {
      owner_died = lock_contended(lock);
    }
    link(lock);
    return owner_died;
  }
  /// Into the list of what is held. REQUIRES: it is pending.
  void link(RobustLock& lock) {
    kernel_visible();
    lock.next = reinterpret_cast<std::uint64_t>(head_.list.next);
    kernel_visible();
    head_.list.next = link_of(lock);
    kernel_visible();
    head_.list_op_pending = nullptr;
    kernel_visible();
  }
  void repair_for(RobustLock& lock);
  void wake_one(RobustLock& lock);
  void clear_committed();
  void complete(ProcessRecord& record, std::uint32_t incarnation, bool reap);
  bool lock_contended(RobustLock& lock);
  char* base_;
  int master_pipe_;
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
