// SnapshotRound: a snapshot made while the keyspace is written. With the journal from the round's first file
// on it is what the data was at one moment, and at every later one that the journal comes to.
//
// What the archiver does, and why:
//
//   1  It begins a journal file f: when nothing is unsynced, and where the journal is outside of what is all
//      or nothing, be that a group of several frames or a change of whole databases (kDatabaseChange) that
//      has not ended. What former files hold was taken from the rings before any image begins, so every image
//      has it; what an image lacks is in f or later.
//   2  begin(), then step() until it says kNeedsJournal. Meanwhile it writes the journal as ever: images and
//      records need not wait for each other, for they go to different files, and the loader knows by a part's
//      position which records that part has (slot_loader.h). Only a stream of both would have to be ordered.
//   3  needed_tails(): where the rings ended behind the last step. What was copied by then is in the images,
//      perhaps without other changes of the same moment. So the journal has to have all in front of these
//      tails, synced: up to a frame L.
//   4  end_at(L), and step() until it says kDone: index and footer are written, which names L, and all is on
//      disk.
//   5  MANIFEST gets {snapshot, file f, its seed and first frame}, synced. From there on journal files in
//   front
//      of f and other snapshots may go.
//
// Until 5 MANIFEST names the former snapshot and first file: whatever dies is forgotten with its round.
//
//   writers     wait for a step of a slot's image, 100 us, like for each other. Slots that are busy come
//   later long values a run is pinned between steps, while holds_value(): who pauses then, pauses for less
//   than a
//               part of lock-timeout
//   FLUSHALL, FLUSHDB: records of each slot, like others: images from before are emptied by them, later ones
//               have them
//   SWAPDB      an image from before of one slot and one from behind it of the other would lose what they
//               exchanged. So all images of databases that had one are made again, kRestartLimit times
//   positions   a slot whose data is older than journalling gets position (1, 1) when it is copied
//   errors      end the round; what was written is of no use
//
// Memory: a step's records and the index. One object in one thread, which has no other LockOwner and no
// Keyspace while it lives; step() writes and, at the end, syncs: an archiver that must go on meanwhile calls
// it in a thread of its own, with a process record of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shm/archive/snapshot_file.h"
#include "shm/journal/image_maker.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

class Segment;

class SnapshotRound {
 public:
  static constexpr std::uint32_t kRestartLimit = 8;

  struct Options {
    const Fd* folder = nullptr;
    std::string path;  ///< the folder's, for messages
    std::uint64_t number = 0;
    Identity data_id{};
    std::uint32_t process = 0;  ///< record of the thread that calls
  };
  /// REQUIRES: step 1 of the above was done; the journal is on.
  static Result<std::unique_ptr<SnapshotRound>> begin(Segment& segment, const Options& options);
  SnapshotRound(const SnapshotRound&) = delete;
  SnapshotRound& operator=(const SnapshotRound&) = delete;

  enum class Step {
    kMore,          ///< something was done, and there is more
    kBusy,          ///< writers had what is left: a moment later
    kNeedsJournal,  ///< all images are written: needed_tails(), then end_at()
    kDone,          ///< the snapshot is on disk
  };
  /// Does a little: a quarter of a MiB at most, or what ends the file. An Error: the disk, or too many
  /// SWAPDBs.
  Result<Step> step();

  /// By process record. REQUIRES: kNeedsJournal was said.
  const std::vector<std::uint64_t>& needed_tails() const { return needed_tails_; }
  void end_at(std::uint64_t last_frame) { last_frame_ = last_frame; }

  /// Removes the file. The object is of no more use.
  Outcome cancel();

  bool holds_value() const { return maker_.holds_value(); }
  std::uint64_t number() const { return options_.number; }
  std::uint64_t written_bytes() const { return writer_.written_bytes(); }
  std::uint64_t entry_count() const { return writer_.entry_count(); }
  /// Slots whose images are written, of how many.
  std::uint64_t done_slots() const {
    return total_slots() - pending_.size() - later_.size() - (is_open_ ? 1 : 0);
  }
  std::uint64_t total_slots() const;
  /// How often images were made again.
  std::uint32_t restart_count() const { return restart_count_; }
  /// How long the last step held a slot's lock.
  std::int64_t locked_ns() const { return maker_.locked_ns(); }

 private:
  SnapshotRound(Segment& segment, Options options, SnapshotWriter writer);
  void add_slots(DatabaseId database);
  Result<Step> text_step();
  bool next_slot();
  Result<Step> image_step();
  Outcome begin_again();
  Step note_tails();

  Segment& segment_;
  const Options options_;
  SnapshotWriter writer_;
  ImageMaker maker_;
  std::vector<SlotId> pending_;  ///< the next one last
  std::vector<SlotId> later_;    ///< that were busy
  SlotId slot_;
  TextStore texts_;
  bool has_texts_ = false;       ///< their image is written, if there are some
  std::uint32_t databases_ = 0;  ///< a bit for each that there are images of
  bool is_open_ = false;         ///< an image of that slot is being made
  bool has_records_ = false;     ///< and something of it was written
  std::uint32_t busy_count_ = 0;
  std::uint32_t restart_count_ = 0;
  std::uint64_t next_image_ = 1;  ///< number
  std::string records_;
  std::vector<std::uint64_t> needed_tails_;
  std::optional<std::uint64_t> last_frame_;
  bool is_done_ = false;
};

}  // namespace memento
