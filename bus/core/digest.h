// SHA-256 and HMAC-SHA256 (FIPS 180-4, RFC 2104), by OpenSSL. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace memento::bus {

using Digest = std::array<std::uint8_t, 32>;

Digest sha256(std::string_view bytes);
/// The key may be empty.
Digest hmac_sha256(std::string_view key, std::string_view bytes);
/// In a time that does not tell where they differ.
bool is_equal(const Digest& one, const Digest& other);

}  // namespace memento::bus
