// See frame_bytes.h.
#include "shm/archive/frame_bytes.h"

#include <xxhash.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "shm/format/layout.h"

namespace memento {
namespace {

constexpr std::size_t kAfterChecksum = offsetof(FrameHeader, flags);

std::string bytes_text(std::uint64_t bytes) { return std::to_string(bytes) + " bytes"; }

// Why bytes in a frame are no record.
std::string fault_of(std::string_view bytes, std::uint64_t offset) {
  const std::string where = "the record at " + std::to_string(offset) + " of the frame ";
  RecordHeader header;
  if (bytes.size() < sizeof header) return where + "is cut off";
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto kind = static_cast<unsigned>(header.kind);
  if (header.version() != kRecordVersion || kind == 0 || kind > kLastRecordKind) {
    return where + "is of kind " + std::to_string(kind) + ", version " + std::to_string(header.version()) +
           "; this program reads kinds 1 to " + std::to_string(kLastRecordKind) + ", version " +
           std::to_string(kRecordVersion);
  }
  return where + "has lengths that contradict each other (" + bytes_text(header.bytes) + ", " +
         bytes_text(bytes.size()) + " left)";
}

}  // namespace

void FrameBuilder::add(std::string_view record, std::uint64_t ring_position) {
  append(record, true, ring_position);
}

void FrameBuilder::add_piece(std::string_view record) { append(record, false, 0); }

void FrameBuilder::append(std::string_view record, bool counts_in_ring, std::uint64_t ring_position) {
  RecordHeader header;
  assert(record.size() >= sizeof header && record.size() <= kFramePayloadLimit && record.size() % 8 == 0);
  std::memcpy(&header, record.data(), sizeof header);
  const std::uint32_t ring = header.ring();
  const bool follows = !counts_in_ring || next_[ring] == 0 || next_[ring] == ring_position;
  if (records_.size() + record.size() > kFramePayloadLimit || !follows) end_frame();
  if (counts_in_ring) {
    if (next_[ring] == 0) rings_.push_back(ring_place(ring, ring_position));
    next_[ring] = ring_position + record.size();
  }
  records_.append(record);
}

void FrameBuilder::begin_group() {
  assert(!group_is_open_);
  end_frame();
  group_is_open_ = true;
}

void FrameBuilder::end_group() {
  assert(group_is_open_ && !records_.empty());
  group_is_open_ = false;
}

void FrameBuilder::end_frame() {
  if (records_.empty()) return;
  FrameHeader header;
  header.payload_bytes = static_cast<std::uint32_t>(records_.size());
  if (group_is_open_) header.flags |= kFrameOpen;
  if (continues_) header.flags |= kFrameContinues;
  continues_ = group_is_open_;
  header.ring_count = static_cast<std::uint32_t>(rings_.size());
  const auto append = [&](const void* part, std::size_t bytes) {
    const char* const begin = static_cast<const char*>(part);
    bytes_.insert(bytes_.end(), begin, begin + bytes);
  };
  append(&header, sizeof header);
  append(rings_.data(), header.rings_bytes());
  append(records_.data(), records_.size());
  ++frame_count_;
  for (const std::uint64_t word : rings_) next_[ring_of(word)] = 0;
  rings_.clear();
  records_.clear();
}

std::span<char> FrameBuilder::frames() {
  end_frame();
  return bytes_;
}

void FrameBuilder::clear() {
  assert(records_.empty());
  bytes_.clear();
  frame_count_ = 0;
}

std::uint64_t frame_checksum(std::string_view frame, std::uint64_t seed) {
  assert(frame.size() >= sizeof(FrameHeader));
  const std::uint64_t front = XXH3_64bits_withSeed(frame.data(), offsetof(FrameHeader, checksum), seed);
  return XXH3_64bits_withSeed(frame.data() + kAfterChecksum, frame.size() - kAfterChecksum, front);
}

std::uint64_t seal_frames(std::span<char> frames, const FrameSeal& seal) {
  std::uint64_t count = 0;
  for (std::size_t begin = 0; begin < frames.size(); ++count) {
    const std::string_view left(frames.data() + begin, frames.size() - begin);
    std::optional<FrameHeader> header = read_frame_header(left);
    assert(header && header->frame_bytes() <= left.size());
    header->number = seal.first_number + count;
    header->synced = seal.synced;
    header->memory_id = seal.memory_id;
    std::memcpy(frames.data() + begin, &*header, sizeof *header);
    header->checksum = frame_checksum(left.substr(0, header->frame_bytes()), seal.seed);
    std::memcpy(frames.data() + begin, &*header, sizeof *header);
    begin += header->frame_bytes();
  }
  return count;
}

std::optional<FrameHeader> read_frame_header(std::string_view bytes) {
  FrameHeader header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != FrameHeader::kMagic || header.payload_bytes > kFramePayloadLimit ||
      header.payload_bytes % 8 != 0 || header.ring_count > kFrameRingLimit) {
    return std::nullopt;
  }
  return header;
}

std::optional<FrameView> read_frame(std::string_view bytes, std::uint64_t seed) {
  const std::optional<FrameHeader> header = read_frame_header(bytes);
  if (!header || header->frame_bytes() > bytes.size()) return std::nullopt;
  const std::string_view frame = bytes.substr(0, header->frame_bytes());
  if (frame_checksum(frame, seed) != header->checksum) return std::nullopt;
  return FrameView{*header, frame.substr(sizeof *header, header->rings_bytes()),
                   frame.substr(sizeof *header + header->rings_bytes())};
}

std::string read_frame_records(const FrameView& frame, std::vector<FrameRecord>& records) {
  records.clear();
  if ((frame.header.flags & ~kFrameFlags) != 0) {
    return "the frame has flags " + std::to_string(frame.header.flags) + "; this program knows " +
           std::to_string(kFrameFlags);
  }
  std::array<std::uint64_t, kFrameRingLimit> next{};
  std::array<bool, kFrameRingLimit> is_here{};
  for (std::size_t begin = 0; begin < frame.rings.size(); begin += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, frame.rings.data() + begin, sizeof word);
    next[ring_of(word)] = position_in_ring(word);
    is_here[ring_of(word)] = true;
  }
  const std::uint64_t first_offset = sizeof(FrameHeader) + frame.rings.size();
  for (std::size_t begin = 0; begin < frame.records.size();) {
    const std::uint64_t offset = first_offset + begin;
    const std::string_view left = frame.records.substr(begin);
    const std::optional<RecordView> record = read_record(left);
    if (!record) return fault_of(left, offset);
    const RecordHeader& header = record->header;
    if (header.kind == RecordKind::kPiece) {
      records.push_back({*record, record->number_at(0), offset});
    } else if (!is_here[header.ring()]) {
      return "the frame does not say where ring " + std::to_string(header.ring()) + " was";
    } else {
      records.push_back({*record, next[header.ring()], offset});
      next[header.ring()] += header.bytes;
    }
    begin += header.bytes;
  }
  return "";
}

std::string journal_head_bytes(JournalHead head) {
  head.checksum = XXH3_64bits(&head, offsetof(JournalHead, checksum));
  std::string bytes(kJournalHeadBytes, '\0');
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes;
}

std::optional<JournalHead> read_journal_head(std::string_view bytes) {
  JournalHead head;
  if (bytes.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.magic != JournalHead::kMagic ||
      head.checksum != XXH3_64bits(&head, offsetof(JournalHead, checksum)))
    return std::nullopt;
  return head;
}

}  // namespace memento
