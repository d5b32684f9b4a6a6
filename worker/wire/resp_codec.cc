// See resp_codec.h. The texts of the errors are Redis's: its clients and tests look for them.
#include "worker/wire/resp_codec.h"

#include <charconv>
#include <cstring>

#include "worker/wire/short_length.h"

namespace memento {
namespace {

constexpr std::size_t kKeptPieces = 64;

enum class Length { kWhole, kIncomplete, kTooLong, kNotANumber };

// The number between the type byte at `*position` and \r, strictly as Redis reads it; `*position` moves
// behind the line.
Length take_any_length(std::string_view bytes, std::size_t* position, std::int64_t* number) {
  const std::size_t begin = *position + 1;
  const char* const text = bytes.data() + begin;
  const std::size_t there = bytes.size() - begin;
  const void* const found = std::memchr(text, '\r', there);
  if (found == nullptr) return there >= RespParser::kLineLimitBytes ? Length::kTooLong : Length::kIncomplete;
  const char* const end = static_cast<const char*>(found);
  if (end + 1 == text + there) return Length::kIncomplete;
  const char* first = text;
  const bool is_negative = first != end && *first == '-';
  if (is_negative) ++first;
  *position = static_cast<std::size_t>(end - bytes.data()) + 2;
  if (first == end || (*first == '0' && (is_negative || first + 1 != end))) return Length::kNotANumber;
  const auto [parsed, failure] = std::from_chars(text, end, *number);
  return failure == std::errc() && parsed == end ? Length::kWhole : Length::kNotANumber;
}

// REQUIRES: the type byte is there.
Length take_length(std::string_view bytes, char type, std::size_t* position, std::int64_t* number) {
  if (bytes.size() - *position >= sizeof(std::uint64_t)) {
    if (const std::size_t taken = take_short_length(bytes.data() + *position, type, number); taken > 0)
        [[likely]] {
      *position += taken;
      return Length::kWhole;
    }
  }
  return take_any_length(bytes, position, number);
}

}  // namespace

void RespParser::reset() {
  position_ = 0;
  missing_ = 0;
  if (pieces_.capacity() > kKeptPieces) {
    pieces_ = {};
  } else {
    pieces_.clear();
  }
}

RespParser::Outcome RespParser::broken(const char* reason, char got) {
  reason_ = reason;
  got_ = got;
  return Outcome::kBroken;
}

std::string RespParser::error() const {
  std::string text = std::string("ERR Protocol error: ") + reason_;
  if (got_ != 0) text += got_, text += '\'';
  return text;
}

RespParser::Outcome RespParser::parse(std::string_view bytes, const RespLimits& limits, Arguments* arguments,
                                      std::size_t* taken, std::deque<std::string>* unquoted) {
  if (bytes.empty()) return Outcome::kIncomplete;
  if (bytes[0] != '*') return parse_inline(bytes, arguments, taken, unquoted);
  std::size_t position = position_;
  std::int64_t missing = missing_;
  if (missing == 0) {
    position = 0;
    switch (take_length(bytes, '*', &position, &missing)) {
      case Length::kIncomplete:
        return Outcome::kIncomplete;
      case Length::kTooLong:
        return broken("too big mbulk count string");
      case Length::kNotANumber:
        return broken("invalid multibulk length");
      case Length::kWhole:
        break;
    }
    if (missing > limits.arguments) {
      return broken(limits.is_authenticated ? "invalid multibulk length"
                                            : "unauthenticated multibulk length");
    }
    if (missing <= 0) {
      *taken = position;
      return Outcome::kRequest;
    }
  }
  const std::size_t first_argument = arguments->size();
  bool is_whole = true;
  while (missing > 0) {
    if (position == bytes.size()) {
      is_whole = false;
      break;
    }
    if (bytes[position] != '$') return broken("expected '$', got '", bytes[position]);
    std::size_t begin = position;
    std::int64_t bulk_bytes = 0;
    const Length length = take_length(bytes, '$', &begin, &bulk_bytes);
    if (length == Length::kTooLong) return broken("too big bulk count string");
    if (length == Length::kNotANumber) return broken("invalid bulk length");
    if (length == Length::kIncomplete) {
      is_whole = false;
      break;
    }
    if (bulk_bytes < 0 || bulk_bytes > limits.bulk_bytes) {
      return broken(limits.is_authenticated || bulk_bytes < 0 ? "invalid bulk length"
                                                              : "unauthenticated bulk length");
    }
    const auto size = static_cast<std::size_t>(bulk_bytes);
    if (bytes.size() - begin < size + 2) {
      is_whole = false;
      break;
    }
    arguments->push_back(bytes.substr(begin, size));
    position = begin + size + 2;
    --missing;
  }
  if (is_whole) {
    *taken = position;
    if (missing_ != 0) {
      put_pieces(bytes, first_argument, arguments);
      reset();
    }
    return Outcome::kRequest;
  }
  for (std::size_t i = first_argument; i < arguments->size(); ++i) {
    const std::string_view word = (*arguments)[i];
    pieces_.push_back(Piece{static_cast<std::size_t>(word.data() - bytes.data()), word.size()});
  }
  arguments->resize(first_argument);
  position_ = position;
  missing_ = missing;
  return bytes.size() > limits.request_bytes ? broken("request is longer than the limit")
                                             : Outcome::kIncomplete;
}

// The words that came before, in front of those that have come now: once, however many pieces a request comes
// in.
void RespParser::put_pieces(std::string_view bytes, std::size_t first_argument, Arguments* arguments) const {
  arguments->insert(arguments->begin() + static_cast<std::ptrdiff_t>(first_argument), pieces_.size(),
                    std::string_view());
  for (const Piece& piece : pieces_) (*arguments)[first_argument++] = bytes.substr(piece.offset, piece.size);
}

RespParser::Outcome RespParser::parse_inline(std::string_view bytes, Arguments* arguments, std::size_t* taken,
                                             std::deque<std::string>* unquoted) {
  std::string_view line;
  if (!next_line(bytes, &position_, &line, taken)) {
    return position_ > kLineLimitBytes ? broken("too big inline request") : Outcome::kIncomplete;
  }
  if (!split_quoted_words(line, arguments, unquoted)) return broken("unbalanced quotes in request");
  return Outcome::kRequest;
}

namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// One escape behind a backslash in double quotes; `*at` moves behind it.
char unescape(std::string_view line, std::size_t* at) {
  const char c = line[(*at)++];
  if (c == 'x' && *at + 1 < line.size() && hex_digit(line[*at]) >= 0 && hex_digit(line[*at + 1]) >= 0) {
    const int byte = hex_digit(line[*at]) * 16 + hex_digit(line[*at + 1]);
    *at += 2;
    return static_cast<char>(byte);
  }
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// A quoted part from behind its opening quote; false when it does not end or no space follows.
bool take_quoted(std::string_view line, char quote, std::size_t* at, std::string* word) {
  while (*at < line.size()) {
    const char c = line[(*at)++];
    if (c == quote) return *at == line.size() || is_space(line[*at]);
    if (c == '\\' && quote == '"' && *at < line.size()) {
      *word += unescape(line, at);
    } else if (c == '\\' && quote == '\'' && *at < line.size() && line[*at] == '\'') {
      *word += line[(*at)++];
    } else {
      *word += c;
    }
  }
  return false;
}

}  // namespace

bool split_quoted_words(std::string_view line, Arguments* arguments, std::deque<std::string>* unquoted) {
  std::size_t at = 0;
  for (;;) {
    while (at < line.size() && is_space(line[at])) ++at;
    if (at == line.size()) return true;
    const std::size_t begin = at;
    while (at < line.size() && !is_space(line[at]) && line[at] != '"' && line[at] != '\'') ++at;
    if (at == line.size() || is_space(line[at])) {
      arguments->push_back(line.substr(begin, at - begin));
      continue;
    }
    std::string word(line.substr(begin, at - begin));
    const char quote = line[at++];
    if (!take_quoted(line, quote, &at, &word)) return false;
    arguments->push_back(unquoted->emplace_back(std::move(word)));
  }
}

}  // namespace memento
