// See reply.h. Aggregates that are not whole yet are a stack of frames, so depth costs no recursion and a
// reply is parsed once however small the pieces come. RESP3 as in its specification, without streamed strings
// and aggregates, which no server sends.
#include "cli/show/reply.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

namespace memento::cli {
namespace {

constexpr std::size_t kLineLimitBytes = 64 * 1024;  ///< of a line in RESP: lengths, statuses, errors
constexpr std::int64_t kNotALength = -2;
constexpr std::size_t kCompactBytes = 256 * 1024;

std::optional<std::int64_t> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size())
    return std::nullopt;
  return number;
}

/// A byte as an error message shows it.
std::string shown(char c) {
  if (c >= ' ' && c <= '~') return std::string("'") + c + "'";
  char text[8];
  std::snprintf(text, sizeof text, "0x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
  return text;
}

std::string quoted(std::string_view line) {
  std::string text;
  for (const char c : line.substr(0, 40)) text += c >= ' ' && c <= '~' ? c : '?';
  return "\"" + text + "\"";
}

}  // namespace

const Reply* Reply::field(std::string_view name) const {
  for (std::size_t i = 0; i + 1 < elements.size(); i += 2) {
    if (elements[i].text == name) return &elements[i + 1];
  }
  return nullptr;
}

std::string Reply::to_text() const {
  if (type == ReplyType::kInteger) return std::to_string(integer);
  if (type == ReplyType::kBoolean) return integer != 0 ? "true" : "false";
  return text;
}

void ReplyParser::feed(std::string_view bytes) {
  if (position_ > 0 && (position_ == buffer_.size() || position_ >= kCompactBytes)) {
    buffer_.erase(0, position_);
    scanned_ -= std::min(scanned_, position_);
    position_ = 0;
  }
  buffer_.append(bytes);
}

ReplyParser::Outcome ReplyParser::next(Reply* reply) {
  if (!error_.empty()) return Outcome::kBroken;
  return is_text_ ? next_text(reply) : next_resp(reply);
}

ReplyParser::Outcome ReplyParser::next_text(Reply* reply) {
  const std::size_t end = buffer_.find("\r\n", std::max(scanned_, position_));
  if (end == std::string::npos) {
    // The last byte may be the \r whose \n is still to come.
    scanned_ = std::max(position_, buffer_.empty() ? 0 : buffer_.size() - 1);
    if (buffer_.size() - position_ > limits_.reply_bytes) return broken("a reply that is too long");
    return Outcome::kIncomplete;
  }
  const std::string_view line = std::string_view(buffer_).substr(position_, end - position_);
  *reply = Reply{};
  const bool is_error =
      line.starts_with("(error)") || line == "(Unknown command)" || line == "(Out of memory)";
  if (line != "(null)") {
    reply->type = is_error ? ReplyType::kError : ReplyType::kText;
    reply->text = line;
  }
  position_ = scanned_ = end + 2;
  return Outcome::kReply;
}

ReplyParser::Outcome ReplyParser::next_resp(Reply* reply) {
  for (;;) {
    Reply value;
    bool is_value = false;
    const Outcome outcome = parse_one(&value, &is_value);
    if (outcome != Outcome::kReply) return outcome;
    // Each turn has a value of its own, which the analyzer does not see.
    if (is_value && place(std::move(value), reply)) {  // NOLINT(clang-analyzer-cplusplus.Move)
      kept_bytes_ = 0;
      return Outcome::kReply;
    }
  }
}

ReplyParser::Outcome ReplyParser::parse_one(Reply* value, bool* is_value) {
  const std::size_t end = buffer_.find("\r\n", std::max(scanned_, position_));
  if (end == std::string::npos) {
    scanned_ = std::max(position_, buffer_.empty() ? 0 : buffer_.size() - 1);
    if (buffer_.size() - position_ > kLineLimitBytes) {
      return broken("a line that does not end, beginning with " +
                    quoted(std::string_view(buffer_).substr(position_)));
    }
    return Outcome::kIncomplete;
  }
  if (end == position_) return broken("an empty line where a reply should begin");
  if (end - position_ > kLineLimitBytes) {
    return broken("a line that does not end, beginning with " +
                  quoted(std::string_view(buffer_).substr(position_)));
  }
  const char type = buffer_[position_];
  const std::string_view line = std::string_view(buffer_).substr(position_ + 1, end - position_ - 1);
  const std::size_t line_bytes = end + 2 - position_;

  Outcome outcome = Outcome::kReply;
  *is_value = true;
  switch (type) {
    case '$':
    case '!':
    case '=':
      return parse_bulk(type, line, line_bytes, value);
    case '*':
    case '~':
    case '%':
    case '>':
    case '|':
      outcome = begin_aggregate(type, line, value, is_value);
      break;
    default:
      outcome = parse_scalar(type, line, value);
  }
  if (outcome == Outcome::kReply) position_ = scanned_ = position_ + line_bytes;
  return outcome;
}

