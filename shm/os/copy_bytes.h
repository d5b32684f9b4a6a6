// Copying of bytes that are mostly few.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace memento {

/// memcpy without a call for what most keys and values are: two words, or two vectors, which overlap.
inline void copy_bytes(char* to, std::string_view bytes) {
  const std::size_t size = bytes.size();
  if (size >= 16 && size <= 32) {
    struct Half {
      std::uint64_t low, high;
    } first, last;
    std::memcpy(&first, bytes.data(), sizeof first);
    std::memcpy(&last, bytes.data() + size - sizeof last, sizeof last);
    std::memcpy(to, &first, sizeof first);
    std::memcpy(to + size - sizeof last, &last, sizeof last);
  } else if (size > 0) {
    std::memcpy(to, bytes.data(), size);
  }
}

}  // namespace memento
