// Bytes as the headers' worked examples write them.
#pragma once

#include <string>
#include <string_view>

namespace memento::testing {

inline std::string from_hex(std::string_view text) {
  std::string bytes;
  int digits = 0;
  unsigned value = 0;
  for (const char c : text) {
    if (c == ' ') continue;
    value = value << 4 | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    if (++digits % 2 == 0) bytes += static_cast<char>(value & 0xff);
  }
  return bytes;
}

}  // namespace memento::testing
