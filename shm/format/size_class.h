// Size classes of blocks: steps of 8 to 128 bytes, then about 1.15x, each stretched to the largest size that
// leaves as many blocks on a page. Larger blocks are runs of 4 KiB units. Pure, computed at compile time.
#pragma once

#include <array>
#include <cstdint>

#include "shm/format/layout.h"

namespace memento {

struct ClassGeometry {
  std::uint32_t block_bytes = 0;
  std::uint32_t block_count = 0;   ///< on a page
  std::uint32_t first_offset = 0;  ///< of block 0 in its page: behind the bitmap
  std::uint32_t batch = 0;         ///< blocks that move between page and magazine at once
};

struct SizeClasses {
  std::array<ClassGeometry, kClassLimit> geometry{};
  std::uint32_t count = 0;
  std::array<std::uint8_t, 32768 / 8 + 1> by_size{};  ///< class of a size, by size / 8 rounded up

  static constexpr ClassGeometry geometry_of(std::uint64_t block_bytes) {
    std::uint64_t blocks = kPageBytes / block_bytes;
    while (blocks * block_bytes + (blocks + 63) / 64 * 8 > kPageBytes) --blocks;
    const std::uint64_t batch = 16384 / block_bytes;
    return {static_cast<std::uint32_t>(block_bytes), static_cast<std::uint32_t>(blocks),
            static_cast<std::uint32_t>((blocks + 63) / 64 * 8),
            static_cast<std::uint32_t>(batch < 1    ? 1
                                       : batch > 32 ? 32
                                                    : batch)};
  }

  constexpr SizeClasses() {
    std::uint64_t size = 16;
    while (size <= 32768) {
      ClassGeometry candidate = geometry_of(size);
      if (size > 128) {
        const std::uint64_t widest = (kPageBytes - candidate.first_offset) / candidate.block_count / 8 * 8;
        candidate.block_bytes = static_cast<std::uint32_t>(widest);
      }
      geometry[count++] = candidate;
      const std::uint64_t reached = candidate.block_bytes;
      size = reached < 128 ? reached + 8 : (reached * 115 / 100 + 7) / 8 * 8;
    }
    std::uint32_t at = 0;
    for (std::uint32_t eighths = 0; eighths < by_size.size(); ++eighths) {
      while (at + 1 < count && geometry[at].block_bytes < eighths * 8) ++at;
      by_size[eighths] = static_cast<std::uint8_t>(at);
    }
  }
};

inline constexpr SizeClasses kSizeClasses;
inline constexpr std::uint32_t kSmallestBlockBytes = kSizeClasses.geometry[0].block_bytes;
static_assert(kSmallestBlockBytes >= 16);  // an entry's first words are read before its lengths are known
inline constexpr std::uint32_t kLargestBlockBytes = kSizeClasses.geometry[kSizeClasses.count - 1].block_bytes;
static_assert(kSizeClasses.count <= kClassLimit);

/// REQUIRES: bytes <= kLargestBlockBytes.
constexpr std::uint32_t class_of_size(std::uint64_t bytes) {
  const std::uint64_t eighths = (bytes + 7) / 8;
  return eighths < kSizeClasses.by_size.size() ? kSizeClasses.by_size[eighths] : kSizeClasses.count - 1;
}

}  // namespace memento
