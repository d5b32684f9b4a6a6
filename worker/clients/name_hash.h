// NameHash: of names that clients choose, in the worker's own tables: seeded, so that nobody can choose names
// that fall together. With the segment's seed it is HashedKey::hash.
#pragma once

#include <cstdint>
#include <string_view>

#include "shm/keyspace/hash.h"

namespace memento {

struct NameHash {
  using is_transparent = void;
  std::uint64_t seed = 0;
  std::size_t operator()(std::string_view name) const { return hash_in_slot(name, seed); }
};

}  // namespace memento
