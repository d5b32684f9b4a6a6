// See sha1.h.
#include "worker/script/sha1.h"

#include <openssl/sha.h>

namespace memento {

std::array<char, kSha1Digits> sha1_digits(std::string_view bytes) {
  static_assert(2 * SHA_DIGEST_LENGTH == kSha1Digits);
  constexpr const char* kDigits = "0123456789abcdef";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  std::array<char, kSha1Digits> text;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    text[2 * i] = kDigits[digest[i] >> 4];
    text[2 * i + 1] = kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace memento
