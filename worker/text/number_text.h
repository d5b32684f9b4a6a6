// Numbers as they stand in commands and values, read and written as Redis does. Any process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace memento {

/// Exactly a 64-bit integer: optional '-', no '+', no spaces, no leading zeros, in range.
bool parse_integer(std::string_view text, std::int64_t* number);

enum class FloatRange { kFinite, kWithInfinity };

/// A decimal number as strtold reads it; no leading space, nothing after it, not NaN.
bool parse_float(std::string_view text, long double* number, FloatRange range = FloatRange::kFinite);

/// 17 decimals, then trailing zeros and a trailing point are cut: 3.0 is "3", 0.1 is "0.1".
std::string format_float(long double number);

}  // namespace memento
