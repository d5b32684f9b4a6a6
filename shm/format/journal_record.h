// A journal record's bytes: a header of 48 bytes, the key, literal bytes, zeros up to a multiple of 8.
// Numbers are little-endian. They are the same in a process's ring, in files, and between nodes.
//
//    0  u32 bytes     the whole record, a multiple of 8
//    4  u8  kind      RecordKind;  5 u8 flags: RecordFlag
//    6  u16 slot      0..8191; 8192: a text; its key is "s" and a script's SHA1, or "l" and a library's name
//    8  u64 position  in its slot: epoch << 44 | sequence number; 0: in none
//   16  u64 stamp     of the processor's time stamp counter, taken under the slot's lock
//   24  u64 created   ms since Header::time_base_ms, 40 bits | key bytes << 40
//   32  u64 value     bytes of the value that the key has then, 40 bits | database << 40 | ring << 48 |
//   version
//                     << 56
//   40  i64 expiry    ms since 1970; kNoExpiry: none
//   48  key, then the literal
//
// A slot of each database has positions of its own. A record of kinds 1 to 8 and 16 fits a slot whose
// position is its base: one less in its epoch, or what a reign record names.
//
// Worked example: SET ab xyz in slot 7 of database 0, epoch 3, sequence number 12, created 1 ms after the
// time base, without expiry, stamp 0x1122, ring 2: 56 bytes
//   38 00 00 00 01 00 07 00  0c 00 00 00 00 30 00 00  22 11 00 00 00 00 00 00  01 00 00 00 00 02 00 00
//   03 00 00 00 00 00 02 01  ff ff ff ff ff ff ff ff  61 62 78 79 7a 00 00 00
// The reign of epoch 4 behind it, stamp 0x3344, ring 3; the literal is its base:
//   38 00 00 00 08 00 07 00  0d 00 00 00 00 40 00 00  44 33 00 00 00 00 00 00  00 00 00 00 00 00 00 00
//   08 00 00 00 00 00 03 01  ff ff ff ff ff ff ff ff  0c 00 00 00 00 30 00 00
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "shm/format/limits.h"
#include "shm/format/typed_number.h"

namespace memento {

/// What a record says. Positions: "next" is the one behind its slot's.
enum class RecordKind : std::uint8_t {
  kPut = 1,     ///< next. The key has this value: the literal
  kPutRun = 2,  ///< next. The same; literal: the Extent word of a run that holds the entry, in rings only
  kSplice = 3,  ///< next. A long value: literal {u64 k, u64 o}, then bytes: k old bytes stay, the bytes, the
                ///< old ones from o on
  kErase = 4,   ///< next. The key is gone
  kExpire = 5,  ///< next. Only its expiry changes
  kChange = 6,  ///< next. Operations on elements of a collection
  kFlush = 7,   ///< next. The slot is empty; with a key: nothing is left in it whose key begins so
  kReign = 8,   ///< (new epoch, number + 1). Literal: u64 base, the position before it
  kGroup = 9,   ///< 0. One transaction; literal: {u32 count, u32 flags}, then whole records of several slots
  kBegin = 10,  ///< the image's. An image of the slot begins; literal: u64 its number
  kPart = 11,   ///< copied at. The key as it was then; literal: its value
  kComplete = 12,  ///< of the image's last record. Literal: u64 number: the image is the slot now
  kFree = 13,      ///< the slot's, unchanged. The slot is empty and not whole
  kPiece = 14,     ///< of its record. Part of a long value; header.value_bytes() says how long. Literal: {u64
                   ///< ring position of its record, u64 offset, u64 bytes of the whole value}, bytes
  kPad = 15,       ///< 0. Nothing
  kSwap = 16,      ///< next. Two databases' slots exchange what they hold; literal: {u64 other database, u64
                   ///< position of its slot, which is the next there}
  kDatabaseChange = 17,  ///< 0. A FLUSHDB, SWAPDB or FLUSHALL begins; its records follow, and nobody else's
                         ///< between. Literal: u64 DatabaseChanges::Change, 0: it has ended
};
inline constexpr std::uint8_t kLastRecordKind = 17;
inline constexpr std::uint8_t kRecordVersion = 1;

/// In a kGroup's flags: a u64 follows instead of the records, the Extent word of a run that holds
/// header.value_bytes() bytes of them. In rings only.
inline constexpr std::uint32_t kGroupInRun = 1;

enum RecordFlag : std::uint8_t {
  kRecordExpired = 1,  ///< of an erase: the key had expired
  kRecordEvicted = 2,  ///< of an erase: it was evicted
  kRecordLastPiece = 4,
  kRecordOfImage = 8,  ///< goes into the slot's last begun image
  kRecordInPlace = 16,
  kRecordOfPart = 32,  ///< of a piece: of a kPart's value
};

/// A position in a slot: 20 bits of epoch | 44 bits of sequence number, compared as a number.
inline constexpr std::uint32_t kEpochShift = 44;
constexpr std::uint64_t position_of(std::uint64_t epoch, std::uint64_t number) {
  return epoch << kEpochShift | number;
}
constexpr std::uint64_t epoch_of(std::uint64_t position) { return position >> kEpochShift; }
constexpr std::uint64_t number_of(std::uint64_t position) {
  return position & ((std::uint64_t{1} << kEpochShift) - 1);
}
/// Of a record without a reign's literal.
constexpr std::uint64_t base_of(std::uint64_t position) {
  return number_of(position) == 1 ? 0 : position - 1;
}

struct RecordHeader {
  std::uint32_t bytes;
  RecordKind kind;
  std::uint8_t flags;
  std::uint16_t slot;
  std::uint64_t position;
  std::uint64_t stamp;
  std::uint64_t created_and_key;
  std::uint64_t value_and_origin;
  std::int64_t expiry_ms;

