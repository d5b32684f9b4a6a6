// HugePages: turns the memory that holds entries into huge pages of 2 MiB, a piece at a time, once it is
// committed: a key is somewhere else in memory each time, and with pages of 4 KiB finding it costs the
// processor two lookups (Linux: madvise(2), MADV_COLLAPSE, since 6.1 for files on tmpfs). No memory is taken
// for it: only pieces that are committed altogether are touched. For one process, the master; the others see
// the pages change under their mapping.
#pragma once

#include <cstdint>

#include "shm/segment.h"

namespace memento {

class HugePages {
 public:
  explicit HugePages(Segment& segment);

  /// Some milliseconds of work. False: nothing to do until more memory is committed, or the kernel cannot do
  /// it.
  bool advance();
  /// Pieces that the kernel made huge.
  std::uint64_t made_count() const { return made_count_; }

 private:
  Segment& segment_;
  std::uint64_t next_;  ///< offset of the piece to try next
  std::uint64_t made_count_ = 0;
  bool is_possible_;
};

}  // namespace memento
