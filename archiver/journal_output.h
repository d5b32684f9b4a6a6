// JournalOutput: where the archiver's frames go: the journal's newest file, and until they are known to be on
// disk the unsynced frames. A file that a write or a sync failed on is left as it is; what it may lack is
// written again to a new one, whose head says from which frame on the former does not count. A new file is
// begun also when one is full, and by each archiver: what its predecessor may have written last is nobody's.
//
// Frames are numbered here. DiskState's known_frame, file and file_end and the unsynced frames are all that a
// successor needs. Archiver; not thread safe, but the file may be synced by another thread meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "archiver/unsynced_frames.h"
#include "shm/archive/binding.h"
#include "shm/archive/journal_folder.h"
#include "shm/format/layout.h"

namespace memento {

class JournalOutput {
 public:
  JournalOutput(JournalFolder& folder, StateFolder& state_folder, UnsyncedFrames& unsynced, Header& header)
      : folder_(folder),
        state_folder_(state_folder),
        unsynced_(unsynced),
        header_(header),
        disk_(header.disk),
        next_frame_(disk_.known_frame.load() + 1) {}

  /// Begins a new file, and writes the unsynced frames to it; then all frames are on disk. `first` is the
  /// file that MANIFEST begins with: older ones are used again. It has room for so many bytes more.
  /// REQUIRES: no sync is running.
  Outcome begin_file(std::uint64_t first, std::uint64_t bytes_ahead);

  /// nullptr: none was begun.
  JournalFile* file() { return file_ ? &*file_ : nullptr; }
  bool has_room(std::uint64_t bytes) const { return file_ && file_->has_room(offset_, bytes); }

  /// Numbers these frames and keeps them as unsynced ones. An Error: the tmpfs has no room for them; nothing
  /// was done. REQUIRES: file().
  Outcome keep(std::span<char> frames);
  /// Writes what was kept last to the file. After an error of this or of a sync the file is to be left, by
  /// begin_file().
  Outcome write_kept(std::span<const char> frames);

  /// What is unsynced now is being synced.
  void begin_sync();
  /// That succeeded: the last of these frames.
  std::uint64_t end_sync();

  std::uint64_t last_frame() const { return next_frame_ - 1; }
  std::uint64_t unsynced_bytes() const { return unsynced_.bytes(); }
  std::uint64_t known_frame() const { return disk_.known_frame.load(); }

  /// More than half of the file is used: the next one is to have its room, so that a full disk is known
  /// early.
  bool is_half_full() const { return file_ && !file_->has_room(offset_, kJournalFileBytes / 2); }
  Outcome prepare_next(std::uint64_t first) { return folder_.prepare_next(kJournalFileBytes, first); }
  /// The file gives back what it does not need. REQUIRES: file(), all is on disk, nothing more comes.
  Outcome trim();

 private:
  Outcome write_unsynced();
  void be_useless(const JournalHead& head);
  void move_offset(std::uint64_t bytes);
  std::size_t known_bytes(std::string_view frames) const;

  JournalFolder& folder_;
  StateFolder& state_folder_;
  UnsyncedFrames& unsynced_;
  Header& header_;
  DiskState& disk_;
  std::optional<JournalFile> file_;
  std::uint64_t offset_ = 0;  ///< where its next frame goes
  std::uint64_t next_frame_;
  std::uint64_t newest_noted_ = 0;   ///< by this archiver
  std::uint64_t useless_ = 0;        ///< number of a file that was begun in vain
  std::uint64_t syncing_frame_ = 0;  ///< the last one that is being synced
};

}  // namespace memento
