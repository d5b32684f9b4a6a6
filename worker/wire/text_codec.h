// The text protocol's requests: one a line, ended by \n or \r\n; words parted by spaces. A command may
// declare that one of its arguments takes the rest of the line as it is, so that a value may hold spaces.
// Runs in workers.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace memento {

/// A request's words, pointing into the line. args[0] is the command as typed.
using Arguments = std::vector<std::string_view>;

/// The line at the front of `bytes` without its end; false when it is not whole yet. `scanned` (in and out)
/// is how many bytes are known to hold no \n. `taken`: bytes of the line and its end.
bool next_line(std::string_view bytes, std::size_t* scanned, std::string_view* line, std::size_t* taken);

/// Cuts the first word off `line`; empty when there is none. What is left begins with the separator.
std::string_view take_word(std::string_view* line);

/// A line's words in turn. ShortLine (short_line.h) is the same for short lines.
class Line {
 public:
  explicit Line(std::string_view line) : line_(line), left_(line) {}

  std::string_view text() const { return line_; }
  /// The next word; empty when there is none.
  std::string_view take_word() { return memento::take_word(&left_); }
  /// All that follows one space after the last word, be it empty; false when the line ends with that word.
  bool take_rest(std::string_view* rest) const {
    if (left_.empty()) return false;
    *rest = left_.substr(1);
    return true;
  }

 private:
  std::string_view line_;
  std::string_view left_;
};

/// Appends the words that follow a request's first. The `rest_index`-th word of the request (0: none is) is
/// the line's rest.
template <class AnyLine>
void split_words(AnyLine& line, std::size_t rest_index, Arguments* arguments) {
  for (std::size_t count = 1;; ++count) {
    std::string_view word;
    if (count == rest_index) {
      if (line.take_rest(&word)) arguments->push_back(word);
      return;
    }
    word = line.take_word();
    if (word.empty()) return;
    arguments->push_back(word);
  }
}

}  // namespace memento
