// See config_line.h.
#include "conf/config_line.h"

#include <algorithm>
#include <charconv>

namespace memento {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

// Takes an escape of a text in double quotes, whose backslash stands in front of `text`.
char take_escape(std::string_view* text) {
  constexpr std::string_view kLetters = "nrtab";
  constexpr std::string_view kMeanings = "\n\r\t\a\b";
  const char letter = text->front();
  text->remove_prefix(1);
  if (letter == 'x' && text->size() >= 2) {
    unsigned byte = 0;
    if (std::from_chars(text->data(), text->data() + 2, byte, 16).ptr == text->data() + 2) {
      text->remove_prefix(2);
      return static_cast<char>(byte);
    }
  }
  const std::size_t at = kLetters.find(letter);
  return at == kLetters.npos ? letter : kMeanings[at];
}

// REQUIRES: text begins with a quote.
void take_quoted(std::string_view text, ConfigLine* line) {
  const char quote = text.front();
  text.remove_prefix(1);
  while (!text.empty() && text.front() != quote) {
    const char byte = text.front();
    text.remove_prefix(1);
    const bool escapes = byte == '\\' && !text.empty() && (quote == '"' || text.front() == quote);
    line->value += escapes ? take_escape(&text) : byte;
  }
  if (text.empty()) {
    line->error = line->name + ": the closing " + quote + " is missing";
  } else if (text.size() > 1) {
    line->error = line->name + ": there is more after the closing " + quote;
  }
}

}  // namespace

ConfigLine parse_config_line(std::string_view text) {
  ConfigLine line;
  text = trimmed(text);
  if (text.empty() || text.front() == '#') return line;
  const std::size_t name_bytes = std::min(text.find_first_of(kBlank), text.size());
  line.name = text.substr(0, name_bytes);
  text = trimmed(text.substr(name_bytes));
  const std::size_t equals = line.name.find('=');
  if (equals != line.name.npos || text.starts_with('=')) {
    line.error = "'=' does not belong between a name and its value; write '" + line.name.substr(0, equals) +
                 " VALUE' (a value that begins with '=' stands in quotes)";
  } else if (text.empty()) {
    line.error = line.name + ": the value is missing";
  } else if (text.front() == '"' || text.front() == '\'') {
    take_quoted(text, &line);
  } else {
    line.value = text;
  }
  return line;
}

}  // namespace memento
