// See dump_format.h.
#include "worker/handlers/keys/dump_format.h"

#include <xxhash.h>

#include "worker/wire/crc64.h"
#include "worker/wire/rdb_format.h"

namespace memento {
namespace {

constexpr char kStringType = 0;
constexpr std::uint64_t kVersion = 10;         ///< what Redis 7.0 writes, and later ones take
constexpr std::uint64_t kVersionLimit = 1000;  ///< forks of Redis count on from other numbers
constexpr std::size_t kTrailerBytes = 10;      ///< version and checksum

// The first byte of an integer.
constexpr unsigned kInteger8 = 0xc0;
constexpr unsigned kInteger16 = 0xc1;
constexpr unsigned kInteger32 = 0xc2;

constexpr std::string_view kOldHead = "MS";
constexpr char kOldVersion = 1;
constexpr std::size_t kOldChecksumBytes = 8;

// An integer's digits. `bytes`: of 1, 2 or 4.
std::string digits_of(std::string_view bytes) {
  const std::uint64_t number = low_first(bytes);
  const std::size_t unused = 64 - 8 * bytes.size();
  return std::to_string(static_cast<std::int64_t>(number << unused) >> unused);
}

std::optional<std::string> read_string(RdbReader* reader, std::uint64_t limit_bytes) {
  const auto first = reader->take_byte();
  if (!first) return std::nullopt;
  if (*first == kRdbCompressed) {
    const auto compressed = reader->take_compressed();
    return compressed && compressed->text_bytes <= limit_bytes ? decompress(*compressed) : std::nullopt;
  }
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
  append_rdb_length(&payload, value.size());
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
  RdbReader reader(body.substr(1));
  std::optional<std::string> value = read_string(&reader, limit_bytes);
  return reader.is_empty() ? value : std::nullopt;
}

}  // namespace memento
