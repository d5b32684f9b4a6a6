// A page info word: what a 64 KiB page of the arena is used for.
//
//   kind      8 bits   0: units (free, runs, large tables); size class + 1; kLinePage
//   free     16 bits   << 8: free blocks or lines; of units: which of the 16 begin a run
//   longest  16 bits   << 24, line pages: longest row of free lines
//   draining  1 bit    << 40: is being emptied, takes nothing new
//   main      1 bit    << 41: holds entries that were read again (eviction.cc)
#pragma once

#include <cstdint>

#include "shm/format/layout.h"

namespace memento {

inline constexpr std::uint64_t kLinePage = 255;
inline constexpr std::uint32_t kLinesPerPage = 1021;  ///< behind 3 lines that hold the bitmap
inline constexpr std::uint32_t kLinePageHeaderBytes = 192;
inline constexpr std::uint64_t kSmallTableLines = 512;  ///< larger tables are runs of units

struct PageInfo {
  std::uint64_t word = 0;

  static constexpr std::uint64_t kDraining = 1ull << 40;
  static constexpr std::uint64_t kMain = 1ull << 41;
  static constexpr std::uint64_t kFlags = kDraining | kMain;

  static constexpr PageInfo make(std::uint64_t kind, std::uint64_t free, std::uint64_t longest = 0,
                                 std::uint64_t flags = 0) {
    return {kind | free << 8 | longest << 24 | flags};
  }
  constexpr std::uint64_t kind() const { return word & 255; }
  constexpr std::uint64_t free() const { return word >> 8 & 0xffff; }
  constexpr std::uint64_t run_starts() const { return free(); }
  constexpr std::uint64_t longest() const { return word >> 24 & 0xffff; }
  constexpr bool is_draining() const { return (word & kDraining) != 0; }
  constexpr bool is_main() const { return (word & kMain) != 0; }
  constexpr std::uint64_t flags() const { return word & kFlags; }
  constexpr bool is_class_page() const { return kind() != 0 && kind() != kLinePage; }
  constexpr std::uint32_t size_class() const { return static_cast<std::uint32_t>(kind() - 1); }
};

}  // namespace memento
