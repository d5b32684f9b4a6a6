// A parsed request: its words, and its first key hashed. Any process that executes requests.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "shm/keyspace/hash.h"

namespace memento {

/// One call. args[0] is the command's name as typed; `key` is the first key, hashed, when the command has
/// one. Words and key are somebody else's, and stay where they are for as long as the call does.
struct Call {
  Call(std::span<const std::string_view> args_in, const HashedKey& key_in) : args(args_in), key(key_in) {}
  Call(std::span<const std::string_view> args_in, HashedKey&& key_in) = delete;  // it would be gone
  /// Without a key.
  explicit Call(std::span<const std::string_view> args_in) : Call(args_in, kNoKey) {}

  std::span<const std::string_view> args;
  const HashedKey& key;

  std::size_t count() const { return args.size(); }
  std::string_view operator[](std::size_t index) const { return args[index]; }

 private:
  static inline const HashedKey kNoKey{};
};

}  // namespace memento
