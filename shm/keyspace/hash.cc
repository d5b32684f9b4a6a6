// CRC16, by carry-less multiplication where the processor has it, else slice-by-8; and XXH3. See hash.h.
#include "shm/keyspace/hash.h"

#define XXH_INLINE_ALL  // short keys: the call would cost as much as the hash
#include <immintrin.h>
#include <xxhash.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace memento {
namespace {

using Tables = std::array<std::array<std::uint16_t, 256>, 8>;

// tables[k][b]: the CRC of byte b followed by k zero bytes, so that eight bytes are eight independent
// lookups.
constexpr Tables make_tables() {
  Tables tables{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1;
    tables[0][byte] = static_cast<std::uint16_t>(crc);
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const unsigned previous = tables[k - 1][byte];
      tables[k][byte] = static_cast<std::uint16_t>((previous << 8) ^ tables[0][previous >> 8]);
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

// Inlined into hash_key(), which every request calls: the public functions are for others.
inline std::uint16_t crc16_of(std::string_view bytes) {
  unsigned crc = 0;
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    crc = static_cast<unsigned>(kTables[7][at[0] ^ (crc >> 8)] ^ kTables[6][at[1] ^ (crc & 255)] ^
                                kTables[5][at[2]] ^ kTables[4][at[3]] ^ kTables[3][at[4]] ^
                                kTables[2][at[5]] ^ kTables[1][at[6]] ^ kTables[0][at[7]]);
  }
  for (; left > 0; --left, ++at) crc = ((crc << 8) & 0xffff) ^ kTables[0][((crc >> 8) ^ *at) & 255];
  return static_cast<std::uint16_t>(crc);
}

inline std::string_view hash_tag_of(std::string_view key) {
  const auto* open = static_cast<const char*>(std::memchr(key.data(), '{', key.size()));
  if (open == nullptr) [[likely]]
    return key;
  const std::string_view rest = key.substr(static_cast<std::size_t>(open + 1 - key.data()));
  const std::size_t close = rest.find('}');
  if (close == std::string_view::npos || close == 0) return key;
  return rest.substr(0, close);
}

inline SlotId slot_of_crc(std::uint32_t crc) { return SlotId{(crc & 16383u) >> 1}; }
inline SlotId slot_of(std::string_view key) { return slot_of_crc(crc16_of(hash_tag_of(key))); }

constexpr std::uint64_t kPolynomial = 0x11021;

// x^exponent modulo the polynomial.
constexpr long long power_of_x(int exponent) {
  std::uint64_t remainder = 1;
  for (int i = 0; i < exponent; ++i) {
    remainder <<= 1;
    if ((remainder & 0x10000) != 0) remainder ^= kPolynomial;
  }
  return static_cast<long long>(remainder);
}

// x^64 divided by the polynomial, for the reduction by Barrett.
constexpr long long quotient_of_x64() {
  std::uint64_t quotient = 0;
  std::uint64_t remainder = 1;  // of the leading bits of x^64 that were divided
  for (int bit = 63; bit >= 0; --bit) {
    remainder <<= 1;
    quotient <<= 1;
    if ((remainder & 0x10000) != 0) {
      remainder ^= kPolynomial;
      quotient |= 1;
    }
  }
  return static_cast<long long>(quotient);
}

inline std::uint64_t load_word(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// No '{' in a key of 8 to 32 bytes; of others it is not said.
inline bool surely_has_no_tag(std::string_view key) {
  const std::size_t size = key.size();
  if (size - 8 > 24) return false;
  const __m128i brace = _mm_set1_epi8('{');
  if (size <= 16) {
    const __m128i bytes = _mm_set_epi64x(static_cast<long long>(load_word(key.data() + size - 8)),
                                         static_cast<long long>(load_word(key.data())));
    return _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, brace)) == 0;
  }
  const auto front = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key.data()));
  const auto back = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key.data() + size - 16));
  return _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(front, brace), _mm_cmpeq_epi8(back, brace))) == 0;
}

inline __m128i from_word(std::uint64_t word) { return _mm_cvtsi64_si128(static_cast<long long>(word)); }

