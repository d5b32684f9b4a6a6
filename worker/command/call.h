// A parsed request: its words, and its first key hashed. Any process that executes requests.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "shm/keyspace/hash.h"

namespace memento {

/// One call. args[0] is the command's name as typed; `key` is the first key, hashed, when the command has
/// one.
struct Call {
  std::span<const std::string_view> args;
  HashedKey key;

  std::size_t count() const { return args.size(); }
  std::string_view operator[](std::size_t index) const { return args[index]; }
};

}  // namespace memento
