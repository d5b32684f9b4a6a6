// See ring_frames.h.
#include "shm/archive/ring_frames.h"

#include <algorithm>
#include <cstring>

namespace memento {
namespace {

constexpr std::uint64_t kPartBytes = 512 << 10;  // of a transaction, about

// A record's bytes into `to`.
void compose(const RecordHeader& header, std::string_view key, std::string_view literal, std::string* to) {
  to->assign(header.bytes, '\0');
  std::memcpy(to->data(), &header, sizeof header);
  key.copy(to->data() + sizeof header, key.size());
  literal.copy(to->data() + sizeof header + key.size(), literal.size());
}

bool is_short(const RecordView& record) {
  return record.header.kind != RecordKind::kPut || record.header.value_bytes() <= RingFrames::kPieceBytes;
}

}  // namespace

bool RingFrames::fill(std::uint64_t limit_bytes, FrameBuilder* frames) {
  frames_ = frames;
  return merger_.pass([&](const RingMerger::Taken& taken) {
    take(taken);
    return frames->bytes() < limit_bytes;
  });
}

void RingFrames::take(const RingMerger::Taken& taken) {
  if (taken.record.header.kind == RecordKind::kDatabaseChange)
    ends_in_database_change_ = taken.record.number_at(0) != 0;
  if (taken.record.header.kind == RecordKind::kGroup) return take_group(taken);
  if (is_short(taken.record) && !taken.bytes.empty()) return frames_->add(taken.bytes, taken.position);
  if (is_short(taken.record)) return add_record(taken.record, taken.position);
  add_pieces(taken.record, taken.position);
}

void RingFrames::add_record(const RecordView& record, std::uint64_t ring_position) {
  compose(record.header, record.key, record.rest, &record_);
  frames_->add(record_, ring_position);
}

void RingFrames::add_pieces(const RecordView& record, std::uint64_t ring_position) {
  struct {
    std::uint64_t ring_position;
    std::uint64_t offset;
    std::uint64_t total;
  } where{ring_position, 0, record.header.value_bytes()};
  RecordHeader header = record.header;
  header.kind = RecordKind::kPiece;
  std::string literal;
  do {  // an empty value is a piece too
    const std::string_view bytes = record.value().substr(where.offset, kPieceBytes);
    literal.assign(reinterpret_cast<const char*>(&where), sizeof where);
    literal.append(bytes);
    header.bytes = static_cast<std::uint32_t>(record_bytes(record.key.size(), literal.size()));
    header.value_and_origin =
        RecordHeader::value_and_origin_of(bytes.size(), header.database(), header.ring());
    if (where.offset + bytes.size() == where.total) header.flags |= kRecordLastPiece;
    compose(header, record.key, literal, &record_);
    frames_->add_piece(record_);
    where.offset += kPieceBytes;
  } while (where.offset < where.total);
}

// Its members stand one behind the other; those with long values lie elsewhere, and end a part.
void RingFrames::take_group(const RingMerger::Taken& taken) {
  const auto has_value_elsewhere = [](const RecordView& member) {
    return member.header.kind == RecordKind::kPutRun;
  };
  const RecordHeader& header = taken.record.header;
  bool is_one_part = taken.members.size() <= kPartBytes;
  is_one_part = is_one_part && each_record(taken.members, [&](const RecordView& member) {
                  return !has_value_elsewhere(member);
                });
  const auto count = static_cast<std::uint32_t>(taken.record.number_at(0));
  if (is_one_part) return add_part(header, count, taken.members, taken.position);

  frames_->begin_group();
  const char* part = taken.members.data();
  std::uint32_t part_count = 0;
  const auto end_part = [&](const char* end) {
    if (part_count > 0)
      add_part(header, part_count, {part, static_cast<std::size_t>(end - part)}, taken.position);
    part = end;
    part_count = 0;
  };
  const char* next = part;
  each_record(taken.members, [&](const RecordView& member) {
    const char* const begin = next;
    next += member.header.bytes;
    if (has_value_elsewhere(member)) {
      end_part(begin);
      add_pieces(merger_.resolved(member), taken.position);
      part = next;
    } else {
      if (static_cast<std::uint64_t>(next - part) > kPartBytes) end_part(begin);
      ++part_count;
    }
    return true;
  });
  end_part(next);
  frames_->end_group();
}

void RingFrames::add_part(const RecordHeader& group, std::uint32_t count, std::string_view records,
                          std::uint64_t ring_position) {
  RecordHeader header = group;
  header.bytes = static_cast<std::uint32_t>(record_bytes(0, 8 + records.size()));
  header.value_and_origin = RecordHeader::value_and_origin_of(records.size(), group.database(), group.ring());
  record_.assign(header.bytes, '\0');
  std::memcpy(record_.data(), &header, sizeof header);
  std::memcpy(record_.data() + sizeof header, &count, sizeof count);  // and flags of 0
  records.copy(record_.data() + sizeof header + 8, records.size());
  frames_->add(record_, ring_position);
}

}  // namespace memento
