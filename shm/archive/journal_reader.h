// JournalReader: the journal as it is found on disk, after whatever happened: frames in order, and where and
// why it ends. It gives out nothing that was not written so, nothing behind a gap, and no part of what is all
// or nothing. Recovery, and who looks at a journal; not thread safe.
//
// The files form a chain: each head names the file it follows and the last frame in front of it. Of several
// that follow one file the latest counts; so of two frames with one number the later file's does.
//
// Where it ends. Pages reach the disk in any order, so after a loss of power any part of what was not synced
// may be missing, and frames behind it be there. Hence, where frame n is missing or damaged:
//   - somebody knew that n was on disk: corruption. A later frame says that n was synced; or a later file
//     begins behind n, for it was begun when all before it was on disk; or a segment knows it
//   - nobody did: the journal ends in front of n. What is behind it was never promised to anybody
//   - and in any case in front of a change that is all or nothing and whose last frame is not there. One that
//   an
//     archiver died in is no such end: its frames, which the next one does not continue, are left out
// The newest file whose head is no head was begun and not used, unless `newest` says that it was, or a frame
// that would come next stands in it: then that is corruption.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/archive/frame_bytes.h"
#include "shm/archive/journal_folder.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

/// What is known of a journal from elsewhere. All 0: nothing, it begins with the oldest file that the newest
/// one leads back to.
struct JournalBounds {
  std::uint64_t first_file = 0;  ///< of MANIFEST
  std::uint64_t first_seed = 0;  ///< its seed and frame must be these; 0: any
  std::uint64_t first_frame = 0;
  std::uint64_t newest_file = 0;   ///< of the state folder: this one was begun, and is to be there
  std::uint64_t synced_frame = 0;  ///< of a segment: this one was on disk, and is to be there
};

struct JournalEnd {
  enum class Kind {
    kWhole,      ///< nothing is behind the last frame
    kTorn,       ///< what is behind it was never known to be on disk
    kOpenGroup,  ///< so is the rest of a change that is all or nothing
    kCorrupt     ///< what was on disk is missing or damaged
  };
  Kind kind = Kind::kWhole;
  std::uint64_t file = 0;    ///< the last one that counts
  std::uint64_t offset = 0;  ///< there: where what counts ends
  std::uint64_t frame = 0;   ///< number of the first frame that does not count
  std::uint64_t lost_frames =
      0;                         ///< of kCorrupt: that are known to have been there from `frame` on, at least
  std::uint64_t lost_bytes = 0;  ///< and up to where they stand
  std::string text;              ///< what was found, where; without a full stop

  bool is_corrupt() const { return kind == Kind::kCorrupt; }
};

/// A frame with its records, valid until the next one is asked for. Numbers grow, by more than one where
/// frames are left out.
struct JournalFrame {
  FrameView frame;
  std::vector<FrameRecord> records;
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
};

/// The last frames of a journal, of which nobody says that they were on disk: no later frame, and no later
/// file. Reading shows them, but a sync of them may have failed, and have told that to a process that is
/// dead; then no later sync writes them, or tells it again. So what goes on behind them has them written
/// again, to a new file.
struct UnsureFrames {
  std::string bytes;              ///< one behind the other, as they are; empty: there are none
  std::uint64_t former_file = 0;  ///< what goes on follows this file, whose head and frames were on disk,
  std::uint64_t former_end = 0;   ///< up to this frame
  std::uint64_t memory_id = 0;    ///< of these frames
};

class JournalReader {
 public:
  /// The journal in a folder. An Error: it cannot be read; what is missing or damaged is told by end().
  static Result<JournalReader> open(const Fd& folder, const std::string& path, const JournalBounds& bounds);

  /// Another one of the same files, which share their descriptors: for another thread. REQUIRES: next() was
  /// not called.
  JournalReader copy() const;

  /// One file by itself, whatever it is called and whatever comes before and behind it.
  static Result<JournalReader> open_file(const std::string& path);