ReplyParser::Outcome ReplyParser::parse_scalar(char type, std::string_view line, Reply* value) {
  switch (type) {
    case '+':
      value->type = ReplyType::kStatus;
      break;
    case '-':
      value->type = ReplyType::kError;
      break;
    case ',':
      value->type = ReplyType::kDouble;
      break;
    case '(':
      value->type = ReplyType::kBigNumber;
      break;
    case ':':
      value->type = ReplyType::kInteger;
      if (const auto number = parse_number(line)) {
        value->integer = *number;
        break;
      }
      return broken("the integer " + quoted(line));
    case '_':
      if (!line.empty()) return broken("a nil with " + quoted(line));
      break;
    case '#':
      if (line != "t" && line != "f") return broken("the boolean " + quoted(line));
      value->type = ReplyType::kBoolean;
      value->integer = line == "t" ? 1 : 0;
      break;
    default:
      return broken("the byte " + shown(type) + " where a reply should begin");
  }
  if (value->type != ReplyType::kInteger && value->type != ReplyType::kBoolean) value->text = line;
  return charge(sizeof(Reply) + line.size()) ? Outcome::kReply : Outcome::kBroken;
}

ReplyParser::Outcome ReplyParser::parse_bulk(char type, std::string_view line, std::size_t line_bytes,
                                             Reply* value) {
  const std::int64_t length_bytes = parse_number(line).value_or(kNotALength);
  if (length_bytes < -1) return broken("the length " + quoted(line));
  if (length_bytes == -1) {
    if (type != '$') return broken("the length " + quoted(line));
    position_ = scanned_ = position_ + line_bytes;
    return charge(sizeof(Reply)) ? Outcome::kReply : Outcome::kBroken;
  }
  const auto wanted_bytes = static_cast<std::size_t>(length_bytes);
  if (wanted_bytes > limits_.reply_bytes)
    return broken("a string of " + std::to_string(wanted_bytes) + " bytes");
  const std::size_t begin = position_ + line_bytes;
  if (buffer_.size() < begin + wanted_bytes + 2) return Outcome::kIncomplete;
  std::string_view bytes = std::string_view(buffer_).substr(begin, wanted_bytes);
  if (buffer_.compare(begin + wanted_bytes, 2, "\r\n") != 0)
    return broken("a string that is longer than its length says");
  value->type = type == '$' ? ReplyType::kBulk : type == '!' ? ReplyType::kError : ReplyType::kVerbatim;
  if (type == '=') {
    if (bytes.size() < 4 || bytes[3] != ':') return broken("a verbatim string without its format");
    bytes.remove_prefix(4);
  }
  value->text = bytes;
  position_ = scanned_ = begin + wanted_bytes + 2;
  return charge(sizeof(Reply) + wanted_bytes) ? Outcome::kReply : Outcome::kBroken;
}

ReplyParser::Outcome ReplyParser::begin_aggregate(char type, std::string_view line, Reply* value,
                                                  bool* is_value) {
  const std::int64_t count = parse_number(line).value_or(kNotALength);
  if (count < -1 || (count == -1 && type != '*')) {
    return broken("the count " + quoted(line));
  }
  if (!charge(sizeof(Frame))) return Outcome::kBroken;
  if (count == -1) return Outcome::kReply;  // RESP2's array that is not there

  const bool is_attribute = type == '|';
  const bool has_pairs = type == '%' || is_attribute;
  value->type = type == '*'   ? ReplyType::kArray
                : type == '~' ? ReplyType::kSet
                : type == '>' ? ReplyType::kPush
                              : ReplyType::kMap;
  if (count == 0) {
    *is_value = !is_attribute;
    return Outcome::kReply;
  }
  if (frames_.size() >= limits_.depth) {
    return broken("more than " + std::to_string(limits_.depth) + " arrays within each other");
  }
  const std::uint64_t missing = static_cast<std::uint64_t>(count) * (has_pairs ? 2 : 1);
  frames_.push_back(Frame{std::move(*value), missing, is_attribute});
  *is_value = false;
  return Outcome::kReply;
}

bool ReplyParser::place(Reply value, Reply* whole) {
  for (;;) {
    if (frames_.empty()) {
      *whole = std::move(value);
      return true;
    }
    Frame& frame = frames_.back();
    frame.reply.elements.push_back(std::move(value));
    if (--frame.missing > 0) return false;
    value = std::move(frame.reply);
    const bool is_dropped = frame.is_attribute;
    frames_.pop_back();
    if (is_dropped) return false;
  }
}

ReplyParser::Outcome ReplyParser::broken(std::string message) {
  error_ = "the server sent " + std::move(message);
  return Outcome::kBroken;
}

bool ReplyParser::charge(std::size_t bytes) {
  kept_bytes_ += bytes;
  if (kept_bytes_ <= limits_.reply_bytes) return true;
  broken("a reply of more than " + std::to_string(limits_.reply_bytes >> 20) + " MiB");
  return false;
}

}  // namespace memento::cli
