// See replay_model.h.
#include "tests/shm/journal/replay_model.h"

#include <algorithm>
#include <utility>

namespace memento {
std::string ReplayModel::apply(const RingMerger& merger, const RingMerger::Taken& taken) {
  if (taken.record.header.ring() != taken.ring) return "names another ring than it was in";
  if (taken.record.header.kind != RecordKind::kGroup) return apply(taken.record);
  std::string fault;
  std::uint32_t count = 0;
  const bool is_whole = each_record(taken.members, [&](const RecordView& member) {
    ++count;
    fault = apply(merger.resolved(member));
    return fault.empty();
  });
  if (!fault.empty()) return "in a group: " + fault;
  if (!is_whole) return "a group that is not whole";
  if (count != static_cast<std::uint32_t>(taken.record.number_at(0)))
    return "a group says another number of records";
  return "";
}

std::string ReplayModel::apply_frame_record(const RecordView& record) {
  if (record.header.kind == RecordKind::kGroup) {
    std::string fault;
    const bool is_whole =
        each_record(record.rest.substr(8, record.header.value_bytes()), [&](const RecordView& member) {
          fault = apply(member);
          return fault.empty();
        });
    return !fault.empty() ? "in a group: " + fault : is_whole ? "" : "a group that is not whole";
  }
  if (record.header.kind != RecordKind::kPiece) return apply(record);
  const std::pair at{record.header.slot_in_database(), record.header.position};
  std::string& value = pieces_[at];
  if (record.number_at(8) != value.size()) return "a piece that does not follow the one before";
  value.append(record.piece());
  if ((record.header.flags & kRecordLastPiece) == 0) return "";
  if (value.size() != record.number_at(16)) return "a last piece, and some are missing";
  RecordView whole = record;
  whole.header.kind = RecordKind::kPut;
  whole.header.value_and_origin =
      RecordHeader::value_and_origin_of(value.size(), record.header.database(), record.header.ring());
  whole.rest = value;
  std::string fault = apply(whole);
  pieces_.erase(at);
  return fault;
}

std::string ReplayModel::move_position(SlotId slot, std::uint64_t position) {
  std::uint64_t& last = positions_[slot];
  if (last != 0 && position != last + 1)
    return "slot " + std::to_string(slot.value) + " goes from " + std::to_string(last) + " to " +
           std::to_string(position);
  last = position;
  return "";
}

std::string ReplayModel::apply(const RecordView& record) {
  const RecordHeader& header = record.header;
  ++record_count_;
  if (header.kind == RecordKind::kDatabaseChange) return changing_ = record.number_at(0), "";
  const SlotId slot = header.slot_in_database();
  if (std::string fault = move_position(slot, header.position); !fault.empty()) return fault;
  Slot& keys = slots_[slot];
  const auto found = keys.find(record.key);
  const bool needs_key = header.kind == RecordKind::kSplice || header.kind == RecordKind::kErase ||
                         header.kind == RecordKind::kExpire;
  if (needs_key && found == keys.end()) return "of a key that is not there: " + std::string(record.key);
  switch (header.kind) {
    case RecordKind::kPut:
      keys[std::string(record.key)] = {std::string(record.value()), header.expiry_ms, header.created()};
      return "";
    case RecordKind::kSplice: {
      std::string& bytes = found->second.bytes;
      const std::uint64_t begin = record.number_at(0);
      const std::uint64_t end = record.number_at(8);
      if (begin > end || end > bytes.size()) return "splices what is not there";
      const std::uint64_t added = header.value_bytes() + (end - begin) - bytes.size();
      if (added > record.rest.size() - 16) return "splices more than it has";
      bytes.replace(begin, end - begin, record.rest.substr(16, added));
      found->second.expiry_ms = header.expiry_ms;
      return bytes.size() == header.value_bytes() ? "" : "a splice makes another length than it says";
    }
    case RecordKind::kErase:
      keys.erase(found);
      return "";
    case RecordKind::kExpire:
      found->second.expiry_ms = header.expiry_ms;
      return found->second.bytes.size() == header.value_bytes() ? "" : "an expiry says another length";
    case RecordKind::kFlush:
      std::erase_if(keys, [&](const auto& key) { return key.first.starts_with(record.key); });
      return "";
    case RecordKind::kSwap: {
      const SlotId other = record.other_slot();
      std::swap(slots_[slot], slots_[other]);
      return move_position(other, record.other_position());
    }
    default:
      return "of kind " + std::to_string(static_cast<int>(header.kind));
  }
}

const ReplayModel::Value* ReplayModel::find(SlotId slot, std::string_view key) const {
  const auto keys = slots_.find(slot);
  if (keys == slots_.end()) return nullptr;
  const auto found = keys->second.find(key);
  return found == keys->second.end() ? nullptr : &found->second;
}

std::uint64_t ReplayModel::key_count() const {
  std::uint64_t count = 0;
  for (const auto& [slot, keys] : slots_) count += slot == kTextSlot ? 0 : keys.size();
  return count;
}

std::uint64_t ReplayModel::position(SlotId slot) const {
  const auto found = positions_.find(slot);
  return found == positions_.end() ? 0 : found->second;
}

}  // namespace memento
