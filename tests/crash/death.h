// What Linux does to a thread's robust locks when the thread dies (kernel/futex/core.c, exit_robust_list and
// handle_futex_death; Documentation/locking/robust-futexes), done to a copy of the segment that lies at
// another address. As faithful as it has to be to find a lock that the kernel would not.
#pragma once

#include <linux/futex.h>

#include <cstdint>
#include <vector>

namespace memento {
struct RobustLock;
}

namespace memento::crash {

/// A thread's robust list as the kernel finds it in the thread's own memory.
struct RobustList {
  const robust_list_head* head = nullptr;  ///< its address ends the list; it is not read any more
  std::uint64_t first = 0;                 ///< head->list.next
  std::uint64_t pending = 0;               ///< head->list_op_pending
  long futex_offset = 0;

  /// The calling thread's.
  static const robust_list_head* registered();
  static RobustList read(const robust_list_head* head);
};

/// The dying thread had the segment at `its_base`; the locks marked are those in the copy at `base`.
void mark_dead_owner(char* base, std::uint64_t size_bytes, const char* its_base, const RobustList& list,
                     std::uint32_t thread_id);

}  // namespace memento::crash
