// The robust futex protocol and the one recovery routine. See robust_lock.h.
#include "shm/commit/robust_lock.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <utility>

#include "shm/commit/redo_list.h"
#include "shm/os/process_time.h"

namespace memento {
namespace {

constexpr int kSpinLimit = 100;

long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value,
           const timespec* limit = nullptr) {
  return syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, limit, nullptr, 0);
}

// False when nobody woke us within a slice of time.
bool wait_for_change(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  const timespec slice{0, LockOwner::kWaitSliceMs * 1'000'000};
  return futex(word, FUTEX_WAIT, value, &slice) == 0 || errno != ETIMEDOUT;
}

// What is in the segment may name any process when a worker was taken over by somebody.
bool is_own_child(std::uint32_t process_id) {
  siginfo_t unused{};
  return waitid(P_PID, process_id, &unused, WEXITED | WNOHANG | WNOWAIT) == 0;
}

ProcessRecord& record_at(char* base, std::uint32_t process) {
  const auto& header = *reinterpret_cast<const Header*>(base);
  return reinterpret_cast<ProcessRecord*>(base + header.processes_offset)[process];
}

}  // namespace

LockOwner::LockOwner(char* segment_base, std::uint32_t process, int master_pipe)
    : base_(segment_base),
      master_pipe_(master_pipe),
      thread_id_(static_cast<std::uint32_t>(syscall(SYS_gettid))) {
  holder_ = (process + 1) | record_at(base_, process).incarnation.load(std::memory_order_acquire) << 8;
  head_.list.next = &head_.list;
  head_.futex_offset =
      static_cast<long>(offsetof(RobustLock, word)) - static_cast<long>(offsetof(RobustLock, next));
  head_.list_op_pending = nullptr;
  syscall(SYS_set_robust_list, &head_, sizeof head_);
}

LockOwner::~LockOwner() {
  assert(head_.list.next == &head_.list);
  syscall(SYS_set_robust_list, nullptr, sizeof head_);
}

// The former owner died. Until the repair is complete `holder` keeps naming it: should we die too, the next
// one repairs.
void LockOwner::repair_for(RobustLock& lock) {
  const std::uint32_t dead = lock.holder.load(std::memory_order_acquire);
  if (planted(Plant::kHolderBeforeRepair)) lock.holder.store(holder_);
  if (dead != 0) repair((dead & 255) - 1, dead >> 8, false);
}

void LockOwner::wake_one(RobustLock& lock) { futex(lock.word, FUTEX_WAKE, 1); }

void LockOwner::clear_committed() { record_at(base_, (holder_ & 255) - 1).committed.store(0); }

// True when the former owner died.
bool LockOwner::lock_contended(RobustLock& lock) {
  ++contentions;
  std::uint32_t waiters = 0;
  SlowWait slow;
  for (int spin = 0;; ++spin) {
    std::uint32_t seen = lock.word.load(std::memory_order_relaxed);
    if ((seen & FUTEX_TID_MASK) == 0) {
      const std::uint32_t mine = thread_id_ | (seen & FUTEX_WAITERS) | waiters;
      if (lock.word.compare_exchange_strong(seen, mine, std::memory_order_acquire)) {
        return (seen & FUTEX_OWNER_DIED) != 0;
      }
      continue;
    }
    if (spin < kSpinLimit) {
      __builtin_ia32_pause();
      continue;
    }
    if ((seen & FUTEX_WAITERS) == 0 && !lock.word.compare_exchange_strong(seen, seen | FUTEX_WAITERS))
      continue;
    waiters = FUTEX_WAITERS;
    if (wait_for_change(lock.word, seen | FUTEX_WAITERS)) {
      slow = {};
      continue;
    }
    on_slow_wait(&lock, seen & FUTEX_TID_MASK, &slow);
  }
}

void LockOwner::on_slow_wait(const void* what, std::uint32_t thread_id, SlowWait* wait) const {
  const auto& header = *reinterpret_cast<const Header*>(base_);
  const auto master = static_cast<pid_t>(header.master_pid.load(std::memory_order_relaxed));
  if (master == 0) return;
  const bool is_master = getpid() == master;
  // As if killed, and that any process may be at any instruction.
  if (!is_master && getppid() != master) _exit(0);
  const std::uint32_t limit =
      std::max(1u, header.lock_timeout_ms.load(std::memory_order_relaxed) / kWaitSliceMs);
  const std::uint64_t active_ns = active_time_ns(thread_id);
  const bool was_active = active_ns > wait->holder_active_ns;
  wait->holder_active_ns = active_ns;  // also when it is less: one of its parts may have become unreadable
  if (std::exchange(wait->holder, thread_id) != thread_id || was_active) wait->slices = 0;
  if (++wait->slices % limit != 0) return;
  if (is_master) {
    // Only its children hold what it waits for, and it has not reaped this one: the id is still theirs.
    if (is_own_child(thread_id)) kill(static_cast<pid_t>(thread_id), SIGKILL);
    return;
  }
  const auto offset = static_cast<std::uint64_t>(static_cast<const char*>(what) - base_);
  const StuckLock stuck{offset, thread_id};
  // A pipe that is full has many of these; the next one comes when as long was waited again.
  [[maybe_unused]] const ssize_t written = write(master_pipe_, &stuck, sizeof stuck);
}

void LockOwner::repair(std::uint32_t process, std::uint32_t incarnation, bool reap) {
  ProcessRecord& record = record_at(base_, process);
  // Its dead owner is not repaired in turn: who takes a repair lock has nothing committed of its own and left
  // but this list to apply again. It may be a successor in this very record, and that would be no end.
  acquire(record.repair);
  if (record.incarnation.load(std::memory_order_acquire) == incarnation) complete(record, incarnation, reap);
  unlock(record.repair);
}

// REQUIRES: the record's repair lock.
void LockOwner::complete(ProcessRecord& record, std::uint32_t incarnation, bool reap) {
  if (!reap || !planted(Plant::kReapWithoutRepair)) RedoList::complete(base_, record);
  if (!reap) return;
  for (Word& pin : record.pins) pin.store(0, std::memory_order_release);
  record.pid.store(0, std::memory_order_relaxed);
  record.incarnation.store((incarnation + 1) & 0xffffff, std::memory_order_release);
}

}  // namespace memento
