// The bytes of MANIFEST, which says what of a data folder counts: two blocks of 4 KiB, written in turn, so
// that one of them is whole whatever happens to a write. The valid block with the higher generation counts.
// Numbers are little-endian; zeros behind the checksum.
//
//    0  u64 magic          "memmanif"
//    8  u32 version
//   12  u8  state          ManifestState;  13 u8 policy: SyncPolicy;  14 u8 exact;  15 u8 clean
//   16  u64 generation     one more with each write; its lowest bit says which block it is in
//   24  u64 data id[2]     of the data
//   40  u64 cluster id[2]; 56 u64 uuid[2]: of the node; all 0: of none
//   72  u64 binding        of the last start that served this data
//   80  i64 detached       ms since 1970 when the server went on without this folder; 0: it did not
//   88  u64 snapshot       number of the snapshot to begin with; 0: there is none
//   96  u64 first file     of the journal: what is before it is in the snapshot; 104 u64 its seed
//  112  u64 first frame    in it. While the state is void: 1, there is no data in front of the journal; 0,
//  there is 120  u64 time base      ms since 1970 that records' creation times count from 128  u32 ancestors
//  how many there are; 132 u32 0 136  u64 ancestors[8][2]  data ids that this data had before, newest first
//  264  u64 XXH3 of 0..263, seed 0
//
// Worked example: generation 3 of data {1, 2} without a cluster, which begins with frame 5 of file 12 of seed
// 0x1234; binding 0x77, time base 0x99, one ancestor {8, 9}, policy always, exact: 0..151 and the checksum
//   6d 65 6d 6d 61 6e 69 66  01 00 00 00 02 02 01 00  03 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
//   02 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
//   00 00 00 00 00 00 00 00  77 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
//   0c 00 00 00 00 00 00 00  34 12 00 00 00 00 00 00  05 00 00 00 00 00 00 00  99 00 00 00 00 00 00 00
//   01 00 00 00 00 00 00 00  08 00 00 00 00 00 00 00  09 00 00 00 00 00 00 00
//   06 97 44 8e a2 f3 08 9a
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "shm/format/frame.h"

namespace memento {

enum class ManifestState : std::uint8_t {
  kVoid = 1,   ///< the folder's files say nothing: a snapshot is to be made first
  kValid = 2,  ///< snapshot and journal are the data, but for what a server wrote on after `detached`
};

/// When a write is on disk.
enum class SyncPolicy : std::uint8_t { kNo = 0, kEverySecond = 1, kAlways = 2 };

struct Manifest {
  static constexpr std::uint64_t kMagic = 0x66696e616d6d656d;  // "memmanif"
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::size_t kAncestorLimit = 8;

  std::uint64_t magic = kMagic;
  std::uint32_t version = kVersion;
  ManifestState state = ManifestState::kVoid;
  SyncPolicy policy = SyncPolicy::kEverySecond;
  std::uint8_t is_exact = 0;  ///< nothing that was acknowledged can be missing, whatever was lost
  std::uint8_t is_clean = 0;  ///< the server drained and synced all before it ended
  std::uint64_t generation = 0;
  Identity data_id{};
  Identity cluster_id{};
  Identity uuid{};
  std::uint64_t binding = 0;
  std::int64_t detached_ms = 0;
  std::uint64_t snapshot = 0;
  std::uint64_t first_file = 0;
  std::uint64_t first_seed = 0;
  std::uint64_t first_frame = 0;
  std::uint64_t time_base_ms = 0;
  std::uint32_t ancestor_count = 0;
  std::uint32_t zero = 0;
  std::array<Identity, kAncestorLimit> ancestors{};
  std::uint64_t checksum = 0;

  /// Puts a data id in front of the ancestors; the oldest one may go.
  void add_ancestor(const Identity& id) {
    for (std::size_t i = kAncestorLimit; i-- > 1;) ancestors[i] = ancestors[i - 1];
    ancestors[0] = id;
    if (ancestor_count < kAncestorLimit) ++ancestor_count;
  }
};
static_assert(sizeof(Manifest) == 272 && offsetof(Manifest, binding) == 72 &&
              offsetof(Manifest, ancestors) == 136 && offsetof(Manifest, checksum) == 264);

inline constexpr std::uint64_t kManifestBlockBytes = 4096;

}  // namespace memento
