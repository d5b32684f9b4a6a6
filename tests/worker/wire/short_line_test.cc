// ShortLine finds the words that Line finds, wherever the line ends and its spaces are.
#include "worker/wire/short_line.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <string>

#include "worker/wire/text_codec.h"

namespace memento {
namespace {

constexpr std::size_t kLookBytes = 64;

template <class AnyLine>
Arguments words_of(AnyLine& line, std::size_t rest_index) {
  Arguments words{line.take_word()};
  if (!words[0].empty()) split_words(line, rest_index, &words);
  return words;
}

// Words that are found plainly are all words; those of a line with single spaces are.
void compare_plainly(const ShortLine& line, const Arguments& words, std::size_t rest_index) {
  constexpr std::size_t kPlaces = 4;
  if (line.name_bytes() == 0) return;
  std::array<std::string_view, kPlaces> places;
  const std::size_t count = line.split_plainly<kPlaces>(rest_index, places.data());
  std::string joined;
  for (const std::string_view word : words) joined.append(joined.empty() ? "" : " ").append(word);
  ASSERT_EQ(count, joined == line.text() && words.size() <= kPlaces ? words.size() : 0) << line.text();
  ASSERT_EQ(Arguments(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(count)),
            count == 0 ? Arguments() : words);
}

// `text` without line ends, then one, then more bytes.
void compare(const std::string& text, const std::string& end) {
  const std::string bytes = text + end + std::string(kLookBytes, ' ') + "\n";
  std::size_t scanned = 0;
  std::size_t taken = 0;
  std::string_view line;
  ASSERT_TRUE(next_line(bytes, &scanned, &line, &taken));
  ShortLine found(bytes);
  ASSERT_EQ(found.is_whole(), taken <= kLookBytes) << text.size();
  if (!found.is_whole()) return;
  ASSERT_EQ(found.text(), line);
  ASSERT_EQ(found.bytes_with_end(), taken);
  for (std::size_t rest_index = 0; rest_index < 4; ++rest_index) {
    Line expected(line);
    ShortLine again(bytes);
    const Arguments words = words_of(expected, rest_index);
    ASSERT_EQ(words_of(again, rest_index), words) << '"' << text << "\", rest " << rest_index;
    compare_plainly(found, words, rest_index);
  }
  // The same where the input ends behind the line.
  const std::string exact = text + end;
  ShortLine alone(exact);
  ASSERT_TRUE(alone.is_whole());
  ASSERT_EQ(alone.text(), line);
  Line expected(line);
  ASSERT_EQ(words_of(alone, 0), words_of(expected, 0));
}

// All rows of so many letters, spaces and \r.
void compare_all(std::size_t count, const std::string& before) {
  std::size_t rows = 1;
  for (std::size_t i = 0; i < count; ++i) rows *= 3;
  for (std::size_t row = 0; row < rows; ++row) {
    std::string text = before;
    for (std::size_t i = 0, rest = row; i < count; ++i, rest /= 3) text += "a \r"[rest % 3];
    compare(text, "\n");
    if (!testing::Test::HasFatalFailure()) continue;
    return;
  }
}

TEST(ShortLineTest, FindsTheWordsOfAnyLine) {
  for (std::size_t count = 0; count <= 7; ++count) compare_all(count, "");
  for (std::size_t size = 54; size < 68; ++size) {
    compare_all(4, std::string(size, 'x'));
    compare_all(4, "SET key " + std::string(size - 8, ' '));
    compare(std::string(size, 'x'), "\r\n");
    compare("SET k " + std::string(size - 6, 'v'), "\r\n");
  }
}

// A page of memory between two that nobody may touch, filled with line ends and spaces.
class LonePage {
 public:
  static constexpr std::size_t kBytes = 4096;
  LonePage()
      : around_(
            static_cast<char*>(mmap(nullptr, 3 * kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    EXPECT_EQ(mprotect(begin(), kBytes, PROT_READ | PROT_WRITE), 0);
    for (std::size_t i = 0; i < kBytes; ++i) begin()[i] = i % 2 == 0 ? '\n' : ' ';
  }
  ~LonePage() { munmap(around_, 3 * kBytes); }
  LonePage(const LonePage&) = delete;
  LonePage& operator=(const LonePage&) = delete;
  char* begin() const { return around_ + kBytes; }
  char* end() const { return begin() + kBytes; }

 private:
  char* around_;
};

// Shows that nothing is read on another page than the input's, and that what lies behind the input there
// counts for nothing: lines of any length, whole and not, at every distance from the page's end that matters.
TEST(ShortLineTest, ReadsOnItsOwnPageOnly) {
  const LonePage page;
  for (std::size_t size = 1; size <= 2 * kLookBytes; ++size) {
    for (std::size_t distance = size; distance <= size + 2 * kLookBytes; ++distance) {
      char* const at = page.end() - distance;
      const std::string before(at, size);
      std::string text(size, 'x');
      if (size > 3) text[3] = ' ';
      text.copy(at, size);
      ASSERT_FALSE(ShortLine({at, size}).is_whole()) << size << " bytes, " << distance << " from the end";
      at[size - 1] = '\n';
      ShortLine line({at, size});
      ASSERT_EQ(line.is_whole(), size <= kLookBytes);
      if (line.is_whole()) {
        ASSERT_EQ(line.text(), std::string_view(text).substr(0, size - 1));
        ASSERT_EQ(line.bytes_with_end(), size);
      }
      before.copy(at, size);
    }
  }
}

}  // namespace
}  // namespace memento
