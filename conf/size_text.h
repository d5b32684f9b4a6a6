// Sizes in bytes as people write them: 512MiB, 4g, 1048576. Any process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memento {

/// A whole number with an optional unit in any case: b, k kb kib, m mb mib, g gb gib, t tb tib; all powers of
/// 1024. Nothing when it is something else or does not fit 64 bits.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// "12.0 GiB"
std::string format_size(std::uint64_t size_bytes);

}  // namespace memento
