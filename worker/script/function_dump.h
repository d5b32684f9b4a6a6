// What FUNCTION DUMP gives and FUNCTION RESTORE takes: the texts of libraries, in Redis's format, so that
// either server restores what the other has dumped.
//
//   245, text      for each library; the text with its length in front, or compressed by LZF
//   version        2 bytes, little-endian: 10, as of Redis 7.0
//   CRC-64/Redis   8 bytes, little-endian, of all before
//
// A length has two bits that say how it is written: 00: six bits, 01: 14 bits, 0x80: 32 bits, 0x81: 64 bits,
// the highest byte first; 0xc3: LZF, and the lengths compressed and as it was.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace memento {

class FunctionDump {
 public:
  void add(std::string_view text);
  /// The payload. Nothing may be added behind it.
  std::string finish() { return seal(std::move(bytes_)); }
  /// The bytes with the version and their checksum behind them.
  static std::string seal(std::string bytes);

  enum class Fault { kNone, kChecksum, kOtherType, kBroken, kTooLong };
  struct Read {
    std::vector<std::string> texts;
    Fault fault = Fault::kNone;
  };
  /// The texts in a payload, which may be any bytes. Together no longer than `limit_bytes`.
  static Read read(std::string_view payload, std::size_t limit_bytes);

 private:
  std::string bytes_;
};

}  // namespace memento
