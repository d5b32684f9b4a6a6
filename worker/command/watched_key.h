// What WATCH notes of a key, and how that travels: in a cluster the key's owner looks at it, and looks again when EXEC comes.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "shm/keyspace.h"
#include "worker/command/client_state.h"

namespace memento {

namespace handlers {
/// The key as it is now (transaction_handlers.cc).
WatchedKey look_at(Keyspace& keyspace, const HashedKey& key);
}  // namespace handlers

/// A WatchedKey without its key, for the process that made it.
struct KeyFingerprint {
  std::uint64_t version;
  std::uint64_t exists;
  std::uint64_t place;
  std::uint64_t value_hash;
  std::int64_t created_ms;
  std::int64_t expiry_ms;

  static KeyFingerprint of(const WatchedKey& key) {
    return {key.version,    key.exists,     reinterpret_cast<std::uintptr_t>(key.place),
            key.value_hash, key.created_ms, key.expiry_ms};
  }
  /// REQUIRES: bytes.size() == sizeof(KeyFingerprint).
  static WatchedKey watched(std::string_view key, std::string_view bytes) {
    KeyFingerprint print;
    std::memcpy(&print, bytes.data(), sizeof print);
    return {std::string(key), print.version,    print.exists != 0, reinterpret_cast<const char*>(print.place),
            print.value_hash, print.created_ms, print.expiry_ms};
  }
  std::string_view bytes() const { return {reinterpret_cast<const char*>(this), sizeof *this}; }
};
static_assert(sizeof(KeyFingerprint) == 48);

}  // namespace memento
