// MemcachedScanner: replies of memcached's text protocol to `get` of one key and to storage commands.
//
// A hit is "VALUE key flags bytes", the value, and "END"; a miss is "END" alone.
#pragma once

#include <charconv>

#include "benchmark/reply.h"

namespace memento {

class MemcachedScanner {
 public:
  explicit MemcachedScanner(bool keeps_values = false) : line_cut_(true), value_(keeps_values) {}

  template <class OnReply>
  bool feed(std::string_view piece, OnReply&& on_reply) {
    while (!piece.empty()) {
      if (state_ == State::kValue) {
        std::string_view value;
        if (!value_.take(piece, value)) break;
        // The reply ends with END, which is almost always in the same piece; the value must outlive this one
        // else.
        if (piece.starts_with(kEnd)) {
          piece.remove_prefix(kEnd.size());
          state_ = State::kLine;
          on_reply(Reply{ReplyKind::kValue, value});
        } else {
          kept_value_ = value;
          state_ = State::kEnd;
        }
        continue;
      }
      std::string_view line;
      if (!take_line(piece, line_cut_, line)) break;
      const bool is_good =
          state_ == State::kEnd ? end_value(line, on_reply) : take_reply_line(line, on_reply);
      if (!is_good) return false;
      line_cut_.clear();
    }
    return true;
  }

 private:
  enum class State { kLine, kValue, kEnd };
  static constexpr std::string_view kEnd = "END\r\n";

  template <class OnReply>
  bool end_value(std::string_view line, OnReply&& on_reply) {
    if (line != "END") return false;
    state_ = State::kLine;
    on_reply(Reply{ReplyKind::kValue, kept_value_});
    return true;
  }

  template <class OnReply>
  bool take_reply_line(std::string_view line, OnReply&& on_reply) {
    if (line.starts_with("VALUE ")) {
      const std::string_view digits = line.substr(line.rfind(' ') + 1);
      std::size_t size_bytes = 0;
      const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), size_bytes);
      if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) return false;
      value_.begin(size_bytes);
      state_ = State::kValue;
    } else if (line == "END") {
      on_reply(Reply{ReplyKind::kNil, line});
    } else if (line == "STORED") {
      on_reply(Reply{ReplyKind::kStatus, line});
    } else if (line == "ERROR" || line == "NOT_STORED" || line.starts_with("SERVER_ERROR") ||
               line.starts_with("CLIENT_ERROR")) {
      on_reply(Reply{ReplyKind::kError, line});
    } else {
      return false;
    }
    return true;
  }

  CutLine line_cut_;
  CutValue value_;
  std::string kept_value_;
  State state_ = State::kLine;
};

}  // namespace memento
