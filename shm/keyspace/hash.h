// The two hashes of a key: CRC16-XMODEM picks the slot as Redis Cluster clients compute it (two of their
// 16384 slots are one of ours), seeded XXH3 places the key inside its slot. Pure functions.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "shm/format/typed_number.h"

namespace memento {

/// CRC16-XMODEM: polynomial 0x1021, initial value 0, not reflected.
std::uint16_t crc16(std::string_view bytes);

/// What the slot is computed from: the part between the first { and the next }, when not empty; else the key.
std::string_view hash_tag(std::string_view key);

SlotId slot_of_key(std::string_view key);

std::uint64_t hash_in_slot(std::string_view key, std::uint64_t seed);

/// Where a key was seen when its entry was fetched ahead, and its slot's version then: a hint that holds
/// while the version does. No cell: it was not looked for, or not seen.
struct Sighting {
  std::atomic<std::uint64_t>* cell = nullptr;
  std::uint64_t version = 0;
};

/// A key with its slot and hash, computed once per command. Does not own the bytes.
struct HashedKey {
  std::string_view bytes;
  SlotId slot;             ///< of its database
  std::uint64_t hash = 0;  ///< seeded, places the key inside its slot
  Sighting seen{};
};

/// `first`: slot of the key's database.
HashedKey hash_key(std::string_view key, std::uint64_t seed, SlotId first = {});
/// The same where a key of nothing is there already: as this processor does it fastest.
using HashKey = void (*)(std::string_view key, std::uint64_t seed, SlotId first, HashedKey* hashed);
extern const HashKey hash_key_into;

}  // namespace memento
