// TextScanner: replies of memento's text protocol. A reply ends in \r\n, lines inside it in a bare \n. One
// that begins with '(' is an error unless it is "(null)"; the benchmark's own values never begin that way.
#pragma once

#include "benchmark/reply.h"

namespace memento {

class TextScanner {
 public:
  explicit TextScanner(bool keeps_values = false) : cut_(keeps_values) {}

  template <class OnReply>
  bool feed(std::string_view piece, OnReply&& on_reply) {
    while (!piece.empty()) {
      const std::size_t size_bytes = reply_size(piece);
      const bool is_whole = size_bytes != std::string_view::npos;
      const std::string_view part = piece.substr(0, size_bytes);
      piece.remove_prefix(part.size());
      if (!is_whole) {
        cut_.add(part);
      } else if (cut_.is_empty()) {
        on_reply(classified(part.substr(0, part.size() - 2)));
      } else {
        cut_.add(part);
        on_reply(classified(cut_.text(2)));
        cut_.clear();
      }
    }
    return true;
  }

 private:
  /// Bytes of `piece` to the end of the current reply; npos when it doesn't end there.
  std::size_t reply_size(std::string_view piece) const {
    for (std::size_t from = 0;;) {
      const std::size_t end = piece.find('\n', from);
      if (end == std::string_view::npos) return end;
      if ((end > 0 ? piece[end - 1] : cut_.last_byte()) == '\r') return end + 1;
      from = end + 1;
    }
  }

  static Reply classified(std::string_view text) {
    if (!text.starts_with('(')) return {ReplyKind::kValue, text};
    return {text == "(null)" ? ReplyKind::kNil : ReplyKind::kError, text};
  }

  CutLine cut_;
};

}  // namespace memento
