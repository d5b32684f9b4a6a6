// ManifestFile: MANIFEST in a data folder (shm/format/manifest.h): the newest that is whole, and the next
// one. Master at start, then the archiver: one at a time; not thread safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shm/format/manifest.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

class ManifestFile {
 public:
  /// Reads it. An Error: it cannot be read, none of its blocks is whole, or it is of another version. Without
  /// a file there is nothing until write(). REQUIRES: the folder stays open and where it is.
  static Result<ManifestFile> open(const Fd& folder, const std::string& folder_path);

  /// The newest; nothing: none was written yet.
  const std::optional<Manifest>& newest() const { return newest_; }
  /// Whether that is known to be on disk. What open() has found may be in the kernel's memory only: a process
  /// before this one may have written it, had its sync fail, and died. So nothing that an older one needs may
  /// be given up before a write has succeeded.
  bool is_on_disk() const { return static_cast<bool>(file_); }

  /// Writes it as the next generation, on disk when this has succeeded; until then the former one counts, or,
  /// when the machine dies meanwhile, either. After an error nobody knows which: the next write makes a new
  /// file that takes the name, as the first one does.
  Outcome write(Manifest manifest);

 private:
  ManifestFile(const Fd& folder, std::string folder_path)
      : folder_(&folder), folder_path_(std::move(folder_path)) {}
  Outcome replace(const std::string& block);

  const Fd* folder_;
  std::string folder_path_;
  Fd file_;  ///< none: the next write makes one
  std::optional<Manifest> newest_;
  std::uint64_t last_generation_ = 0;  ///< that was written, or may have been
};

/// A block's bytes, with the checksum; the manifest of a block that is whole.
std::string manifest_block(Manifest manifest);
std::optional<Manifest> read_manifest_block(std::string_view bytes);

}  // namespace memento
