// Lengths of RESP of one or two digits, as nearly all are, told from one load. Runs in workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace memento {

/// A type byte, one or two digits and \r\n: how many bytes that is, and the number; 0 when it is something
/// else. REQUIRES: eight bytes at `bytes`.
inline std::size_t take_short_length(const char* bytes, char type, std::int64_t* number) {
  constexpr std::uint64_t kOneDigit = 0xffff00ff;
  constexpr std::uint64_t kTwoDigits = 0xffff0000ff;
  constexpr std::uint64_t kLineEnd = '\r' | '\n' << 8;
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  const auto first = static_cast<std::uint8_t>((word >> 8) - '0');
  const auto second = static_cast<std::uint8_t>((word >> 16) - '0');
  const std::uint64_t wanted = static_cast<std::uint8_t>(type);
  if ((word & kOneDigit) == (wanted | kLineEnd << 16) && first <= 9) {
    *number = first;
    return 4;
  }
  if ((word & kTwoDigits) == (wanted | kLineEnd << 24) && first >= 1 && first <= 9 && second <= 9) {
    *number = first * 10 + second;
    return 5;
  }
  return 0;
}

}  // namespace memento
