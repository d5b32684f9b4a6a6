// RingsAtStart: where the rings ended when an archiver began, and whether a change of whole databases was
// under way: what its predecessor has taken is not known. Archiver; not thread safe.
#pragma once

#include <cstdint>
#include <vector>

#include "shm/commit/journal_heads.h"
#include "shm/format/layout.h"
#include "shm/journal/ring_merger.h"
#include "shm/segment.h"

namespace memento {

class RingsAtStart {
 public:
  explicit RingsAtStart(Segment& segment)
      : tails_(ring_tails(segment)), had_database_change_(segment.header().database_change.load() != 0) {}

  /// What has been taken ends in the midst of a change of whole databases, as far as its records do not say.
  /// When none has begun or ended in all that was there at the start, there is one only if there was one.
  bool may_be_in_database_change(const RingMerger& rings) const {
    for (std::uint32_t i = 0; i < tails_.size(); ++i) {
      if (rings.taken(i) < tails_[i]) return true;
    }
    return had_database_change_;
  }

 private:
  const std::vector<std::uint64_t> tails_;
  const bool had_database_change_;
};

}  // namespace memento
