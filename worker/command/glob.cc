// See glob.h.
#include "worker/command/glob.h"

#include <cstddef>

namespace memento {
namespace {

// Matches one pattern element at `*p` against `c`, moving `*p` behind it.
bool match_one(std::string_view pattern, std::size_t* p, char c) {
  const char element = pattern[(*p)++];
  if (element == '?') return true;
  if (element == '\\' && *p < pattern.size()) return pattern[(*p)++] == c;
  if (element != '[') return element == c;
  const bool negated = *p < pattern.size() && pattern[*p] == '^';
  if (negated) ++*p;
  bool found = false;
  while (*p < pattern.size() && pattern[*p] != ']') {
    if (pattern[*p] == '\\' && *p + 1 < pattern.size()) {
      found |= pattern[*p + 1] == c;
      *p += 2;
    } else if (*p + 2 < pattern.size() && pattern[*p + 1] == '-') {
      const char low = pattern[*p] < pattern[*p + 2] ? pattern[*p] : pattern[*p + 2];
      const char high = pattern[*p] < pattern[*p + 2] ? pattern[*p + 2] : pattern[*p];
      found |= low <= c && c <= high;
      *p += 3;
    } else {
      found |= pattern[(*p)++] == c;
    }
  }
  if (*p < pattern.size()) ++*p;
  return found != negated;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  if (text.empty()) return pattern.empty();
  std::size_t p = 0, t = 0;
  std::size_t star = std::string_view::npos, star_text = 0;
  for (;;) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    if (t == text.size() && p == pattern.size()) return true;
    if (t < text.size() && p < pattern.size() && match_one(pattern, &p, text[t])) {
      ++t;
      continue;
    }
    if (star == std::string_view::npos || star_text >= text.size()) return false;
    t = ++star_text;
    p = star + 1;
  }
}

bool is_subsequence(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  for (std::size_t t = 0; t < text.size() && p < pattern.size(); ++t) p += pattern[p] == text[t];
  return p == pattern.size();
}

}  // namespace memento
