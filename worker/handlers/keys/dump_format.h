// What DUMP gives and RESTORE takes: a value as bytes that can be kept anywhere. Any process.
//
//   'M'  magic           1 byte
//   'S'  kind, a string  1 byte
//   value                any length
//   1    version         1 byte
//   XXH3 of all before   8 bytes, little-endian
//
// Worked example: the value "ab" is 'M' 'S' 'a' 'b' 1 and eight bytes of checksum: 13 bytes. Redis's own
// payloads are another format, and are refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace memento {

std::string dump_value(std::string_view value);

/// The value in the payload; nothing when the payload is not one, or a byte of it is wrong.
std::optional<std::string_view> dumped_value(std::string_view payload);

}  // namespace memento
