// What DUMP gives and RESTORE takes: a value as bytes that can be kept anywhere, and taken to Redis and from
// there. Any process.
//
//   0        type, a string  1 byte
//   length   of the value    1, 2, 5 or 9 bytes, the highest byte first
//   value                    any length
//   version                  2 bytes, the lowest byte first
//   CRC-64 of all before     8 bytes, the lowest byte first
//
// The first two bits of the length say what it is: 00 six bits, 01 fourteen; 0x80 four bytes follow, 0x81
// eight. Redis also writes 0xc0, 0xc1, 0xc2 and an integer of 1, 2 or 4 bytes, the lowest first, instead of a
// value that is this number's digits; and 0xc3, the length of a compressed value, the length of the value,
// and what LZF made of it. Those are taken, not given.
//
// Worked example: the value "ab" is 0, 2, 'a', 'b', 10, 0, and eight bytes of checksum: 14 bytes.
//
// What DUMP of version 0.1.0 gave is taken too: 'M', 'S', the value, 1, and XXH3 of all that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memento {

std::string dump_value(std::string_view value);

/// Whether the payload is what a DUMP gave, of any type, with each byte as it was.
bool is_dump(std::string_view payload);

/// The value in the payload; nothing when it is not a string, or longer than `limit_bytes`.
/// REQUIRES: is_dump(payload).
std::optional<std::string> dumped_value(std::string_view payload, std::uint64_t limit_bytes);

}  // namespace memento
