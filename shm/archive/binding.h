// What a node's state folder says of its data: the bindings since the last complete start, and the number of
// the journal's newest file (shm/format/binding.h says what for). Each write is on disk when it has
// succeeded, whole or not at all. The master writes the bindings, the archiver the newest file; not thread
// safe.
//
// A start: add_binding(b), then MANIFEST's, then the segment's, then set_binding(b), then it serves. A new
// journal file: begun, then write_newest_file(), then its first frame.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

class StateFolder {
 public:
  /// Made when it is missing, on disk; refused when it is not this user's alone.
  static Result<StateFolder> open(const std::string& path);

  /// Oldest first; nothing: there is no list, so the folder is new or was lost. An Error: it cannot be read,
  /// or is damaged.
  Result<std::optional<std::vector<std::uint64_t>>> bindings() const;
  Outcome add_binding(std::uint64_t binding);
  /// The only one from now on.
  Outcome set_binding(std::uint64_t binding);

  /// Nothing: none was written.
  Result<std::optional<std::uint64_t>> newest_file() const;
  Outcome write_newest_file(std::uint64_t number);

 private:
  StateFolder(Fd folder, std::string path) : folder_(std::move(folder)), path_(std::move(path)) {}

  Fd folder_;
  std::string path_;
};

/// A list's bytes; the list of a file's bytes. Nothing: it is not whole, or no such list.
std::string number_list_bytes(std::uint64_t magic, const std::vector<std::uint64_t>& numbers);
std::optional<std::vector<std::uint64_t>> read_number_list(std::uint64_t magic, const std::string& bytes);

}  // namespace memento
