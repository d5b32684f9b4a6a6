// See dump_format.h.
#include "worker/handlers/keys/dump_format.h"

#include <xxhash.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace memento {
namespace {

constexpr std::string_view kHead = "MS";
constexpr char kVersion = 1;
constexpr std::size_t kChecksumBytes = 8;

std::array<char, kChecksumBytes> checksum(std::string_view bytes) {
  const std::uint64_t hash = XXH3_64bits(bytes.data(), bytes.size());
  std::array<char, kChecksumBytes> text{};
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(hash >> 8 * i & 0xff);
  return text;
}

}  // namespace

std::string dump_value(std::string_view value) {
  std::string payload;
  payload.reserve(kHead.size() + value.size() + 1 + kChecksumBytes);
  payload.append(kHead).append(value).push_back(kVersion);
  const std::array<char, kChecksumBytes> sum = checksum(payload);
  payload.append(sum.data(), sum.size());
  return payload;
}

std::optional<std::string_view> dumped_value(std::string_view payload) {
  if (payload.size() < kHead.size() + 1 + kChecksumBytes || !payload.starts_with(kHead)) return std::nullopt;
  const std::string_view body = payload.substr(0, payload.size() - kChecksumBytes);
  if (body.back() != kVersion || std::memcmp(checksum(body).data(), body.end(), kChecksumBytes) != 0)
    return std::nullopt;
  return body.substr(kHead.size(), body.size() - kHead.size() - 1);
}

}  // namespace memento
