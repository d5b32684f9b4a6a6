// Collapsing committed memory. See huge_pages.h.
#include "shm/arena/huge_pages.h"

#include <sys/mman.h>

#include <cerrno>

#include "shm/format/layout.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Debian 12's C library does not name it yet
#endif

namespace memento {

HugePages::HugePages(Segment& segment)
    : segment_(segment),
      next_((segment.header().arena_offset + Segment::kHugePageBytes - 1) / Segment::kHugePageBytes *
            Segment::kHugePageBytes),
      is_possible_(reinterpret_cast<std::uintptr_t>(segment.base()) % Segment::kHugePageBytes == 0) {}

bool HugePages::advance() {
  const Header& header = segment_.header();
  const std::uint64_t committed_end = header.arena_offset + header.committed_pages.load() * kPageBytes;
  if (!is_possible_ || next_ + Segment::kHugePageBytes > committed_end) return false;
  const bool made = madvise(segment_.base() + next_, Segment::kHugePageBytes, MADV_COLLAPSE) == 0;
  is_possible_ =
      made || errno != EINVAL;  // an older kernel, or no tmpfs; otherwise this one piece has to stay as it is
  made_count_ += made;
  next_ += Segment::kHugePageBytes;
  return is_possible_;
}

}  // namespace memento
