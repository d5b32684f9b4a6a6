// A slot's table: lines of 8 cells in open addressing. A cell is offset / 8 (38 bits) << 26 | heat (2 bits)
// << 24 | tag (24 bits of the key's hash); 0 is empty, 1 a tombstone. The tag alone picks the home line, in
// tag order, so that a table is rebuilt without reading entries. Nothing is ever displaced: a search ends at
// the first line with an empty cell.
#pragma once

#include <cstdint>

#include "shm/layout.h"

namespace memento {

inline constexpr std::uint64_t kTombstone = 1;

struct Cell {
  static constexpr std::uint64_t tag_of_hash(std::uint64_t hash) { return hash >> 40; }
  static constexpr std::uint64_t make(std::uint64_t offset, std::uint64_t hash) {
    return offset / 8 << 26 | tag_of_hash(hash);
  }
  static constexpr std::uint64_t kHeatLimit = 3;
  static constexpr std::uint64_t kOneHeat = 1ull << 24;
  static constexpr std::uint64_t heat(std::uint64_t cell) { return cell >> 24 & kHeatLimit; }
  /// The same key's cell with its entry somewhere else.
  static constexpr std::uint64_t moved(std::uint64_t cell, std::uint64_t offset, std::uint64_t heat) {
    return offset / 8 << 26 | heat << 24 | tag(cell);
  }
  static constexpr bool live(std::uint64_t cell) { return cell > kTombstone; }
  static constexpr std::uint64_t offset(std::uint64_t cell) { return cell >> 26 << 3; }
  static constexpr std::uint64_t tag(std::uint64_t cell) { return cell & 0xffffff; }
};

constexpr std::uint64_t home_line(std::uint64_t tag, std::uint64_t lines) { return tag * lines >> 24; }

/// Non-empty cells a table of so many lines may hold before it grows.
constexpr std::uint64_t fill_limit(std::uint64_t lines) {
  return lines < 4 ? lines * kCellsPerLine : lines * (kCellsPerLine - 1);
}

inline Word* table_cells(char* base, Extent table) { return reinterpret_cast<Word*>(base + table.offset()); }

/// Puts a cell into a table nobody else can reach yet.
inline void place_cell(Word* cells, std::uint64_t lines, std::uint64_t cell) {
  for (std::uint64_t line = home_line(Cell::tag(cell), lines);; line = line + 1 == lines ? 0 : line + 1) {
    for (std::uint32_t i = 0; i < kCellsPerLine; ++i) {
      Word& place = cells[line * kCellsPerLine + i];
      if (place.load(std::memory_order_relaxed) == 0) {
        place.store(cell, std::memory_order_relaxed);
        return;
      }
    }
  }
}

}  // namespace memento
