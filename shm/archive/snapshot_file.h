// Snapshots in a data folder (shm/format/snapshot.h): SnapshotWriter makes one, slot by slot; SnapshotReader
// gives the slots' images by the index. A file counts when MANIFEST names it; until then nobody looks at it,
// so what a writer that died has left is overwritten or removed.
//
//   snapshot-0000000003   snapshot 3
//
// Archiver; recovery. Not thread safe, but readers of one file are independent of each other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/archive/frame_bytes.h"
#include "shm/format/snapshot.h"
#include "shm/format/typed_number.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

/// The name of a snapshot, and the number of a name; 0: it is none's.
std::string snapshot_file_name(std::uint64_t number);
std::uint64_t snapshot_file_number(std::string_view name);

/// Removes all but this one; 0: all. REQUIRES: MANIFEST names it, or none, and is synced.
Outcome remove_snapshots_but(const Fd& folder, const std::string& path, std::uint64_t number);

class SnapshotWriter {
 public:
  /// A new file, or one that a predecessor did not finish, begun anew. Draws the seed.
  static Result<SnapshotWriter> begin(const Fd& folder, const std::string& path, SnapshotHead head,
                                      std::uint64_t memory_id);

  /// REQUIRES: no other one is open.
  void begin_slot(SlotId slot);
  /// Whole records of the slot's image, of kFramePayloadLimit at most each. Written when there are enough.
  Outcome add(std::string_view records);
  void end_slot(std::uint64_t entries);
  /// The slot that is open, and those of this database, do not count, as if they had not been begun.
  void abandon_slot() { open_.reset(); }
  void forget(DatabaseId database);

  /// Index and footer, all on disk, the name too. `last_frame`: what of the journal it needs. REQUIRES: no
  /// slot is open.
  Outcome finish(std::uint64_t last_frame);

  std::uint64_t written_bytes() const { return offset_; }
  std::uint64_t entry_count() const;

 private:
  SnapshotWriter() = default;
  Outcome write_frames();

  Fd file_;
  const Fd* folder_ = nullptr;
  std::string folder_path_;
  std::string path_;
  SnapshotHead head_;
  std::uint64_t memory_id_ = 0;
  FrameBuilder builder_;
  std::uint64_t offset_ = 0;     ///< behind what was written
  std::uint64_t handed_on_ = 0;  ///< up to where the kernel was asked to write to the disk
  std::uint64_t next_frame_ = 1;
  std::uint64_t next_place_ = 0;  ///< where the next record would stand in a ring
  std::optional<SnapshotIndexEntry> open_;
  std::vector<SnapshotIndexEntry> index_;
};

/// With its checksum, which the file's seed makes that of no other file.
std::string snapshot_footer_bytes(SnapshotFooter footer, std::uint64_t seed);

class SnapshotReader {
 public:
  /// An Error: it cannot be read, or is damaged, which it must not be.
  static Result<SnapshotReader> open(const Fd& folder, const std::string& path, std::uint64_t number);

  const SnapshotHead& head() const { return head_; }
  const SnapshotFooter& footer() const { return footer_; }
  const std::vector<SnapshotIndexEntry>& index() const { return index_; }
  const std::string& path() const { return path_; }
  std::uint64_t size_bytes() const { return size_bytes_; }

  /// The frame at an offset, which moves behind it; valid until the next one is read. An Error names what is
  /// wrong there.
  Result<const std::vector<FrameRecord>*> read_frame_at(std::uint64_t* offset);

 private:
  SnapshotReader() = default;
  Outcome read_ends(std::uint64_t number);
  Result<std::string_view> bytes_at(std::uint64_t offset, std::uint64_t count);
  Error damaged(std::uint64_t offset, const std::string& what) const;

  Fd file_;
  std::string path_;
  std::uint64_t size_bytes_ = 0;
  SnapshotHead head_;
  SnapshotFooter footer_;
  std::vector<SnapshotIndexEntry> index_;
  std::vector<FrameRecord> records_;
  std::string window_;  ///< bytes of the file, read ahead
  std::uint64_t window_begin_ = 0;
};

}  // namespace memento
