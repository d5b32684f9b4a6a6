// UnsyncedFrames: the journal's frames that are not known to be on disk yet, kept in two files on the tmpfs
// beside the segment. A sync that fails may have lost them, and says so once: then they are written again, to
// a new file, by this archiver or by its successor. New frames go to one of the two files while those of the
// other are being synced, so each is emptied as a whole. DiskState has how long they are, and which is which.
// Archiver; not thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "shm/format/layout.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

class UnsyncedFrames {
 public:
  /// Beside the segment at this path. What a predecessor left is there. An Error: a file of it is not.
  static Result<UnsyncedFrames> open(const std::string& segment_path, DiskState& state);

  std::uint64_t bytes() const { return length(0) + length(1); }
  bool empty() const { return bytes() == 0; }

  /// Whole frames, behind all others. An Error: the tmpfs has no room for them; none was added.
  Outcome add(std::string_view frames);

  /// What is there is being synced; what comes now is not. REQUIRES: the former sync has ended.
  void begin_sync();
  /// What was there at begin_sync() is on disk.
  void end_sync();
  /// All is on disk.
  void clear();

  /// All frames, one behind the other, oldest first.
  Result<std::string> read() const;

 private:
  UnsyncedFrames(std::string path, DiskState& state) : path_(std::move(path)), state_(&state) {}
  std::uint64_t length(std::size_t file) const { return state_->unsynced_bytes[file].load(); }
  std::size_t collecting() const { return state_->unsynced_file.load() & 1; }
  void empty_file(std::size_t file);

  std::string path_;
  DiskState* state_;
  std::array<Fd, 2> files_;
};

}  // namespace memento
