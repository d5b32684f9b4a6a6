// Replies in RESP: the frames as bytes. Which type a reply has in RESP2 and RESP3 is reply_writer's business.
// Runs in workers.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "shm/os/byte_buffer.h"
#include "shm/os/copy_bytes.h"

namespace memento::resp {

inline constexpr std::size_t kHeaderBytes = 24;  // a type, a 64-bit number, a line end

/// Writes type, number and line end; returns what is behind them. REQUIRES: kHeaderBytes of room.
inline char* put_header(char* at, char type, std::int64_t number) {
  *at++ = type;
  if (number >= 0 && number < 10) {
    *at++ = static_cast<char>('0' + number);
  } else if (number >= 10 && number < 100) {
    *at++ = static_cast<char>('0' + number / 10);
    *at++ = static_cast<char>('0' + number % 10);
  } else {
    at = std::to_chars(at, at + kHeaderBytes - 3, number).ptr;
  }
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

/// An aggregate's or a blob's header, or an integer (type ':').
inline void header(ByteBuffer& output, char type, std::size_t number) {
  char* const at = output.reserve(kHeaderBytes);
  output.commit(static_cast<std::size_t>(put_header(at, type, static_cast<std::int64_t>(number)) - at));
}

inline void integer(ByteBuffer& output, std::int64_t number) {
  char* const at = output.reserve(kHeaderBytes);
  output.commit(static_cast<std::size_t>(put_header(at, ':', number) - at));
}

/// REQUIRES: no line end in `line`.
inline void simple(ByteBuffer& output, char type, std::string_view line) {
  char* at = output.reserve(line.size() + 3);
  *at++ = type;
  std::memcpy(at, line.data(), line.size());
  at += line.size();
  at[0] = '\r';
  at[1] = '\n';
  output.commit(line.size() + 3);
}

inline void bulk(ByteBuffer& output, std::string_view bytes) {
  char* const begin = output.reserve(kHeaderBytes + bytes.size() + 2);
  char* at = put_header(begin, '$', static_cast<std::int64_t>(bytes.size()));
  copy_bytes(at, bytes);
  at += bytes.size();
  *at++ = '\r';
  *at++ = '\n';
  output.commit(static_cast<std::size_t>(at - begin));
}

}  // namespace memento::resp
