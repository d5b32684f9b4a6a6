// Words of a request that are looked for in any case. Any process.
#pragma once

#include <string>
#include <string_view>

namespace memento {

constexpr char lower_letter(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// `upper` is in upper case.
constexpr bool is_word(std::string_view text, std::string_view upper) {
  if (text.size() != upper.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower_letter(text[i]) != lower_letter(upper[i])) return false;
  }
  return true;
}

/// What an error may quote of a client's word: no more than the limit, and up to a zero byte, as Redis does.
constexpr std::string_view quotable(std::string_view word, std::size_t limit_bytes = std::string_view::npos) {
  return word.substr(0, limit_bytes).substr(0, word.find('\0'));
}

inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = lower_letter(c);
  return lower;
}

}  // namespace memento
