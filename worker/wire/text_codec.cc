// See text_codec.h.
#include "worker/wire/text_codec.h"

#include <cstring>

namespace memento {

bool next_line(std::string_view bytes, std::size_t* scanned, std::string_view* line, std::size_t* taken) {
  const void* end = std::memchr(bytes.data() + *scanned, '\n', bytes.size() - *scanned);
  if (end == nullptr) {
    *scanned = bytes.size();
    return false;
  }
  const auto length = static_cast<std::size_t>(static_cast<const char*>(end) - bytes.data());
  *scanned = 0;
  *taken = length + 1;
  *line = bytes.substr(0, length > 0 && bytes[length - 1] == '\r' ? length - 1 : length);
  return true;
}

std::string_view take_word(std::string_view* line) {
  std::size_t begin = 0;
  while (begin < line->size() && (*line)[begin] == ' ') ++begin;
  std::size_t end = begin;
  while (end < line->size() && (*line)[end] != ' ') ++end;
  const std::string_view word = line->substr(begin, end - begin);
  line->remove_prefix(end);
  return word;
}

}  // namespace memento
