// The bytes of a snapshot on disk: a head of 4 KiB, frames as a journal's (frame.h), an index, a footer. It
// holds an image of each slot that ever had data: a kBegin, kParts or kPieces of them, a kComplete, in frames
// of its own, one behind the other. What no index entry leads to does not count. Numbers are little-endian.
//
// The keys of an image come by ascending tags: the upper 24 bits of XXH3 of the key, whose seed is the hash
// seed. Each part's position says when it was copied; a complete's, when the last one was.
//
// The head, at 0; zeros behind it
//    0  u64 magic        "msnphead"
//    8  u32 version;  12 u32 0
//   16  u64 number       as in its name
//   24  u64 seed         of its checksums, drawn for each file
//   32  u64 data id[2]   of the data when it was begun
//   48  u64 hash seed
//   56  u64 XXH3 of 0..55, seed 0
// The index: for each slot 24 bytes, by ascending slots
//    0  u64 slot         database << 14 | slot
//    8  u64 offset       of its image's first frame
//   16  u64 entries      parts of the image
// The footer, at the file's end
//    0  u64 magic        "msnpfoot"
//    8  u64 slots        in the index;  16 u64 offset of the index
//   24  u64 entries      of all images
//   32  u64 last frame   of the journal that the snapshot needs to be what the data was at one moment
//   40  u64 XXH3 of the index, seed the file's
//   48  u64 XXH3 of 0..47, seed the file's
//
// Worked example: the footer of a snapshot with seed 0x1234 and an empty index at 4096, which needs frame 5
//   6d 73 6e 70 66 6f 6f 74  00 00 00 00 00 00 00 00  00 10 00 00 00 00 00 00  00 00 00 00 00 00 00 00
//   05 00 00 00 00 00 00 00  f0 be 3f ec 4a bc 71 da  69 9a 18 0b 09 85 24 eb
#pragma once

#include <cstddef>
#include <cstdint>

#include "shm/format/frame.h"

namespace memento {

struct SnapshotHead {
  static constexpr std::uint64_t kMagic = 0x64616568706e736d;  // "msnphead"
  static constexpr std::uint32_t kVersion = 1;

  std::uint64_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t zero = 0;
  std::uint64_t number = 0;
  std::uint64_t seed = 0;
  Identity data_id{};
  std::uint64_t hash_seed = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(SnapshotHead) == 64 && offsetof(SnapshotHead, checksum) == 56);

/// What the head takes of its file.
inline constexpr std::uint64_t kSnapshotHeadBytes = 4096;

struct SnapshotIndexEntry {
  std::uint64_t slot = 0;
  std::uint64_t offset = 0;
  std::uint64_t entries = 0;
};
static_assert(sizeof(SnapshotIndexEntry) == 24);

struct SnapshotFooter {
  static constexpr std::uint64_t kMagic = 0x746f6f66706e736d;  // "msnpfoot"

  std::uint64_t magic = kMagic;
  std::uint64_t slot_count = 0;
  std::uint64_t index_offset = 0;
  std::uint64_t entry_count = 0;
  std::uint64_t last_frame = 0;
  std::uint64_t index_checksum = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(SnapshotFooter) == 56 && offsetof(SnapshotFooter, checksum) == 48);

}  // namespace memento
