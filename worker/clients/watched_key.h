// How a watched key's database and mark travel in a cluster: the key's owner makes the mark, and looks at it
// again when EXEC comes.
#pragma once

#include <cstring>
#include <optional>
#include <string_view>

#include "shm/keyspace/keyspace.h"

namespace memento {

/// The bytes are the database's.
inline std::string_view bytes_of_database(const DatabaseId& database) {
  return {reinterpret_cast<const char*>(&database.value), sizeof database.value};
}

/// Nothing: these bytes are no database.
inline std::optional<DatabaseId> database_of_bytes(std::string_view bytes) {
  DatabaseId database;
  if (bytes.size() != sizeof database.value) return std::nullopt;
  std::memcpy(&database.value, bytes.data(), sizeof database.value);
  return database < kDatabaseEnd ? std::optional(database) : std::nullopt;
}

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
