// RESP requests: an array of bulk strings, `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`, or an inline line of words that
// may be quoted. Runs in workers.
//
// A request may come cut at any byte. Its words point into the input, nothing is copied; where an incomplete
// one stops is remembered, so that no byte of it is read twice however small the pieces come. Nothing is
// reserved by a length that the client names.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "worker/wire/text_codec.h"

namespace memento {

struct RespLimits {
  std::int64_t arguments;  ///< words of a request
  std::int64_t bulk_bytes;
  std::size_t request_bytes;  ///< of a request that is not whole yet
  bool is_authenticated;      ///< the other limits are the ordinary ones
};

class RespParser {
 public:
  enum class Outcome {
    kRequest,     ///< its words were appended, `taken` is its length; it may have no words
    kIncomplete,  ///< call again with more bytes behind the same ones
    kBroken,      ///< error() says how; the bytes behind it mean nothing
  };
  static constexpr std::size_t kLineLimitBytes = 64 * 1024;  ///< of an inline request, and of a length's line

  /// REQUIRES: bytes begin where a request begins, and if the last call answered kIncomplete, with the same
  /// bytes. `unquoted` keeps the words of an inline request that do not stand in the input as they are.
  Outcome parse(std::string_view bytes, const RespLimits& limits, Arguments* arguments, std::size_t* taken,
                std::deque<std::string>* unquoted);

  /// Nothing is known of an incomplete request.
  bool is_between_requests() const { return missing_ == 0; }
  /// "Protocol error: ..." of the last call that was kBroken.
  std::string error() const;
  /// Forgets what it knows of an incomplete request: it will be parsed from its first byte.
  void reset();

 private:
  struct Piece {
    std::size_t offset;
    std::size_t size;
  };

  Outcome parse_inline(std::string_view bytes, Arguments* arguments, std::size_t* taken,
                       std::deque<std::string>* unquoted);
  void put_pieces(std::string_view bytes, std::size_t first_argument, Arguments* arguments) const;
  Outcome broken(const char* reason, char got = 0);

  std::size_t position_ = 0;   ///< of the incomplete request: up to here it is known
  std::int64_t missing_ = 0;   ///< words still to come; 0: nothing is known of a request
  std::vector<Piece> pieces_;  ///< words that came
  const char* reason_ = nullptr;
  char got_ = 0;
};

/// Splits a line into words as shells do: "..." with \n \r \t \b \a \xHH and \" , '...' with \' . False: a
/// quote does not end, or something follows it without a space. A word that had to be changed is kept in
/// `unquoted`.
bool split_quoted_words(std::string_view line, Arguments* arguments, std::deque<std::string>* unquoted);

}  // namespace memento
