// Sizes in bytes as people write them: 512MiB, 4g, 1048576. Any process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace memento {

/// A whole number with an optional unit in any case: b, k kb kib, m mb mib, g gb gib, t tb tib; all powers of
/// 1024. False when it is something else or does not fit 64 bits.
bool parse_size(std::string_view text, std::uint64_t* size_bytes);

/// "12.0 GiB"
std::string format_size(std::uint64_t size_bytes);

}  // namespace memento
