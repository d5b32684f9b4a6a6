// See dump_format.h.
#include "worker/handlers/keys/dump_format.h"

#include <liblzf/lzf.h>
#include <xxhash.h>

#include <array>
#include <cstring>
#include <limits>

#include "worker/wire/crc64.h"

namespace memento {
namespace {

constexpr char kStringType = 0;
constexpr std::uint64_t kVersion = 10;         ///< what Redis 7.0 writes, and later ones take
constexpr std::uint64_t kVersionLimit = 1000;  ///< forks of Redis count on from other numbers
constexpr std::size_t kTrailerBytes = 10;      ///< version and checksum

// The first byte of a length.
constexpr unsigned kFourBytes = 0x80;
constexpr unsigned kEightBytes = 0x81;
constexpr unsigned kInteger8 = 0xc0;
constexpr unsigned kInteger16 = 0xc1;
constexpr unsigned kInteger32 = 0xc2;
constexpr unsigned kCompressed = 0xc3;

constexpr std::string_view kOldHead = "MS";
constexpr char kOldVersion = 1;
constexpr std::size_t kOldChecksumBytes = 8;

void append_low_first(std::string* bytes, std::uint64_t number, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bytes->push_back(static_cast<char>(number >> 8 * i & 0xff));
}
void append_high_first(std::string* bytes, std::uint64_t number, std::size_t count) {
  for (std::size_t i = count; i > 0; --i) bytes->push_back(static_cast<char>(number >> 8 * (i - 1) & 0xff));
}
std::uint64_t low_first(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i > 0; --i)
    number = number << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return number;
}
std::uint64_t high_first(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

void append_length(std::string* bytes, std::uint64_t length) {
  if (length < 1 << 6) return append_high_first(bytes, length, 1);
  if (length < 1 << 14) return append_high_first(bytes, length | 1 << 14, 2);
  const bool is_short = length <= std::numeric_limits<std::uint32_t>::max();
  bytes->push_back(static_cast<char>(is_short ? kFourBytes : kEightBytes));
  append_high_first(bytes, length, is_short ? 4 : 8);
}

/// Takes bytes from the front of a payload; none when there are too few.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::optional<std::string_view> take(std::uint64_t count) {
    if (count > bytes_.size()) return std::nullopt;
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  std::optional<unsigned> take_byte() {
    const auto taken = take(1);
    if (!taken) return std::nullopt;
    return static_cast<unsigned char>(taken->front());
  }
  /// A length that `first` begins; nothing: it is none, or cut.
  std::optional<std::uint64_t> take_length(unsigned first) {
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
  bool is_empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

// An integer's digits. `bytes`: of 1, 2 or 4.
std::string digits_of(std::string_view bytes) {
  const std::uint64_t number = low_first(bytes);
  const std::size_t unused = 64 - 8 * bytes.size();
  return std::to_string(static_cast<std::int64_t>(number << unused) >> unused);
}

std::optional<std::string> decompress(Reader* reader, std::uint64_t limit_bytes) {
  const auto take_length = [&]() -> std::optional<std::uint64_t> {
    const auto first = reader->take_byte();
    return first ? reader->take_length(*first) : std::nullopt;
  };
  const auto compressed_bytes = take_length();
  const auto value_bytes = take_length();
  if (!compressed_bytes || !value_bytes || *value_bytes == 0 || *value_bytes > limit_bytes ||
      *value_bytes > std::numeric_limits<unsigned>::max())
    return std::nullopt;
  const auto compressed = reader->take(*compressed_bytes);
  // Three bytes become 264 at most: who names more wants memory for nothing.
  constexpr std::uint64_t kLargestGrowth = 264 / 3 + 1;
  if (!compressed || *value_bytes > compressed->size() * kLargestGrowth) return std::nullopt;
  std::string value(*value_bytes, '\0');
  const unsigned written = lzf_decompress(compressed->data(), static_cast<unsigned>(compressed->size()),
                                          value.data(), static_cast<unsigned>(value.size()));
  if (written != value.size()) return std::nullopt;
  return value;
}

std::optional<std::string> read_string(Reader* reader, std::uint64_t limit_bytes) {
  const auto first = reader->take_byte();
  if (!first) return std::nullopt;
  if (*first == kCompressed) return decompress(reader, limit_bytes);
  if (*first == kInteger8 || *first == kInteger16 || *first == kInteger32) {
    const auto bytes = reader->take(1u << (*first - kInteger8));
    return bytes ? std::optional(digits_of(*bytes)) : std::nullopt;
  }
  const auto length = reader->take_length(*first);
  const auto value = length ? reader->take(*length) : std::nullopt;
  if (!value || value->size() > limit_bytes) return std::nullopt;
  return std::string(*value);
}

bool is_old_dump(std::string_view payload) {
  if (payload.size() < kOldHead.size() + 1 + kOldChecksumBytes || !payload.starts_with(kOldHead))
    return false;
  const std::string_view body = payload.substr(0, payload.size() - kOldChecksumBytes);
  return body.back() == kOldVersion &&
         low_first(payload.substr(body.size())) == XXH3_64bits(body.data(), body.size());
}

}  // namespace

std::string dump_value(std::string_view value) {
  std::string payload;
  payload.reserve(1 + 9 + value.size() + kTrailerBytes);
  payload.push_back(kStringType);
  append_length(&payload, value.size());
  payload.append(value);
  append_low_first(&payload, kVersion, 2);
  append_low_first(&payload, crc64(payload), 8);
  return payload;
}

bool is_dump(std::string_view payload) {
  if (is_old_dump(payload)) return true;
  if (payload.size() <= kTrailerBytes) return false;
  const std::size_t checked_bytes = payload.size() - 8;
  return low_first(payload.substr(payload.size() - kTrailerBytes, 2)) <= kVersionLimit &&
         low_first(payload.substr(checked_bytes)) == crc64(payload.substr(0, checked_bytes));
}

std::optional<std::string> dumped_value(std::string_view payload, std::uint64_t limit_bytes) {
  if (is_old_dump(payload)) {
    const std::size_t frame_bytes = kOldHead.size() + 1 + kOldChecksumBytes;
    if (payload.size() - frame_bytes > limit_bytes) return std::nullopt;
    return std::string(payload.substr(kOldHead.size(), payload.size() - frame_bytes));
  }
  const std::string_view body = payload.substr(0, payload.size() - kTrailerBytes);
  if (body.front() != kStringType) return std::nullopt;
  Reader reader(body.substr(1));
  std::optional<std::string> value = read_string(&reader, limit_bytes);
  return reader.is_empty() ? value : std::nullopt;
}

}  // namespace memento
