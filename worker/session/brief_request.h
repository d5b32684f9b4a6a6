// Brief requests: whole ones of a plain command with up to three words behind its name, as nearly all are.
// They are told from the bytes at one pass, and their words go to places that are there already. Whatever is
// not as usual is left to the general parsers (resp_codec.h, text_codec.h), which say the same of these and
// more. Runs in workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "worker/command/command_table.h"
#include "worker/wire/short_length.h"
#include "worker/wire/short_line.h"

namespace memento {

inline constexpr std::size_t kBriefWords = 4;

struct BriefRequest {
  const Command* command = nullptr;  ///< nullptr: it is something else
  std::size_t word_count = 0;
  std::size_t bytes = 0;  ///< of the input
};

/// REQUIRES: kBriefWords places at `words`.
[[gnu::always_inline]] inline BriefRequest take_brief_line(const ShortLine& line, std::string_view* words) {
  const std::size_t name_bytes = line.name_bytes();
  if (name_bytes - 1 >= 8) [[unlikely]]
    return {};
  const Command* const command = kBriefCommands.find(line.head(), name_bytes);
  if (command == nullptr) [[unlikely]]
    return {};
  const std::size_t count =
      line.split_plainly<kBriefWords>(static_cast<std::size_t>(command->text_rest), words);
  if (count == 0 || !command->accepts(count)) [[unlikely]]
    return {};
  return {command, count, line.bytes_with_end()};
}

/// Words of less than 100 bytes. REQUIRES: `bytes` begin where a request begins, and kBriefWords places at
/// `words`.
[[gnu::always_inline]] inline BriefRequest take_brief_frame(std::string_view bytes, std::string_view* words) {
  constexpr std::size_t kFrontBytes = 8;
  constexpr std::uint64_t kFront = 0x0a0d30240a0d302a;      // *0\r\n$0\r\n
  constexpr std::uint64_t kButDigits = 0xfffff0fffffff0ff;  // a digit's lower half is its value
  const auto load = [&](std::size_t at) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    return word;
  };
  if (bytes.size() < 2 * kFrontBytes) [[unlikely]]
    return {};
  const std::uint64_t front = load(0);
  const std::size_t count = front >> 8 & 15;
  const std::size_t name_bytes = front >> 40 & 15;
  if ((front & kButDigits) != kFront || count - 2 > kBriefWords - 2 || name_bytes - 1 >= 8) [[unlikely]]
    return {};
  const Command* const command = kBriefCommands.find(load(kFrontBytes), name_bytes);
  if (command == nullptr || !command->accepts(count)) [[unlikely]]
    return {};
  words[0] = {bytes.data() + kFrontBytes, name_bytes};
  std::size_t at = kFrontBytes + name_bytes + 2;
  for (std::size_t i = 1; i < count; ++i) {
    if (at + 8 > bytes.size()) [[unlikely]]
      return {};
    std::int64_t size = 0;
    const std::size_t header_bytes = take_short_length(bytes.data() + at, '$', &size);
    at += header_bytes;
    const auto word_bytes = static_cast<std::size_t>(size);
    if (header_bytes == 0 || at + word_bytes + 2 > bytes.size()) [[unlikely]]
      return {};
    words[i] = {bytes.data() + at, word_bytes};
    at += word_bytes + 2;
  }
  return {command, count, at};
}

}  // namespace memento
