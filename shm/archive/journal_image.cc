// See journal_image.h.
#include "shm/archive/journal_image.h"

#include <algorithm>

namespace memento {

bool read_splice(const RecordView& record, std::uint64_t old_bytes, SpliceParts* parts) {
  constexpr std::size_t kHeadBytes = 16;
  parts->kept = record.number_at(0);
  parts->tail = record.number_at(8);
  if (parts->kept > parts->tail || parts->tail > old_bytes) return false;
  const std::uint64_t stays = parts->kept + (old_bytes - parts->tail);
  const std::uint64_t value_bytes = record.header.value_bytes();
  if (value_bytes < stays || value_bytes - stays > record.rest.size() - kHeadBytes) return false;
  parts->added = record.rest.substr(kHeadBytes, value_bytes - stays);
  return true;
}

std::string JournalImage::add(const RecordView& record) {
  if (record.header.kind == RecordKind::kPart) return add_part(record, record.value());
  if (record.header.kind == RecordKind::kPiece) return add_piece(record);
  return apply(record, record.header.kind == RecordKind::kPut ? record.value() : std::string_view());
}

std::string JournalImage::add_part(const RecordView& record, std::string_view value) {
  items_[std::string(record.key)] = {std::string(value), record.header.created(), record.header.expiry_ms,
                                     record.header.position};
  return "";
}

std::string JournalImage::add_piece(const RecordView& record) {
  if (record.number_at(8) == 0) pieces_.clear();
  if (record.number_at(8) != pieces_.size()) return "a piece that does not follow the one before";
  if (pieces_.size() + record.piece().size() > record.number_at(16)) return "a piece beyond its value's end";
  pieces_.append(record.piece());
  if ((record.header.flags & kRecordLastPiece) == 0) return "";
  if (pieces_.size() != record.number_at(16)) return "a last piece, and some are missing";
  const std::string value = std::move(pieces_);
  pieces_.clear();
  if ((record.header.flags & kRecordOfPart) != 0) return add_part(record, value);
  RecordView put = record;
  put.header.kind = RecordKind::kPut;
  return apply(put, value);
}

std::string JournalImage::apply(const RecordView& record, std::string_view value) {
  const RecordHeader& header = record.header;
  if (header.position <= position_) return "";
  const std::uint64_t base =
      header.kind == RecordKind::kReign ? record.number_at(0) : base_of(header.position);
  if (base != position_) return "its slot's image is at " + std::to_string(position_);
  position_ = header.position;
  if (header.kind == RecordKind::kReign) return "";
  if (header.kind == RecordKind::kFlush) {
    std::erase_if(items_, [&](const auto& item) {
      return item.second.copied_at < position_ && item.first.starts_with(record.key);
    });
    return "";
  }
  return apply_to_key(record, value);
}

// A key that is not there yet has its part, or its erase, still to come.
std::string JournalImage::apply_to_key(const RecordView& record, std::string_view value) {
  const RecordHeader& header = record.header;
  const auto found = items_.find(record.key);
  if (found != items_.end() && found->second.copied_at >= header.position) return "";
  switch (header.kind) {
    case RecordKind::kPut:
      items_[std::string(record.key)] = {std::string(value), header.created(), header.expiry_ms, 0};
      return "";
    case RecordKind::kErase:
      if (found != items_.end()) items_.erase(found);
      return "";
    case RecordKind::kExpire:
      if (found != items_.end()) found->second.expiry_ms = header.expiry_ms;
      return "";
    case RecordKind::kSplice: {
      if (found == items_.end()) return "";
      std::string& bytes = found->second.value;
      SpliceParts parts;
      if (!read_splice(record, bytes.size(), &parts)) return "it splices what is not there";
      bytes.replace(parts.kept, parts.tail - parts.kept, parts.added);
      found->second.expiry_ms = header.expiry_ms;
      return "";
    }
    default:
      return "no such record belongs into an image";
  }
}

}  // namespace memento
