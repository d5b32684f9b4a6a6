// Words of a request as they travel between nodes: how many, the length of each (32 bits each), the bytes one after the
// other. Any process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace memento {

inline std::size_t word_list_bytes(std::span<const std::string_view> words) {
  std::size_t bytes = sizeof(std::uint32_t) * (1 + words.size());
  for (const std::string_view word : words) bytes += word.size();
  return bytes;
}

/// Writes word_list_bytes(words) bytes; returns what is behind them.
inline char* write_word_list(std::span<const std::string_view> words, char* to) {
  const auto put = [&to](std::size_t number) {
    const auto narrow = static_cast<std::uint32_t>(number);
    std::memcpy(to, &narrow, sizeof narrow);
    to += sizeof narrow;
  };
  put(words.size());
  for (const std::string_view word : words) put(word.size());
  for (const std::string_view word : words) {
    if (!word.empty()) std::memcpy(to, word.data(), word.size());
    to += word.size();
  }
  return to;
}

/// Appends the words of the list at the front of `bytes`, which point into it, and cuts it off. False: it is no list.
inline bool take_word_list(std::string_view* bytes, std::vector<std::string_view>* words) {
  const auto number_at = [&](std::size_t place) {
    std::uint32_t number = 0;
    std::memcpy(&number, bytes->data() + place * sizeof number, sizeof number);
    return static_cast<std::size_t>(number);
  };
  constexpr std::size_t kNumberBytes = sizeof(std::uint32_t);
  if (bytes->size() < kNumberBytes) return false;
  const std::size_t count = number_at(0);
  if (count > bytes->size() / kNumberBytes - 1) return false;
  std::size_t at = kNumberBytes * (1 + count);
  for (std::size_t i = 1; i <= count; ++i) {
    const std::size_t size = number_at(i);
    if (size > bytes->size() - at) return false;
    words->push_back(bytes->substr(at, size));
    at += size;
  }
  bytes->remove_prefix(at);
  return true;
}

}  // namespace memento
