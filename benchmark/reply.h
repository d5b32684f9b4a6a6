// Reply: what a reply scanner found. A scanner takes a connection's bytes in pieces, cut anywhere, and calls
// back once for each reply; it keeps no more of it than it must.
//
//   bool feed(std::string_view piece, OnReply on_reply)   on_reply(const Reply&); false: not this protocol
//
// `text` is the line or the value; it lives until on_reply returns. Of a value cut over pieces it is empty,
// and of a line that was cut only the first kKeptSizeBytes, unless the scanner was made to keep values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace memento {

enum class ReplyKind : std::uint8_t {
  kValue,  ///< a value, or in the text protocol any other success
  kStatus,
  kNil,
  kError,
};

struct Reply {
  ReplyKind kind = ReplyKind::kValue;
  std::string_view text;
};

/// A line that may be cut over pieces. It ends in \n; a \r before it is taken off.
class CutLine {
 public:
  static constexpr std::size_t kKeptSizeBytes = 80;

  explicit CutLine(bool keeps_all) : keeps_all_(keeps_all) {}

  /// Adds the part up to and with the \n at `end`, or all of the piece when there is none yet.
  void add(std::string_view part) {
    size_bytes_ += part.size();
    kept_.append(keeps_all_ ? part : part.substr(0, kKeptSizeBytes - std::min(kKeptSizeBytes, kept_.size())));
    last_byte_ = part.empty() ? last_byte_ : part.back();
  }

  bool is_empty() const { return size_bytes_ == 0; }
  char last_byte() const { return last_byte_; }
  std::size_t size_bytes() const { return size_bytes_; }
  /// The line without its last `end_size_bytes` bytes.
  std::string_view text(std::size_t end_size_bytes) const {
    return std::string_view(kept_).substr(0, size_bytes_ - end_size_bytes);
  }
  void clear() {
    kept_.clear();
    size_bytes_ = 0;
    last_byte_ = '\0';
  }

 private:
  std::string kept_;
  std::size_t size_bytes_ = 0;
  char last_byte_ = '\0';
  bool keeps_all_;
};

/// A line with \r\n or \n at its end, taken from the front of `piece`, which is shortened. False: its end is
/// still to come. `line` is valid until the next call; the caller clears `cut` before that.
inline bool take_line(std::string_view& piece, CutLine& cut, std::string_view& line) {
  const std::size_t end = piece.find('\n');
  const std::string_view part = piece.substr(0, end == std::string_view::npos ? piece.size() : end + 1);
  piece.remove_prefix(part.size());
  if (end == std::string_view::npos) {
    cut.add(part);
    return false;
  }
  if (cut.is_empty()) {
    line = part.substr(0, part.size() - 1);
  } else {
    cut.add(part);
    line = cut.text(1);
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

/// A value of known size with \r\n after it, which may be cut over pieces.
class CutValue {
 public:
  explicit CutValue(bool keeps_all) : keeps_all_(keeps_all) {}

  void begin(std::size_t value_size_bytes) {
    left_bytes_ = value_size_bytes + kEndSizeBytes;
    is_cut_ = false;
    kept_.clear();
  }
  /// Takes from the front of `piece`. False: the rest is still to come.
  bool take(std::string_view& piece, std::string_view& value) {
    const std::string_view part = piece.substr(0, left_bytes_);
    piece.remove_prefix(part.size());
    left_bytes_ -= part.size();
    if (left_bytes_ == 0 && !is_cut_) {
      value = part.substr(0, part.size() - kEndSizeBytes);
      return true;
    }
    is_cut_ = true;
    if (keeps_all_) kept_.append(part);
    if (left_bytes_ > 0) return false;
    value = keeps_all_ ? std::string_view(kept_).substr(0, kept_.size() - kEndSizeBytes) : std::string_view();
    return true;
  }

 private:
  static constexpr std::size_t kEndSizeBytes = 2;

  std::string kept_;
  std::size_t left_bytes_ = 0;
  bool is_cut_ = false;
  bool keeps_all_;
};

}  // namespace memento
