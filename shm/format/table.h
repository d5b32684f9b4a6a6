// A slot's table: lines of 8 cells in open addressing. A cell is offset / 8 (38 bits) << 26 | heat (2 bits)
// << 24 | tag (24 bits of the key's hash); 0 is empty, 1 a tombstone. The tag alone picks the home line, in
// tag order, so that a table is rebuilt without reading entries. Nothing is ever displaced: a search ends at
// the first line with an empty cell.
#pragma once

#include <emmintrin.h>

#include <bit>
#include <cstdint>

#include "shm/format/layout.h"

namespace memento {

inline constexpr std::uint64_t kTombstone = 1;

struct Cell {
  static constexpr std::uint64_t tag_of_hash(std::uint64_t hash) { return hash >> 40; }
  static constexpr std::uint64_t make(Offset offset, std::uint64_t hash) {
    return offset.value / 8 << 26 | tag_of_hash(hash);
  }
  static constexpr std::uint64_t kHeatLimit = 3;
  static constexpr std::uint64_t kOneHeat = 1ull << 24;
  static constexpr std::uint64_t heat(std::uint64_t cell) { return cell >> 24 & kHeatLimit; }
  /// The same key's cell with its entry somewhere else.
  static constexpr std::uint64_t moved(std::uint64_t cell, Offset offset, std::uint64_t heat) {
    return offset.value / 8 << 26 | heat << 24 | tag(cell);
  }
  static constexpr bool live(std::uint64_t cell) { return cell > kTombstone; }
  static constexpr Offset offset(std::uint64_t cell) { return Offset{cell >> 26 << 3}; }
  static constexpr std::uint64_t tag(std::uint64_t cell) { return cell & 0xffffff; }
};

constexpr std::uint64_t home_line(std::uint64_t tag, std::uint64_t lines) { return tag * lines >> 24; }

/// What one look at a line's eight cells shows, a bit for each: those that bear the tag, and those that may
/// be empty. No branch depends on where it is: a processor that guesses wrong there throws away the fetches
/// begun for the next key. Hints, and not one instant's: whoever relies on a cell loads it again and looks.
struct LineHints {
  std::uint32_t with_tag;
  std::uint32_t maybe_empty;
};

inline LineHints look_at_line(const Word* line, std::uint64_t tag) {
#if !defined(__SANITIZE_THREAD__)
  const auto* pairs = reinterpret_cast<const __m128i*>(line);
  const auto low_halves = [pairs](int first) {
    return _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(_mm_load_si128(pairs + first)),
                                           _mm_castsi128_ps(_mm_load_si128(pairs + first + 1)),
                                           _MM_SHUFFLE(2, 0, 2, 0)));
  };
  const __m128i first_four = low_halves(0);
  const __m128i last_four = low_halves(2);
  const __m128i tag_bits = _mm_set1_epi32(0xffffff);
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag));
  const __m128i zero = _mm_setzero_si128();
  const __m128i with_tag = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_and_si128(first_four, tag_bits), wanted),
                                           _mm_cmpeq_epi32(_mm_and_si128(last_four, tag_bits), wanted));
  const __m128i empty = _mm_packs_epi32(_mm_cmpeq_epi32(first_four, zero), _mm_cmpeq_epi32(last_four, zero));
  const auto bits = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(with_tag, empty)));
  return {bits & 255, bits >> kCellsPerLine};
#else  // ThreadSanitizer follows atomic loads only
  LineHints hints{0, 0};
  for (std::uint32_t i = 0; i < kCellsPerLine; ++i) {
    const std::uint64_t cell = line[i].load(std::memory_order_relaxed);
    hints.with_tag |= static_cast<std::uint32_t>(Cell::tag(cell) == tag) << i;
    hints.maybe_empty |= static_cast<std::uint32_t>(cell == 0) << i;
  }
  return hints;
#endif
}

/// Whether one of the line's cells is empty: a search ends there.
inline bool has_empty_cell(const Word* line, LineHints hints) {
  for (std::uint32_t maybe = hints.maybe_empty; maybe != 0; maybe &= maybe - 1) {
    if (line[std::countr_zero(maybe)].load(std::memory_order_acquire) == 0) return true;
  }
  return false;
}

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
