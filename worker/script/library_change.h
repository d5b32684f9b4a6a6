// LibraryChange: what EXEC did to a library of functions, to take it back. Data; runs in workers.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace memento {

/// Records of the TextStore; nothing: there was no such library.
struct LibraryChange {
  std::optional<std::string> before;
  std::optional<std::string> after;
};

/// By the library's name.
using LibraryChanges = std::map<std::string, LibraryChange>;

}  // namespace memento
