// See digest.h.
#include "bus/core/digest.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

namespace memento::bus {
namespace {

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Digest sha256(std::string_view bytes) {
  Digest digest;
  SHA256(bytes_of(bytes), bytes.size(), digest.data());
  return digest;
}

Digest hmac_sha256(std::string_view key, std::string_view bytes) {
  Digest digest;
  unsigned int digest_bytes = 0;
  const std::string_view some_key = key.data() == nullptr ? std::string_view("") : key;
  HMAC(EVP_sha256(), some_key.data(), static_cast<int>(key.size()), bytes_of(bytes), bytes.size(),
       digest.data(), &digest_bytes);
  return digest;
}

bool is_equal(const Digest& one, const Digest& other) {
  return CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

}  // namespace memento::bus
