// Rows of free lines, counted a word at a time, are those that one finds line by line.
#include "shm/arena/free_lines.h"

#include <gtest/gtest.h>

#include <random>

namespace memento {
namespace {

bool is_used(const LineBitmap& used, std::uint64_t line) { return (used[line / 64] >> line % 64 & 1) != 0; }

void compare(const LineBitmap& used) {
  std::uint64_t count = 0;
  std::uint64_t longest = 0;
  std::array<std::uint64_t, kLinesPerPage + 2> first_of;  // by length, of a row of so many lines at least
  first_of.fill(kLinesPerPage);
  std::uint64_t length = 0;
  for (std::uint64_t line = 0; line < kLinesPerPage; ++line) {
    length = is_used(used, line) ? 0 : length + 1;
    count += length > 0;
    longest = std::max(longest, length);
    if (length > 0 && first_of[length] == kLinesPerPage) first_of[length] = line + 1 - length;
  }
  const FreeLines found = count_free_lines(used);
  ASSERT_EQ(found.count, count);
  ASSERT_EQ(found.longest, longest);
  for (std::uint64_t lines = 1; lines <= kLinesPerPage; ++lines) {
    ASSERT_EQ(find_free_lines(used, lines).value_or(kLinesPerPage), first_of[lines]) << lines;
  }
}

TEST(FreeLinesTest, EmptyAndFullPages) {
  LineBitmap used{};
  compare(used);
  used.back() = ~0ull << kLinesPerPage % 64;  // what is behind the last line
  compare(used);
  used.fill(~0ull);
  compare(used);
}

TEST(FreeLinesTest, RandomRows) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    LineBitmap used{};
    for (int row = 0; row < 40; ++row) {
      const std::uint64_t first = random() % kLinesPerPage;
      const std::uint64_t lines = std::min(1 + random() % (row % 4 == 0 ? 200 : 20), kLinesPerPage - first);
      const bool uses = random() % 4 != 0;
      const LineBitmap before = used;
      mark_lines(&used, first, lines, uses);
      for (std::uint64_t line = 0; line < 64 * used.size(); ++line) {
        const bool is_in = line >= first && line < first + lines;
        ASSERT_EQ(is_used(used, line), is_in ? uses : is_used(before, line)) << line;
      }
    }
    compare(used);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace memento
