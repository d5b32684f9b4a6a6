// CRC-64 as Redis's files and DUMP have it: the polynomial of Jones, bits reversed, beginning with 0. Any
// process.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace memento {

// Eight bytes at a time: table k is what a byte does to the checksum when k bytes follow it.
inline constexpr std::size_t kCrc64Stride = 8;

constexpr std::array<std::array<std::uint64_t, 256>, kCrc64Stride> crc64_tables() {
  constexpr std::uint64_t kPolynomial = 0x95ac9329ac4bc9b5;
  std::array<std::array<std::uint64_t, 256>, kCrc64Stride> tables{};
  for (std::uint64_t byte = 0; byte < 256; ++byte) {
    std::uint64_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < kCrc64Stride; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint64_t before = tables[k - 1][byte];
      tables[k][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

inline std::uint64_t crc64(std::string_view bytes, std::uint64_t crc = 0) {
  static_assert(std::endian::native == std::endian::little);
  static constexpr auto kTables = crc64_tables();
  std::size_t at = 0;
  for (; at + kCrc64Stride <= bytes.size(); at += kCrc64Stride) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    word ^= crc;
    crc = 0;
    for (std::size_t k = 0; k < kCrc64Stride; ++k) crc ^= kTables[kCrc64Stride - 1 - k][word >> 8 * k & 0xff];
  }
  for (; at < bytes.size(); ++at)
    crc = crc >> 8 ^ kTables[0][(crc ^ static_cast<unsigned char>(bytes[at])) & 0xff];
  return crc;
}

}  // namespace memento
