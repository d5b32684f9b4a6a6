// ReplyScanner: counts the replies in a stream of received bytes, without keeping them. One per connection.
//
// A reply ends in \r\n, wherever the pieces were cut. A reply beginning with '(' is an error unless it is
// "(null)"; the benchmark's own values never begin that way. The first error's text is kept, to be shown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace memento {

class ReplyScanner {
 public:
  /// Takes the next piece; returns how many replies ended in it.
  std::size_t feed(std::string_view piece) {
    std::size_t ended_count = 0;
    while (!piece.empty()) {
      const void* found = std::memchr(piece.data(), '\n', piece.size());
      const std::size_t size =
          found == nullptr ? piece.size()
                           : static_cast<std::size_t>(static_cast<const char*>(found) - piece.data()) + 1;
      if (prefix_size_ < kPrefixSizeBytes) keep_prefix(piece.substr(0, size));
      const bool has_return = size >= 2 ? piece[size - 2] == '\r' : last_byte_ == '\r';
      if (found != nullptr && has_return) {
        ++ended_count;
        end_reply();
      }
      last_byte_ = piece[size - 1];
      piece.remove_prefix(size);
    }
    return ended_count;
  }

  std::uint64_t error_count() const { return error_count_; }
  const std::string& first_error() const { return first_error_; }

 private:
  static constexpr std::size_t kPrefixSizeBytes = 80;

  void keep_prefix(std::string_view bytes) {
    const std::string_view kept = bytes.substr(0, kPrefixSizeBytes - prefix_size_);
    std::memcpy(prefix_ + prefix_size_, kept.data(), kept.size());
    prefix_size_ += kept.size();
  }

  void end_reply() {
    if (prefix_[0] == '(') {
      std::string_view text(prefix_, prefix_size_);
      if (text.ends_with("\r\n")) text.remove_suffix(2);
      if (text != "(null)") {
        ++error_count_;
        if (first_error_.empty()) first_error_ = text;
      }
    }
    prefix_size_ = 0;
  }

  char prefix_[kPrefixSizeBytes] = {};  ///< the current reply's beginning
  std::size_t prefix_size_ = 0;
  char last_byte_ = '\0';
  std::uint64_t error_count_ = 0;
  std::string first_error_;
};

}  // namespace memento
