// A server's replies as typed values, and the parser for them: RESP2, RESP3, and the text protocol.
//
// The server is not trusted. The parser takes bytes as they come, cut anywhere; it reserves nothing by a
// length or a count that the server names, nests no deeper than a limit, and keeps no more of one reply than
// a limit in bytes. Bytes that are no reply are an error that says what was found; nothing behind them can be
// understood, so the connection has to end.
//
// In the text protocol a reply ends at \r\n and carries no type: it is kError or kNil by its words, else
// kText. A value that itself holds \r\n can't be told from two replies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memento::cli {

enum class ReplyType : std::uint8_t {
  kStatus,
  kError,
  kInteger,
  kBulk,
  kNil,
  kArray,
  kSet,
  kMap,   ///< elements: key, value, key, value ...
  kPush,  ///< answers no request
  kDouble,
  kBoolean,
  kBigNumber,
  kVerbatim,  ///< text for people; the format's name is dropped
  kText,      ///< a reply of the text protocol
};

struct Reply {
  ReplyType type = ReplyType::kNil;
  std::string text;          ///< what is not an aggregate, nil or integer; a double as it was written
  std::int64_t integer = 0;  ///< kInteger; kBoolean: 0 or 1
  std::vector<Reply> elements;

  bool is_error() const { return type == ReplyType::kError; }
  bool is_aggregate() const {
    return type == ReplyType::kArray || type == ReplyType::kSet || type == ReplyType::kMap ||
           type == ReplyType::kPush;
  }
  /// The value of a map's field, or of an array that lists fields and values; nullptr: there is none.
  const Reply* field(std::string_view name) const;
  /// The text of what is not an aggregate: an integer's digits, nothing for nil.
  std::string to_text() const;
};

enum class WireProtocol : std::uint8_t { kText, kResp2, kResp3 };

struct ReplyLimits {
  std::size_t depth = 64;
  std::size_t reply_bytes = std::size_t{2} << 30;  ///< memory of one reply; a value is 512 MiB at most
};

class ReplyParser {
 public:
  enum class Outcome : std::uint8_t { kReply, kIncomplete, kBroken };

  explicit ReplyParser(bool is_text = false, ReplyLimits limits = {}) : is_text_(is_text), limits_(limits) {}

  /// Adds bytes the server sent.
  void feed(std::string_view bytes);
  /// The next whole reply. kBroken is final.
  Outcome next(Reply* reply);

  /// How many bytes were fed and are not yet part of a whole reply.
  std::size_t pending_bytes() const { return buffer_.size() - position_ + (frames_.empty() ? 0 : 1); }
  const std::string& error() const { return error_; }
  bool is_text() const { return is_text_; }

 private:
  /// An aggregate whose elements are still coming.
  struct Frame {
    Reply reply;
    std::uint64_t missing;
    bool is_attribute;  ///< dropped when it is whole
  };

  Outcome next_text(Reply* reply);
  Outcome next_resp(Reply* reply);
  /// One scalar, or the beginning of an aggregate, which becomes a frame.
  Outcome parse_one(Reply* value, bool* is_value);
  Outcome parse_scalar(char type, std::string_view line, Reply* value);
  Outcome parse_bulk(char type, std::string_view line, std::size_t line_bytes, Reply* value);
  Outcome begin_aggregate(char type, std::string_view line, Reply* value, bool* is_value);
  /// Puts a value where it belongs; true when that made a whole reply.
  bool place(Reply value, Reply* whole);
  Outcome broken(std::string message);
  bool charge(std::size_t bytes);

  bool is_text_;
  ReplyLimits limits_;
  std::string buffer_;
  std::size_t position_ = 0;  ///< buffer_ up to here was taken
  std::size_t scanned_ = 0;   ///< no line end before this
  std::size_t kept_bytes_ = 0;
  std::vector<Frame> frames_;
  std::string error_;
};

}  // namespace memento::cli
