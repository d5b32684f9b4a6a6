// RespScanner: replies in RESP2 and RESP3. Nested aggregates count as one reply, whose text is empty.
#pragma once

#include <charconv>

#include "benchmark/reply.h"

namespace memento {

class RespScanner {
 public:
  explicit RespScanner(bool keeps_values = false) : line_cut_(false), value_(keeps_values) {}

  template <class OnReply>
  bool feed(std::string_view piece, OnReply&& on_reply) {
    while (!piece.empty()) {
      Reply element;
      if (in_value_) {
        std::string_view value;
        if (!value_.take(piece, value)) break;
        in_value_ = false;
        element = {value_kind_, value};
      } else {
        std::string_view line;
        if (!take_line(piece, line_cut_, line)) break;
        const Step step = begin_element(line, element);
        if (step == Step::kBroken) return false;
        if (step == Step::kValueFollows) {
          line_cut_.clear();
          continue;
        }
      }
      end_element(element, on_reply);
      line_cut_.clear();
    }
    return true;
  }

 private:
  enum class Step { kDone, kValueFollows, kBroken };

  /// Takes an element's first line.
  Step begin_element(std::string_view line, Reply& element) {
    if (line.empty()) return Step::kBroken;
    const std::string_view rest = line.substr(1);
    switch (line.front()) {
      case '+':
        element = {ReplyKind::kStatus, rest};
        return Step::kDone;
      case '-':
        element = {ReplyKind::kError, rest};
        return Step::kDone;
      case '_':
        element = {ReplyKind::kNil, rest};
        return Step::kDone;
      case ':':
      case '#':
      case ',':
      case '(':
        element = {ReplyKind::kValue, rest};
        return Step::kDone;
      default:
        return begin_sized(line.front(), rest, element);
    }
  }

  Step begin_sized(char type, std::string_view digits, Reply& element) {
    std::int64_t size = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || size < -1)
      return Step::kBroken;
    const bool is_value = type == '$' || type == '=' || type == '!';
    const bool is_aggregate = type == '*' || type == '~' || type == '%';
    if (!is_value && !is_aggregate) return Step::kBroken;
    if (size == -1) {
      element = {ReplyKind::kNil, {}};
      return Step::kDone;
    }
    if (is_value) {
      value_kind_ = type == '!' ? ReplyKind::kError : ReplyKind::kValue;
      value_.begin(static_cast<std::size_t>(size));
      in_value_ = true;
      return Step::kValueFollows;
    }
    const std::uint64_t inner_count = static_cast<std::uint64_t>(size) * (type == '%' ? 2 : 1);
    if (inner_count > 0) {
      // One more than is inside: end_element() of the aggregate itself takes one off.
      nested_left_ = (nested_left_ == 0 ? 1 : nested_left_) + inner_count;
    }
    element = {ReplyKind::kValue, {}};
    return Step::kDone;
  }

  template <class OnReply>
  void end_element(const Reply& element, OnReply&& on_reply) {
    if (nested_left_ == 0) {
      on_reply(element);
    } else if (--nested_left_ == 0) {
      on_reply(Reply{ReplyKind::kValue, {}});
    }
  }

  CutLine line_cut_;
  CutValue value_;
  ReplyKind value_kind_ = ReplyKind::kValue;
  std::uint64_t nested_left_ = 0;  ///< elements of the current aggregate still to come
  bool in_value_ = false;
};

}  // namespace memento
