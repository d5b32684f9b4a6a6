// Duplicates: which records of a journal stand there twice. An archiver that dies behind a write, and before
// it could note how far it came, leaves its last records to its successor, which writes them again. By their
// positions in the slot alone that cannot be told: the part of an image, or a freed slot, would set a key or
// a slot back behind newer records. So each record has its place in its ring, which only grows. Recovery,
// which asks in the order of frames; not thread safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "shm/archive/frame_bytes.h"

namespace memento {

class Duplicates {
 public:
  /// Whether this record was there before; it is from now on.
  ///
  /// A long group comes in several records that all have its place, so a group at the place of its ring's
  /// last record is none: the positions of its members tell. A value's pieces are duplicates when its last
  /// one was there; before that they may begin again, from offset 0.
  bool has(std::uint64_t memory_id, const FrameRecord& at) {
    const RecordHeader& header = at.record.header;
    if (header.kind == RecordKind::kPiece) {
      // Long values of one transaction have its place in common.
      const std::tuple value{memory_id,   header.ring(),     at.ring_position,
                             header.slot, header.database(), header.position};
      if (whole_values_.contains(value)) return true;
      if ((header.flags & kRecordLastPiece) != 0) whole_values_.insert(value);
      return false;
    }
    const auto [ring, is_new] = last_.try_emplace({memory_id, header.ring()}, at.ring_position);
    if (is_new) return false;
    if (at.ring_position < ring->second) return true;
    if (at.ring_position == ring->second) return header.kind != RecordKind::kGroup;
    ring->second = at.ring_position;
    return false;
  }

 private:
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::uint64_t> last_;  ///< by memory id and ring
  std::set<
      std::tuple<std::uint64_t, std::uint32_t, std::uint64_t, std::uint16_t, std::uint32_t, std::uint64_t>>
      whole_values_;
};

}  // namespace memento
