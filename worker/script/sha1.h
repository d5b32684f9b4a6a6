// SHA-1, by which scripts are known. FIPS 180-4. Pure; any process.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace memento {

inline constexpr std::size_t kSha1Digits = 40;

/// In hexadecimal, in small letters.
std::array<char, kSha1Digits> sha1_digits(std::string_view bytes);

}  // namespace memento
