// See pattern_match.h.
#include "worker/script/pattern_match.h"

#include <cctype>
#include <cstring>

namespace memento {
namespace {

constexpr char kEscape = '%';

// Whether the byte is in the class of that letter; a letter in upper case means all others. What is no
// class's letter means itself.
bool class_has(unsigned char letter, unsigned char byte) {
  bool is_in = false;
  switch (std::tolower(letter)) {
    case 'a':
      is_in = std::isalpha(byte) != 0;
      break;
    case 'c':
      is_in = std::iscntrl(byte) != 0;
      break;
    case 'd':
      is_in = std::isdigit(byte) != 0;
      break;
    case 'l':
      is_in = std::islower(byte) != 0;
      break;
    case 'p':
      is_in = std::ispunct(byte) != 0;
      break;
    case 's':
      is_in = std::isspace(byte) != 0;
      break;
    case 'u':
      is_in = std::isupper(byte) != 0;
      break;
    case 'w':
      is_in = std::isalnum(byte) != 0;
      break;
    case 'x':
      is_in = std::isxdigit(byte) != 0;
      break;
    case 'z':
      is_in = byte == 0;
      break;
    default:
      return letter == byte;
  }
  return is_in != (std::isupper(letter) != 0);
}

}  // namespace

const char* PatternMatch::match_at(const char* at) {
  capture_count_ = 0;
  nesting_ = 0;
  return match(at, pattern_);
}

const char* PatternMatch::match(const char* at, const char* pattern) {
  while (*pattern != '\0') {
    limits_.spend(lua_, 1);
    if (*pattern == '(') {
      const bool is_position = pattern[1] == ')';
      return open_capture(at, pattern + (is_position ? 2 : 1),
                          is_position ? Capture::Kind::kPosition : Capture::Kind::kOpen);
    }
    if (*pattern == ')') return close_capture(at, pattern + 1);
    if (*pattern == '$' && pattern[1] == '\0') return at == end_ ? at : nullptr;
    if (*pattern == kEscape && pattern[1] == 'b') {
      if ((at = match_balanced(at, pattern + 2)) == nullptr) return nullptr;
      pattern += 4;
      continue;
    }
    if (*pattern == kEscape && pattern[1] == 'f') {
      pattern += 2;
      if (*pattern != '[') luaL_error(lua_, "missing '[' after '%%f' in pattern");
      const char* const set_end = item_end(pattern);
      if (!is_at_frontier(at, pattern, set_end)) return nullptr;
      pattern = set_end;
      continue;
    }
    if (*pattern == kEscape && std::isdigit(static_cast<unsigned char>(pattern[1])) != 0) {
      if ((at = match_capture(at, pattern[1])) == nullptr) return nullptr;
      pattern += 2;
      continue;
    }
    const char* const behind = item_end(pattern);
    if (*behind == '*') return match_most(at, pattern, behind);
    if (*behind == '-') return match_least(at, pattern, behind);
    const bool is_match = is_matched(at, pattern, behind);
    if (*behind == '+') return is_match ? match_most(at + 1, pattern, behind) : nullptr;
    if (*behind == '?') {
      if (is_match) {
        const char* const to = match_nested(at + 1, behind + 1);
        if (to != nullptr) return to;
      }
      pattern = behind + 1;
      continue;
    }
    if (!is_match) return nullptr;
    ++at;
    pattern = behind;
  }
  return at;
}

const char* PatternMatch::match_nested(const char* at, const char* pattern) {
  if (++nesting_ > kDeepestNesting) luaL_error(lua_, "pattern too complex");
  const char* const to = match(at, pattern);
  --nesting_;
  return to;
}

// As often as it can be, and then less and less often.
const char* PatternMatch::match_most(const char* at, const char* item, const char* item_end) {
  const char* last = at;
  while (is_matched(last, item, item_end)) ++last;
  for (;; --last) {
    const char* const to = match_nested(last, item_end + 1);
    if (to != nullptr) return to;
    if (last == at) return nullptr;
  }
}

// As seldom as it can be.
const char* PatternMatch::match_least(const char* at, const char* item, const char* item_end) {
  for (;; ++at) {
    const char* const to = match_nested(at, item_end + 1);
    if (to != nullptr) return to;
    if (!is_matched(at, item, item_end)) return nullptr;
  }
}

// The pattern is at the two bytes that open and close.
const char* PatternMatch::match_balanced(const char* at, const char* pattern) {
  if (pattern[0] == '\0' || pattern[1] == '\0') luaL_error(lua_, "unbalanced pattern");
  if (*at != pattern[0]) return nullptr;
  std::size_t open_count = 1;
  while (++at < end_) {
    limits_.spend(lua_, 1);
    if (*at == pattern[1]) {
      if (--open_count == 0) return at + 1;
    } else if (*at == pattern[0]) {
      ++open_count;
    }
  }
  return nullptr;
}

// The same text as in a capture before.
const char* PatternMatch::match_capture(const char* at, char digit) {
  const int index = digit - '1';
  if (index < 0 || index >= capture_count_ || captures_[index].kind == Capture::Kind::kOpen)
    luaL_error(lua_, "invalid capture index");
  const Capture& capture = captures_[index];
  if (capture.kind == Capture::Kind::kPosition) return nullptr;
  if (static_cast<std::size_t>(end_ - at) < capture.size) return nullptr;
  limits_.spend(lua_, static_cast<std::int64_t>(capture.size / 16));
  return std::memcmp(capture.begin, at, capture.size) == 0 ? at + capture.size : nullptr;
}

const char* PatternMatch::open_capture(const char* at, const char* pattern, Capture::Kind kind) {
  if (capture_count_ >= kMostCaptures) luaL_error(lua_, "too many captures");
  captures_[capture_count_++] = {at, 0, kind};
  const char* const to = match_nested(at, pattern);
  if (to == nullptr) --capture_count_;
  return to;
}

// The capture that was opened last and is open still.
const char* PatternMatch::close_capture(const char* at, const char* pattern) {
  int index = capture_count_ - 1;
  while (index >= 0 && captures_[index].kind != Capture::Kind::kOpen) --index;
  if (index < 0) luaL_error(lua_, "invalid pattern capture");
  Capture& capture = captures_[index];
  capture.kind = Capture::Kind::kText;
  capture.size = static_cast<std::size_t>(at - capture.begin);
  const char* const to = match_nested(at, pattern);
  if (to == nullptr) capture.kind = Capture::Kind::kOpen;
  return to;
}

// Between a byte that the set has not and one that it has; before the subject and behind it is a zero byte.
bool PatternMatch::is_at_frontier(const char* at, const char* set, const char* set_end) {
  const char before = at == begin_ ? '\0' : at[-1];
  return !set_has(set, set_end, static_cast<unsigned char>(before)) &&
         set_has(set, set_end, static_cast<unsigned char>(*at));
}

// Behind the class, the set or the byte that begins there.
const char* PatternMatch::item_end(const char* item) {
  if (*item == kEscape) {
    if (item[1] == '\0') luaL_error(lua_, "malformed pattern (ends with '%%')");
    return item + 2;
  }
  if (*item != '[') return item + 1;
  const char* next = item + (item[1] == '^' ? 2 : 1);
  // A bracket that stands first belongs to the set.
  do {
    if (*next == '\0') luaL_error(lua_, "malformed pattern (missing ']')");
    limits_.spend(lua_, 1);
    const bool is_escape = *next++ == kEscape;
    if (is_escape && *next != '\0') ++next;
  } while (*next != ']');
  return next + 1;
}

bool PatternMatch::is_matched(const char* at, const char* item, const char* item_end) {
  if (at >= end_) return false;
  limits_.spend(lua_, 1);
  const auto byte = static_cast<unsigned char>(*at);
  if (*item == '.') return true;
  if (*item == kEscape) return class_has(static_cast<unsigned char>(item[1]), byte);
  if (*item == '[') return set_has(item, item_end, byte);
  return static_cast<unsigned char>(*item) == byte;
}

bool PatternMatch::set_has(const char* set, const char* set_end, unsigned char byte) {
  const char* const last = set_end - 1;  // the closing bracket
  const bool is_negated = set[1] == '^';
  for (const char* item = set + (is_negated ? 2 : 1); item < last; ++item) {
    limits_.spend(lua_, 1);
    bool has = false;
    if (*item == kEscape) {
      has = class_has(static_cast<unsigned char>(*++item), byte);
    } else if (item[1] == '-' && item + 2 < last) {
      has = static_cast<unsigned char>(item[0]) <= byte && byte <= static_cast<unsigned char>(item[2]);
      item += 2;
    } else {
      has = static_cast<unsigned char>(*item) == byte;
    }
    if (has) return !is_negated;
  }
  return is_negated;
}

int PatternMatch::push_captures(const char* from, const char* to) {
  const int count = capture_count_ == 0 && from != nullptr ? 1 : capture_count_;
  luaL_checkstack(lua_, count, "too many captures");
  for (int index = 0; index < count; ++index) push_capture(index, from, to);
  return count;
}

void PatternMatch::push_capture(int index, const char* from, const char* to) {
  if (index >= capture_count_) {
    if (index != 0) luaL_error(lua_, "invalid capture index");
    lua_pushlstring(lua_, from, static_cast<std::size_t>(to - from));
    return;
  }
  const Capture& capture = captures_[index];
  switch (capture.kind) {
    case Capture::Kind::kOpen:
      luaL_error(lua_, "unfinished capture");
      break;
    case Capture::Kind::kPosition:
      lua_pushinteger(lua_, capture.begin - begin_ + 1);
      break;
    case Capture::Kind::kText:
      limits_.spend(lua_, static_cast<std::int64_t>(capture.size / 16));
      lua_pushlstring(lua_, capture.begin, capture.size);
  }
}

}  // namespace memento
