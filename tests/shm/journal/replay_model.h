// ReplayModel: what the records of a journal make of an empty keyspace, as a plain map. Nothing of memento
// but the format of records is used, so that what both say alike is likely to be right.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "shm/journal/ring_merger.h"

namespace memento {

class ReplayModel {
 public:
  struct Value {
    std::string bytes;
    TimeMs expiry_ms = kNoExpiry;
    std::uint64_t created = 0;
    bool operator==(const Value&) const = default;
  };
  using Slot = std::map<std::string, Value, std::less<>>;

  /// What is wrong with the record; empty: it was applied.
  std::string apply(const RingMerger& merger, const RingMerger::Taken& taken);

  /// The same of a record as it stands in a journal's file: groups in parts, long values in pieces.
  std::string apply_frame_record(const RecordView& record);

  /// nullptr: no such key.
  const Value* find(SlotId slot, std::string_view key) const;
  std::uint64_t key_count() const;
  const std::map<SlotId, Slot>& slots() const { return slots_; }
  /// Of the slot's last record; 0: there was none.
  std::uint64_t position(SlotId slot) const;
  std::uint64_t record_count() const { return record_count_; }
  /// A change of whole databases has begun and not ended.
  bool is_changing() const { return changing_ != 0; }

 private:
  std::string apply(const RecordView& record);
  std::string move_position(SlotId slot, std::uint64_t position);

  std::map<SlotId, Slot> slots_;
  std::map<SlotId, std::uint64_t> positions_;
  std::map<std::pair<SlotId, std::uint64_t>, std::string>
      pieces_;  ///< by their record's position in its slot
  std::uint64_t record_count_ = 0;
  std::uint64_t changing_ = 0;
};

}  // namespace memento