  static constexpr std::uint64_t kLow40 = (std::uint64_t{1} << 40) - 1;

  static constexpr std::uint64_t created_and_key_of(std::uint64_t created, std::uint64_t key_bytes) {
    return (created & kLow40) | key_bytes << 40;
  }
  static constexpr std::uint64_t value_and_origin_of(std::uint64_t value_bytes, std::uint64_t database,
                                                     std::uint64_t ring) {
    return value_bytes | database << 40 | ring << 48 | std::uint64_t{kRecordVersion} << 56;
  }

  SlotId slot_in_database() const { return slot_in(DatabaseId(database()), SlotId(slot)); }
  std::uint64_t created() const { return created_and_key & kLow40; }
  std::uint64_t key_bytes() const { return created_and_key >> 40; }
  std::uint64_t value_bytes() const { return value_and_origin & kLow40; }
  std::uint32_t database() const { return value_and_origin >> 40 & 255; }
  std::uint32_t ring() const { return value_and_origin >> 48 & 255; }
  std::uint32_t version() const { return static_cast<std::uint32_t>(value_and_origin >> 56); }
};
static_assert(sizeof(RecordHeader) == 48);

/// Of a record with so many bytes of key and literal.
constexpr std::uint64_t record_bytes(std::uint64_t key_bytes, std::uint64_t literal_bytes) {
  return (sizeof(RecordHeader) + key_bytes + literal_bytes + 7) / 8 * 8;
}

/// A record in memory, whose lengths have been checked against what is there.
struct RecordView {
  RecordHeader header;
  std::string_view key;
  std::string_view rest;  ///< the literal, and up to 7 zeros behind it

  /// What a kPut or kPart says the value is.
  std::string_view value() const { return rest.substr(0, header.value_bytes()); }
  /// Of a kSwap: the slot of the other database, and its position then.
  SlotId other_slot() const {
    return slot_in(DatabaseId(static_cast<std::uint32_t>(number_at(0))), SlotId(header.slot));
  }
  std::uint64_t other_position() const { return number_at(8); }
  /// What a kPiece has of the value.
  std::string_view piece() const { return rest.substr(24, header.value_bytes()); }
  /// The number at this place of the literal. REQUIRES: it has so many bytes.
  std::uint64_t number_at(std::size_t offset) const {
    std::uint64_t number = 0;
    std::memcpy(&number, rest.data() + offset, sizeof number);
    return number;
  }
};

inline constexpr std::size_t kPieceHeadBytes = 24;

/// The literal's least size, by kind. SIZE_MAX: no such kind.
constexpr std::size_t least_literal_bytes(RecordKind kind) {
  switch (kind) {
    case RecordKind::kPut:
    case RecordKind::kErase:
    case RecordKind::kExpire:
    case RecordKind::kFlush:
    case RecordKind::kPart:
    case RecordKind::kFree:
    case RecordKind::kPad:
      return 0;
    case RecordKind::kPutRun:
    case RecordKind::kChange:
    case RecordKind::kReign:
    case RecordKind::kGroup:
    case RecordKind::kBegin:
    case RecordKind::kComplete:
    case RecordKind::kDatabaseChange:
      return 8;
    case RecordKind::kSplice:
    case RecordKind::kSwap:
      return 16;
    case RecordKind::kPiece:
      return kPieceHeadBytes;
  }
  return SIZE_MAX;
}

/// The record that these bytes begin with. Nothing: they are none of this version, or cut off.
inline std::optional<RecordView> read_record(std::string_view bytes) {
  RecordView record;
  if (bytes.size() < sizeof record.header) return std::nullopt;
  std::memcpy(&record.header, bytes.data(), sizeof record.header);
  const RecordHeader& header = record.header;
  if (header.bytes < sizeof header || header.bytes % 8 != 0 || header.bytes > bytes.size() ||
      header.version() != kRecordVersion || header.slot > kSlotCount || header.database() >= kDatabaseLimit ||
      header.key_bytes() > header.bytes - sizeof header) {
    return std::nullopt;
  }
  record.key = bytes.substr(sizeof header, header.key_bytes());
  record.rest =
      bytes.substr(sizeof header + header.key_bytes(), header.bytes - sizeof header - header.key_bytes());
  if (least_literal_bytes(header.kind) > record.rest.size()) return std::nullopt;
  const bool has_value = header.kind == RecordKind::kPut || header.kind == RecordKind::kPart;
  if (has_value && header.bytes != record_bytes(header.key_bytes(), header.value_bytes()))
    return std::nullopt;
  const bool is_piece = header.kind == RecordKind::kPiece;
  if (is_piece && header.value_bytes() > record.rest.size() - kPieceHeadBytes) return std::nullopt;
  return record;
}

}  // namespace memento
