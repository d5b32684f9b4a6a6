// Numbers as they stand in commands and values, read and written as Redis does. Any process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memento {

/// Exactly a 64-bit integer: optional '-', no '+', no spaces, no leading zeros, in range. Nothing: it is
/// none.
std::optional<std::int64_t> parse_integer(std::string_view text);

enum class FloatRange { kFinite, kWithInfinity };

/// A decimal number as strtold reads it; no leading space, nothing after it, not NaN. Nothing: it is none.
std::optional<long double> parse_float(std::string_view text, FloatRange range = FloatRange::kFinite);

/// 17 decimals, then trailing zeros and a trailing point are cut: 3.0 is "3", 0.1 is "0.1".
std::string format_float(long double number);

}  // namespace memento