  /// The next frame; nullptr: there is none, and end() says why. An Error: the disk could not be read.
  Result<const JournalFrame*> next();

  /// The journal ends in front of the frame that next() has given last, as corrupt: what is in it cannot be.
  /// next() gives nothing more. REQUIRES: it does not go on with a change that an earlier one began.
  Outcome end_before_last(const std::string& fault);

  /// REQUIRES: next() has given nullptr, or end_before_last() was called.
  const JournalEnd& end() const { return *end_; }

  /// Makes the end found the end for good, on disk: cuts the last file off there, having emptied the files
  /// behind it, the latest first, so that any of these steps may be the last one. REQUIRES: as end().
  Outcome cut();

  /// What of the journal may be in the kernel's memory only. An Error: the disk could not be read.
  /// REQUIRES: as end(), and cut() was not called.
  Result<UnsureFrames> unsure_frames();

  /// The number of the file that was read first, 0: there is none.
  std::uint64_t first_file() const { return files_.empty() ? 0 : files_.front().number; }
  /// Of the files that are read: how many bytes they are long, and how many of them have been read.
  std::uint64_t total_bytes() const;
  std::uint64_t read_bytes() const;

 private:
  struct File {
    std::shared_ptr<const Fd> fd;
    std::string path;
    std::uint64_t number = 0;  ///< by its name
    std::uint64_t size_bytes = 0;
    std::optional<JournalHead> head;  ///< nothing: it has none, or another file's
  };
  /// Where a frame is looked for.
  struct Place {
    std::size_t file = 0;  ///< index into files_
    std::uint64_t offset = kJournalHeadBytes;
    std::uint64_t number = 1;
    std::uint64_t memory_id = 0;  ///< of the file's frame in front of it; 0: there is none

    void pass(const FrameHeader& frame) {
      offset += frame.frame_bytes();
      memory_id = frame.memory_id;
      ++number;
    }
  };
  /// What stands behind a missing frame.
  struct Behind {
    std::uint64_t highest = 0;  ///< number of a frame; 0: there is none
    std::uint64_t synced = 0;   ///< highest that one of them says to have been on disk
    std::uint64_t bytes = 0;    ///< up to the end of the last one, of all files
  };

  JournalReader() = default;
  static Result<File> open_one(Fd fd, std::string path, std::uint64_t number);
  void choose_chain(std::vector<File> found, const JournalBounds& bounds);

  bool leads_on(const Place& place) const;
  Result<bool> find_frame(Place& place, FrameView* frame);
  enum class Group { kWhole, kAbandoned, kEnd };
  Result<Group> look_at_group(Place* place);
  void end_in_front_of(const Place& begin);
  Outcome end_at(const Place& missing, const std::string& fault);
  Result<Behind> look_behind(const Place& missing);
  Result<Behind> scan_file(const File& file, std::uint64_t begin, std::uint64_t above,
                           std::uint64_t memory_id);
  Result<std::string> fault_of(const Place& missing, const Behind& behind);
  Result<std::string> fault_of_later_files(std::uint64_t missing_number);
  Result<std::string_view> bytes_at(const File& file, std::uint64_t offset, std::uint64_t count);

  std::vector<File> files_;  ///< the chain
  std::vector<File> later_;  ///< files with higher numbers that are not in it, ascending
  std::uint64_t newest_file_ = 0;
  std::uint64_t synced_frame_ = 0;
  std::string fault_;  ///< why there is no chain; empty: there is, or nothing is there

  Place place_;                    ///< of the next frame
  std::optional<Place> left_out_;  ///< where frames begin that were left out directly in front of place_
  std::uint64_t known_frame_ = 0;  ///< highest of which a frame says that it was on disk
  std::uint64_t whole_until_ = 0;  ///< number of the last frame of the group that place_ is in
  JournalFrame frame_;
  std::optional<JournalEnd> end_;

  std::string window_;  ///< bytes of a file, read ahead
  const File* window_file_ = nullptr;
  std::uint64_t window_begin_ = 0;
};

}  // namespace memento
