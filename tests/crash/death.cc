// See death.h.
#include "tests/crash/death.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

namespace memento::crash {
namespace {

constexpr int kListLimit = 2048;  // ROBUST_LIST_LIMIT

// handle_futex_death(). False: the walk ends here.
bool mark(char* base, std::uint64_t size_bytes, std::uint64_t offset, bool pending, std::uint32_t thread_id) {
  if (offset % 4 != 0 || offset + 4 > size_bytes) return false;
  auto& word = *reinterpret_cast<std::atomic<std::uint32_t>*>(base + offset);
  const std::uint32_t value = word.load();
  const std::uint32_t owner = value & FUTEX_TID_MASK;
  if (pending && owner == 0) return true;  // released; the kernel wakes a waiter
  if (owner != thread_id) return true;
  word.store((value & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
  return true;
}

}  // namespace

const robust_list_head* RobustList::registered() {
  robust_list_head* head = nullptr;
  std::size_t size = 0;
  syscall(SYS_get_robust_list, 0, &head, &size);
  return head;
}

RobustList RobustList::read(const robust_list_head* head) {
  return RobustList{head, reinterpret_cast<std::uint64_t>(head->list.next),
                    reinterpret_cast<std::uint64_t>(head->list_op_pending), head->futex_offset};
}

void mark_dead_owner(char* base, std::uint64_t size_bytes, const char* its_base, const RobustList& list,
                     std::uint32_t thread_id) {
  const auto offset_of = [&](std::uint64_t address) {
    return address - reinterpret_cast<std::uint64_t>(its_base);
  };
  const auto futex_of = [&](std::uint64_t entry) {
    return offset_of(entry) + static_cast<std::uint64_t>(list.futex_offset);
  };
  std::uint64_t entry = list.first;
  for (int n = 0; entry != reinterpret_cast<std::uint64_t>(&list.head->list); ++n) {
    if (n == kListLimit || offset_of(entry) + 8 > size_bytes) break;
    const std::uint64_t next = *reinterpret_cast<const std::uint64_t*>(base + offset_of(entry));
    if (entry != list.pending && !mark(base, size_bytes, futex_of(entry), false, thread_id)) return;
    entry = next;
  }
  if (list.pending != 0) mark(base, size_bytes, futex_of(list.pending), true, thread_id);
}

}  // namespace memento::crash
