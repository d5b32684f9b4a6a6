// Writes and reads derived values: see value_text.h.
#include "benchmark/value_text.h"

#include <algorithm>
#include <charconv>

namespace memento {
namespace {

/// splitmix64 (S. Vigna): turns counters into well-mixed words.
std::uint64_t mixed(std::uint64_t word) {
  word += 0x9e3779b97f4a7c15;
  word = (word ^ word >> 30U) * 0xbf58476d1ce4e5b9;
  word = (word ^ word >> 27U) * 0x94d049bb133111eb;
  return word ^ word >> 31U;
}

}  // namespace

void append_value(std::string& out, std::uint64_t key, std::uint32_t sequence, std::size_t size_bytes) {
  const std::size_t end = out.size() + size_bytes;
  for (unsigned shift = 32; shift > 0 && out.size() < end; shift -= 4) {
    out.push_back("0123456789abcdef"[sequence >> (shift - 4) & 15U]);
  }
  std::uint64_t state = mixed(mixed(mixed(key) ^ sequence) ^ size_bytes);
  while (out.size() < end) {
    char letters[16];
    const std::uint64_t word = mixed(state++);
    for (unsigned index = 0; index < 16; ++index)
      letters[index] = static_cast<char>('a' + (word >> 4 * index & 15U));
    out.append(letters, std::min<std::size_t>(16, end - out.size()));
  }
}

std::optional<std::uint32_t> sequence_of(std::string_view value, std::uint64_t key, std::string& scratch) {
  if (value.size() < kVerifiableSizeBytes) return std::nullopt;
  std::uint32_t sequence = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + kSequenceSizeBytes, sequence, 16);
  if (parsed.ec != std::errc{} || parsed.ptr != value.data() + kSequenceSizeBytes) return std::nullopt;
  scratch.clear();
  append_value(scratch, key, sequence, value.size());
  return value == scratch ? std::optional(sequence) : std::nullopt;
}

}  // namespace memento
