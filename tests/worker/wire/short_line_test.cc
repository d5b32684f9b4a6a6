// ShortLine finds the words that Line finds, wherever the line ends and its spaces are.
#include "worker/wire/short_line.h"

#include <gtest/gtest.h>

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
    ASSERT_EQ(words_of(again, rest_index), words_of(expected, rest_index))
        << '"' << text << "\", rest " << rest_index;
  }
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

}  // namespace
}  // namespace memento
