// Slice-by-8 CRC16 and XXH3. See hash.h.
#include "shm/hash.h"

#define XXH_INLINE_ALL  // short keys: the call would cost as much as the hash
#include <xxhash.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace memento {
namespace {

using Tables = std::array<std::array<std::uint16_t, 256>, 8>;

// tables[k][b]: the CRC of byte b followed by k zero bytes, so that eight bytes are eight independent
// lookups.
constexpr Tables make_tables() {
  Tables tables{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1;
    tables[0][byte] = static_cast<std::uint16_t>(crc);
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const unsigned previous = tables[k - 1][byte];
      tables[k][byte] = static_cast<std::uint16_t>((previous << 8) ^ tables[0][previous >> 8]);
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

// Inlined into hash_key(), which every request calls: the public functions are for others.
inline std::uint16_t crc16_of(std::string_view bytes) {
  unsigned crc = 0;
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    crc = static_cast<unsigned>(kTables[7][at[0] ^ (crc >> 8)] ^ kTables[6][at[1] ^ (crc & 255)] ^
                                kTables[5][at[2]] ^ kTables[4][at[3]] ^ kTables[3][at[4]] ^
                                kTables[2][at[5]] ^ kTables[1][at[6]] ^ kTables[0][at[7]]);
  }
  for (; left > 0; --left, ++at) crc = ((crc << 8) & 0xffff) ^ kTables[0][((crc >> 8) ^ *at) & 255];
  return static_cast<std::uint16_t>(crc);
}

inline std::string_view hash_tag_of(std::string_view key) {
  const auto* open = static_cast<const char*>(std::memchr(key.data(), '{', key.size()));
  if (open == nullptr) [[likely]]
    return key;
  const std::string_view rest = key.substr(static_cast<std::size_t>(open + 1 - key.data()));
  const std::size_t close = rest.find('}');
  if (close == std::string_view::npos || close == 0) return key;
  return rest.substr(0, close);
}

inline std::uint32_t slot_of(std::string_view key) { return (crc16_of(hash_tag_of(key)) & 16383u) >> 1; }

}  // namespace

std::uint16_t crc16(std::string_view bytes) { return crc16_of(bytes); }
std::string_view hash_tag(std::string_view key) { return hash_tag_of(key); }
std::uint32_t slot_of_key(std::string_view key) { return slot_of(key); }

std::uint64_t hash_in_slot(std::string_view key, std::uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

HashedKey hash_key(std::string_view key, std::uint64_t seed) {
  return HashedKey{key, slot_of(key), hash_in_slot(key, seed)};
}

}  // namespace memento
