// Bytes that nobody can guess, from the kernel. Any thread.
#pragma once

#include <sys/random.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace memento {

/// REQUIRES: at most 256 bytes; getrandom(2) neither fails nor gives less of so few, on a kernel that has it.
template <class T, std::size_t kCount>
void fill_random(std::array<T, kCount>& bytes) {
  static_assert(sizeof bytes <= 256);
  if (getrandom(bytes.data(), sizeof bytes, 0) != sizeof bytes) std::abort();
}

/// Not 0.
inline std::uint64_t random_number() {
  std::array<std::uint64_t, 1> number{};
  while (number[0] == 0) fill_random(number);
  return number[0];
}

}  // namespace memento
