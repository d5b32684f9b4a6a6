// How a watched key's mark travels in a cluster: the key's owner makes it, and looks at it again when EXEC
// comes.
#pragma once

#include <cstring>
#include <optional>
#include <string_view>

#include "shm/keyspace/keyspace.h"

namespace memento {

inline std::string_view bytes_of_mark(const ChangeMark& mark) {
  return {reinterpret_cast<const char*>(&mark), sizeof mark};
}

/// Nothing: these bytes are no mark.
inline std::optional<ChangeMark> mark_of_bytes(std::string_view bytes) {
  ChangeMark mark;
  if (bytes.size() != sizeof mark) return std::nullopt;
  std::memcpy(static_cast<void*>(&mark), bytes.data(), sizeof mark);
  return mark;
}

}  // namespace memento
