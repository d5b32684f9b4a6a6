// Values that follow from their key, a sequence number and their size, so that a reader can tell
// whether it is what was written: 8 hexadecimal digits of the sequence, then letters from a hash of all
// three. A shorter value is the beginning of that, and can't be told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memento {

inline constexpr std::size_t kSequenceSizeBytes = 8;
/// The shortest value that says anything: the sequence and a few letters.
inline constexpr std::size_t kVerifiableSizeBytes = 12;

void append_value(std::string& out, std::uint64_t key, std::uint32_t sequence, std::size_t size_bytes);

/// The sequence of a value that was made for `key`; nothing when it wasn't. `scratch` is overwritten.
std::optional<std::uint32_t> sequence_of(std::string_view value, std::uint64_t key, std::string& scratch);

}  // namespace memento
