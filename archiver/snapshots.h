// Snapshots: when one is made, and what comes of it. A snapshot makes all files of the journal in front of
// the one that it began with superfluous: so one is due when clients ask for it, at times, and when the
// journal has grown longer than the data; and when there was data before there was a journal. Archiver; not
// thread safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "archiver/archiver.h"
#include "archiver/data_manifest.h"
#include "archiver/releases.h"
#include "archiver/snapshot_thread.h"
#include "shm/format/frame.h"
#include "shm/os/clock.h"

namespace memento {

class Snapshots {
 public:
  Snapshots(const ArchiverProcess& process, DataManifest& manifest);

  /// One is to be begun, with a new file of the journal.
  bool is_due(std::int64_t now_ns);
  /// That file was begun. REQUIRES: is_due(); see SnapshotRound for what else.
  void begin(const JournalHead& head);
  /// Without one the folder is of no use.
  bool is_first_missing() const { return manifest_.is_void() && !manifest_.begins_with_nothing(); }
  bool is_under_way() const { return thread_.has_value(); }
  /// No rate is kept any more.
  void hurry() { hurries_ = true; }
  /// The journal has to be synced soon for the one under way.
  bool needs_sync() const { return !needed_tails_.empty(); }

  /// Looks how far the one under way is. True: MANIFEST names it from now on, and what it makes superfluous
  /// is removed. `known_frame` and what of the rings is on disk. An Error: MANIFEST could not be written.
  Result<bool> turn(const Releases& releases, std::uint64_t known_frame);

  /// Gives up the one under way; nothing else comes of it.
  void cancel() { thread_.reset(); }

 private:
  void keep_rate();
  void fail(const Error& error);
  Result<bool> finish();
  bool is_asked_for() const;
  std::uint64_t rate_limit() const;
  void note_found_snapshot();
  bool is_journal_long() const;
  std::int64_t journal_length() const;

  const ArchiverProcess& process_;
  DataManifest& manifest_;
  DiskState& disk_;
  std::optional<SnapshotThread> thread_;
  JournalHead head_;
  std::vector<std::uint64_t> needed_tails_;
  bool hurries_ = false;
  std::int64_t began_ns_ = 0;
  const std::uint64_t start_ms_ = static_cast<std::uint64_t>(wall_time_ms());
  std::int64_t retry_at_ns_ = 0;  ///< behind one that failed
  /// DiskState::journal_bytes when MANIFEST's first file began, in front of this segment's life below 0; and
  /// when the snapshot under way did.
  std::int64_t first_bytes_ = 0;
  std::int64_t begun_bytes_ = 0;
  std::uint64_t begun_changes_ = 0;  ///< Segment::change_count() then
  std::int64_t rate_ns_ = 0;         ///< when the journal's rate was looked at,
  std::uint64_t rate_bytes_ = 0;     ///< and how long it was then
  std::uint64_t journal_rate_ = 0;
};

}  // namespace memento