// The bytes as one polynomial, the first byte its highest powers: what is in front of the last 8 is folded
// into 64 bits that have the same remainder, 8 bytes at a time, then all is reduced. Gopal et al., "Fast CRC
// Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009. REQUIRES: at least 8 bytes.
[[gnu::target("pclmul,sse4.1")]] inline std::uint32_t crc16_by_multiplication(std::string_view bytes) {
  const __m128i powers = _mm_set_epi64x(power_of_x(64), power_of_x(80));
  const __m128i barrett = _mm_set_epi64x(kPolynomial, quotient_of_x64());
  const char* at = bytes.data();
  const char* const last = at + bytes.size() - 8;
  const std::size_t head_bytes = bytes.size() & 7;
  std::uint64_t head = 0;
  if (head_bytes != 0) {
    head = __builtin_bswap64(load_word(at)) >> (64 - 8 * head_bytes);
    at += head_bytes;
  } else if (at != last) {
    head = __builtin_bswap64(load_word(at));
    at += 8;
  }
  __m128i folded = from_word(head);
  for (; at != last; at += 8) {
    const __m128i sum = _mm_xor_si128(_mm_clmulepi64_si128(folded, powers, 0x10),
                                      from_word(__builtin_bswap64(load_word(at))));
    folded = _mm_xor_si128(_mm_clmulepi64_si128(sum, powers, 0x11), sum);  // its lower half counts
  }
  const __m128i end = _mm_slli_si128(from_word(__builtin_bswap64(load_word(last))), 2);  // times x^16
  const __m128i sum = _mm_xor_si128(_mm_clmulepi64_si128(folded, powers, 0x00), end);
  const __m128i dividend = _mm_xor_si128(_mm_clmulepi64_si128(sum, powers, 0x11), sum);
  const __m128i quotient =
      _mm_srli_si128(_mm_clmulepi64_si128(_mm_srli_epi64(dividend, 16), barrett, 0x00), 6);
  const __m128i remainder = _mm_xor_si128(_mm_clmulepi64_si128(quotient, barrett, 0x10), dividend);
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(remainder)) & 0xffff;
}

void hash_by_tables(std::string_view key, std::uint64_t seed, SlotId first, HashedKey* hashed) {
  hashed->bytes = key;
  hashed->slot = SlotId(slot_of(key).value | first.value);
  hashed->hash = hash_in_slot(key, seed);
}

// Keys that may have a tag, short and long ones.
[[gnu::target("pclmul,sse4.1"), gnu::noinline]] void hash_any_by_multiplication(std::string_view key,
                                                                                std::uint64_t seed,
                                                                                SlotId first,
                                                                                HashedKey* hashed) {
  const std::string_view tag = hash_tag_of(key);
  hashed->bytes = key;
  const SlotId slot = slot_of_crc(tag.size() >= 8 ? crc16_by_multiplication(tag) : crc16_of(tag));
  hashed->slot = SlotId(slot.value | first.value);
  hashed->hash = hash_in_slot(key, seed);
}

// Most keys have 8 to 32 bytes and no tag. All that these take is inlined here.
[[gnu::target("pclmul,sse4.1"), gnu::flatten]] void hash_by_multiplication(std::string_view key,
                                                                           std::uint64_t seed, SlotId first,
                                                                           HashedKey* hashed) {
  if (!surely_has_no_tag(key)) [[unlikely]]
    return hash_any_by_multiplication(key, seed, first, hashed);
  hashed->bytes = key;
  hashed->slot = SlotId(slot_of_crc(crc16_by_multiplication(key)).value | first.value);
  hashed->hash = XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

const bool can_multiply = __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.1") != 0;

}  // namespace

std::uint16_t crc16(std::string_view bytes) { return crc16_of(bytes); }
std::string_view hash_tag(std::string_view key) { return hash_tag_of(key); }
SlotId slot_of_key(std::string_view key) { return slot_of(key); }

std::uint64_t hash_in_slot(std::string_view key, std::uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

const HashKey hash_key_into = can_multiply ? hash_by_multiplication : hash_by_tables;

HashedKey hash_key(std::string_view key, std::uint64_t seed, SlotId first) {
  HashedKey hashed;
  hash_key_into(key, seed, first, &hashed);
  return hashed;
}

}  // namespace memento
