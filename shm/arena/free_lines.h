// The free lines of a page of tables, by its bitmap (1: in use), a word at a time. Pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "shm/format/page_info.h"

namespace memento {

/// Bit i % 64 of word i / 64 is line i; what is behind the last line does not matter.
using LineBitmap = std::array<std::uint64_t, 16>;
static_assert(kLinesPerPage <= 64 * std::tuple_size_v<LineBitmap>);

/// The first line from `from` on that is in use, or is not; kLinesPerPage: there is none.
inline std::uint64_t next_line_that(bool is_used, const LineBitmap& used, std::uint64_t from) {
  if (from >= kLinesPerPage) return kLinesPerPage;
  const std::uint64_t flip = is_used ? 0 : ~0ull;
  std::size_t w = from / 64;
  std::uint64_t word = (used[w] ^ flip) & ~0ull << from % 64;
  while (word == 0) {
    if (++w == used.size()) return kLinesPerPage;
    word = used[w] ^ flip;
  }
  return std::min<std::uint64_t>(w * 64 + static_cast<std::uint64_t>(std::countr_zero(word)), kLinesPerPage);
}

struct FreeLines {
  std::uint64_t count = 0;
  std::uint64_t longest = 0;  ///< row of them
};

inline FreeLines count_free_lines(const LineBitmap& used) {
  FreeLines lines;
  for (std::uint64_t end = 0;;) {
    const std::uint64_t first = next_line_that(false, used, end);
    if (first == kLinesPerPage) return lines;
    end = next_line_that(true, used, first);
    lines.count += end - first;
    lines.longest = std::max(lines.longest, end - first);
  }
}

/// Where the first row of at least so many free lines begins.
inline std::optional<std::uint64_t> find_free_lines(const LineBitmap& used, std::uint64_t lines) {
  for (std::uint64_t end = 0;;) {
    const std::uint64_t first = next_line_that(false, used, end);
    if (first == kLinesPerPage) return std::nullopt;
    end = next_line_that(true, used, first);
    if (end - first >= lines) return first;
  }
}

/// Marks the lines from `first` on.
inline void mark_lines(LineBitmap* used, std::uint64_t first, std::uint64_t lines, bool is_used) {
  for (const std::uint64_t end = first + lines; first < end;) {
    const std::uint64_t here = std::min(end - first, 64 - first % 64);
    const std::uint64_t bits = (here == 64 ? ~0ull : (1ull << here) - 1) << first % 64;
    std::uint64_t& word = (*used)[first / 64];
    word = is_used ? word | bits : word & ~bits;
    first += here;
  }
}

}  // namespace memento
