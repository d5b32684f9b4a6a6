// See rdb_format.h.
#include "worker/wire/rdb_format.h"

#include <liblzf/lzf.h>

#include <limits>

namespace memento {
namespace {

// The first byte of a length.
constexpr unsigned kFourBytes = 0x80;
constexpr unsigned kEightBytes = 0x81;

void append_high_first(std::string* bytes, std::uint64_t number, std::size_t count) {
  for (std::size_t i = count; i > 0; --i) bytes->push_back(static_cast<char>(number >> 8 * (i - 1) & 0xff));
}
std::uint64_t high_first(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

}  // namespace

void append_low_first(std::string* bytes, std::uint64_t number, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bytes->push_back(static_cast<char>(number >> 8 * i & 0xff));
}

std::uint64_t low_first(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i > 0; --i)
    number = number << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return number;
}

void append_rdb_length(std::string* bytes, std::uint64_t length) {
  if (length < 1 << 6) return append_high_first(bytes, length, 1);
  if (length < 1 << 14) return append_high_first(bytes, length | 1 << 14, 2);
  const bool is_short = length <= std::numeric_limits<std::uint32_t>::max();
  bytes->push_back(static_cast<char>(is_short ? kFourBytes : kEightBytes));
  append_high_first(bytes, length, is_short ? 4 : 8);
}

std::optional<std::string_view> RdbReader::take(std::uint64_t count) {
  if (count > bytes_.size()) return std::nullopt;
  const std::string_view taken = bytes_.substr(0, count);
  bytes_.remove_prefix(count);
  return taken;
}

std::optional<unsigned> RdbReader::take_byte() {
  const auto taken = take(1);
  if (!taken) return std::nullopt;
  return static_cast<unsigned char>(taken->front());
}

std::optional<std::uint64_t> RdbReader::take_length(unsigned first) {
  if (first < 0x40) return first;
  if (first < 0x80) {
    const auto second = take_byte();
    if (!second) return std::nullopt;
    return (first & 0x3f) << 8 | *second;
  }
  if (first != kFourBytes && first != kEightBytes) return std::nullopt;
  const auto bytes = take(first == kFourBytes ? 4 : 8);
  if (!bytes) return std::nullopt;
  return high_first(*bytes);
}

std::optional<RdbReader::Compressed> RdbReader::take_compressed() {
  const auto take_whole_length = [&]() -> std::optional<std::uint64_t> {
    const auto first = take_byte();
    return first ? take_length(*first) : std::nullopt;
  };
  const auto compressed_bytes = take_whole_length();
  const auto text_bytes = take_whole_length();
  if (!compressed_bytes || !text_bytes || *compressed_bytes == 0 || *text_bytes == 0) return std::nullopt;
  const auto bytes = take(*compressed_bytes);
  if (!bytes) return std::nullopt;
  return Compressed{*bytes, *text_bytes};
}

std::optional<std::string> decompress(const RdbReader::Compressed& compressed) {
  // Three bytes become 264 at most: who names more wants memory for nothing.
  constexpr std::uint64_t kLargestGrowth = 264 / 3 + 1;
  if (compressed.text_bytes > compressed.bytes.size() * kLargestGrowth ||
      compressed.text_bytes > std::numeric_limits<unsigned>::max())
    return std::nullopt;
  std::string text(compressed.text_bytes, '\0');
  const unsigned written =
      lzf_decompress(compressed.bytes.data(), static_cast<unsigned>(compressed.bytes.size()), text.data(),
                     static_cast<unsigned>(text.size()));
  if (written != text.size()) return std::nullopt;
  return text;
}

}  // namespace memento
