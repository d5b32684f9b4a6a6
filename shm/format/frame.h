// The bytes of a journal's file on disk: a head of 4 KiB, then frames without gaps. A frame holds whole
// records (journal_record.h) and is whole or not there: its checksum says so. Numbers are little-endian.
//
// The head, at 0; zeros behind it
//    0  u64 magic        "mjnlhead"
//    8  u32 version;  12 u32 0
//   16  u64 number       of the file, from 1 on, as in its name
//   24  u64 seed         of its frames' checksums: drawn for each file, so that what a recycled file still
//                        holds of its former life is no frame
//   32  u64 data id[2]   of the data when the file was begun
//   48  u64 former       number of the file that this one follows; 0: it follows none
//   56  u64 former end   number of the last frame in front of this file's first one. All frames up to it were
//                        on disk then; what the former file holds behind it does not count, even where this
//                        file lacks it: its sync has failed, so what is read of it may be in memory only
//   64  u64 XXH3 of 0..63, seed 0
//
// A frame
//    0  u32 magic        "mjnl"
//    4  u32 payload      bytes of records, a multiple of 8, at most kFramePayloadLimit
//    8  u64 number       one more than the frame before it has, over all files; from 1 on
//   16  u64 synced       highest number that was known to be on disk when this frame was written
//   24  u64 memory id    of the segment. Of all frames of a file the same: a segment that is made begins one
//   32  u64 XXH3         of all from 40 on; its seed is XXH3 of 0..31, whose seed is the file's
//   40  u32 flags        FrameFlag
//   44  u32 ring count   n
//   48  u64 rings[n]     ring << 56 | ring position of the first record in here that this ring held
//   ..  records
// The other records of a ring stand in its order without a gap: each one's ring position is the former one's
// plus its bytes. Where it is not, because a record stands elsewhere or has another length here, a new frame
// begins. A piece of a value says its record's ring position itself and does not count.
//
// A change that is all or nothing and does not fit one frame begins one; all its frames but the last are
// kFrameOpen, and all but the first kFrameContinues. An archiver may die in the midst of it. Then its
// successor writes it anew from its beginning: open frames that the next one does not continue do not count.
//
// Worked example: the put of journal_record.h, which began at 112 of ring 2, as frame 5 of a file with seed
// 0x1234; 4 was on disk; memory id 0x99: 112 bytes
//   6d 6a 6e 6c 38 00 00 00  05 00 00 00 00 00 00 00  04 00 00 00 00 00 00 00  99 00 00 00 00 00 00 00
//   5a ca 0d db 43 50 3a 49  00 00 00 00 01 00 00 00  70 00 00 00 00 00 00 02
//   38 00 00 00 01 00 07 00  0c 00 00 00 00 30 00 00  22 11 00 00 00 00 00 00  01 00 00 00 00 02 00 00
//   03 00 00 00 00 00 02 01  ff ff ff ff ff ff ff ff  61 62 78 79 7a 00 00 00
// The head of file 12 with that seed and data id {1, 2}, which follows file 11, whose last frame was 4:
//   6d 6a 6e 6c 68 65 61 64  01 00 00 00 00 00 00 00  0c 00 00 00 00 00 00 00  34 12 00 00 00 00 00 00
//   01 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00  0b 00 00 00 00 00 00 00  04 00 00 00 00 00 00 00
//   f0 12 ba cc 87 0d 7f 45
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace memento {

/// 128 random bits: of data, a cluster, a node. All 0: none.
using Identity = std::array<std::uint64_t, 2>;

struct JournalHead {
  static constexpr std::uint64_t kMagic = 0x646165686c6e6a6d;  // "mjnlhead"
  static constexpr std::uint32_t kVersion = 1;

  std::uint64_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t zero = 0;
  std::uint64_t number = 0;
  std::uint64_t seed = 0;
  Identity data_id{};
  std::uint64_t former_file = 0;
  std::uint64_t former_end = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(JournalHead) == 72 && offsetof(JournalHead, checksum) == 64);

/// What the head takes of its file.
inline constexpr std::uint64_t kJournalHeadBytes = 4096;

enum FrameFlag : std::uint32_t {
  kFrameOpen = 1,       ///< what is all or nothing goes on in the next frame
  kFrameContinues = 2,  ///< it goes on from the frame before
};
inline constexpr std::uint32_t kFrameFlags = kFrameOpen | kFrameContinues;

struct FrameHeader {
  static constexpr std::uint32_t kMagic = 0x6c6e6a6d;  // "mjnl"

  std::uint32_t magic = kMagic;
  std::uint32_t payload_bytes = 0;
  std::uint64_t number = 0;
  std::uint64_t synced = 0;
  std::uint64_t memory_id = 0;
  std::uint64_t checksum = 0;
  std::uint32_t flags = 0;
  std::uint32_t ring_count = 0;

  bool is_open() const { return (flags & kFrameOpen) != 0; }
  bool continues() const { return (flags & kFrameContinues) != 0; }
  std::uint64_t rings_bytes() const { return std::uint64_t{ring_count} * sizeof(std::uint64_t); }
  std::uint64_t frame_bytes() const { return sizeof(FrameHeader) + rings_bytes() + payload_bytes; }
};
static_assert(sizeof(FrameHeader) == 48 && offsetof(FrameHeader, checksum) == 32 &&
              offsetof(FrameHeader, flags) == 40);

inline constexpr std::uint32_t kFrameRingLimit = 256;
inline constexpr std::uint32_t kFramePayloadLimit = 1 << 20;
inline constexpr std::uint64_t kFrameLimitBytes =
    sizeof(FrameHeader) + kFrameRingLimit * sizeof(std::uint64_t) + kFramePayloadLimit;

}  // namespace memento
