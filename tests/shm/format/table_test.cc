// A slot's table: cells, lines, and the look at a line's eight cells at once against the same done one by
// one.
#include "shm/format/table.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <set>
#include <vector>

namespace memento::testing {
namespace {

struct alignas(64) Line {
  std::array<Word, kCellsPerLine> cells{};
};

// Shows that a cell's three fields come back, that moving its entry changes nothing of its tag, and that no
// entry's cell is taken for an empty one or a tombstone.
TEST(Table, CellsKeepTheirFields) {
  const Offset largest_offset{((1ull << 38) - 1) * 8};
  for (const Offset offset : {Offset{8}, Offset{1ull << 30}, largest_offset}) {
    for (const std::uint64_t hash : {0ull, ~0ull, 0x123456789abcdef0ull}) {
      const std::uint64_t cell = Cell::make(offset, hash);
      EXPECT_TRUE(Cell::live(cell));
      EXPECT_EQ(Cell::offset(cell), offset);
      EXPECT_EQ(Cell::tag(cell), hash >> 40);
      EXPECT_EQ(Cell::heat(cell), 0u);
      const std::uint64_t moved = Cell::moved(cell, Offset{4096}, Cell::kHeatLimit);
      EXPECT_EQ(Cell::offset(moved), Offset{4096});
      EXPECT_EQ(Cell::tag(moved), Cell::tag(cell));
      EXPECT_EQ(Cell::heat(moved), Cell::kHeatLimit);
    }
  }
  EXPECT_FALSE(Cell::live(0));
  EXPECT_FALSE(Cell::live(kTombstone));
}

// Shows with random lines of few tags, empty cells and tombstones that the look finds exactly the cells with
// the tag, and every empty cell; what it calls empty and is not, has_empty_cell() sorts out.
TEST(Table, LooksAtEightCellsAsAtEach) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 20'000; ++round) {
    Line line;
    std::uint32_t with_tag = 0;
    std::uint32_t empty = 0;
    const std::uint64_t tag = random() % 3 + 2;
    for (std::uint32_t i = 0; i < kCellsPerLine; ++i) {
      const std::uint64_t kind = random() % 4;
      const std::uint64_t cell =
          kind == 0   ? 0
          : kind == 1 ? kTombstone
                      : Cell::make(Offset{(random() % (1u << 20) + 1) * 64}, (random() % 3 + 2) << 40);
      line.cells[i].store(cell);
      with_tag |= static_cast<std::uint32_t>(Cell::live(cell) && Cell::tag(cell) == tag) << i;
      empty |= static_cast<std::uint32_t>(cell == 0) << i;
    }
    const LineHints hints = look_at_line(line.cells.data(), tag);
    ASSERT_EQ(hints.with_tag, with_tag);
    ASSERT_EQ(hints.maybe_empty & empty, empty);
    ASSERT_EQ(has_empty_cell(line.cells.data(), hints), empty != 0);
  }
}

// Shows that a cell whose low half is zero is not taken for an empty one, though the look shows it as such.
TEST(Table, ACellWithAZeroLowHalfIsNotEmpty) {
  Line line;
  for (Word& cell : line.cells) cell.store(Cell::make(Offset{8ull << 6}, 0));
  ASSERT_EQ(line.cells[0].load() & 0xffffffff, 0u);
  EXPECT_FALSE(has_empty_cell(line.cells.data(), look_at_line(line.cells.data(), 5)));
}

// Shows that as many cells as a table may hold are all placed, each in its home line or the next with room,
// around the end, and that a search, which ends at a line with an empty cell, meets every one.
TEST(Table, PlacesCellsWhereASearchFindsThem) {
  std::mt19937_64 random(5);
  for (const std::uint64_t line_count : {1ull, 3ull, 4ull, 16ull}) {
    std::vector<Line> lines(line_count);
    Word* const cells = lines[0].cells.data();
    std::vector<std::uint64_t> placed;
    for (std::uint64_t i = 0; i < fill_limit(line_count); ++i) {
      // Half of them want the last line.
      const std::uint64_t tag = i % 2 == 0 ? 0xffffff : random() & 0xffffff;
      placed.push_back(Cell::make(Offset{(i + 1) * 8}, tag << 40));
      place_cell(cells, line_count, placed.back());
    }
    std::set<std::uint64_t> found;
    for (const std::uint64_t cell : placed) {
      std::uint64_t line = home_line(Cell::tag(cell), line_count);
      ASSERT_LT(line, line_count);
      for (std::uint64_t steps = 0; steps < line_count; ++steps, line = (line + 1) % line_count) {
        for (const Word& at : lines[line].cells) {
          if (at.load() == cell) found.insert(cell);
        }
        const Word* const begin = lines[line].cells.data();
        if (found.contains(cell) || has_empty_cell(begin, look_at_line(begin, Cell::tag(cell)))) break;
      }
    }
    EXPECT_EQ(found.size(), placed.size());
  }
}

// Shows that a table grows in the order of tags: the home line never goes back when the tag goes on, and uses
// all lines.
TEST(Table, HomeLinesFollowTheTags) {
  for (const std::uint64_t line_count : {1ull, 7ull, 512ull}) {
    EXPECT_EQ(home_line(0, line_count), 0u);
    EXPECT_EQ(home_line(0xffffff, line_count), line_count - 1);
    for (std::uint64_t tag = 0; tag < 0xffffff; tag += 4097)
      ASSERT_LE(home_line(tag, line_count), home_line(tag + 1, line_count));
  }
}

}  // namespace
}  // namespace memento::testing
