// From a data folder into memory: the snapshot that MANIFEST names, then the journal from its first file on,
// up to the journal's end. Whoever recovers (the archiver) calls load() once for a segment, before anybody
// reads or writes keys; several threads of its process share the slots.
//
// What it finds is checked, not believed: frames by their checksums, records by what their slots are. What
// contradicts is an error that names file, offset and frame, and nothing is loaded then; with `salvages` what
// stands before it is kept, and the journal is cut there, for good. What was never known to be on disk
// (JournalEnd) is no contradiction: it is cut off too, and the report says so.
//
// It does not go on by itself: the next file follows report.end.file behind frame report.end.frame - 1.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "shm/archive/journal_reader.h"
#include "shm/format/manifest.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

class Segment;

struct LoadOptions {
  const Fd* folder = nullptr;
  std::string path;                ///< the folder's, for messages
  Manifest manifest;               ///< its snapshot, first file and time base count
  std::uint64_t newest_file = 0;   ///< JournalBounds
  std::uint64_t synced_frame = 0;  ///< JournalBounds
  bool salvages = false;
  /// One thread for each of these process records, which are open and which nobody else uses. They are empty
  /// when load() returns.
  std::vector<std::uint32_t> processes;
  /// Called by the calling thread about 20 times a second while others load; false: load() is to end, which
  /// is an Error then. Empty: nobody asks.
  std::function<bool()> goes_on;
};

struct LoadReport {
  std::uint64_t keys = 0;
  std::uint64_t records = 0;          ///< that were applied, of snapshot and journal
  std::uint64_t dropped_records = 0;  ///< that stood twice, or that the snapshot has already
  std::uint64_t bytes = 0;            ///< of files that were read
  JournalEnd end;                     ///< where the journal ends from now on
  UnsureFrames unsure;                ///< what of it may not be on disk
  std::int64_t elapsed_ms = 0;
  std::string text;  ///< what was left out, where and why; empty: nothing. For the log, several sentences
  bool has_open_change = false;  ///< a FLUSHDB, SWAPDB or FLUSHALL was under way: finish_database_change()
};

/// Loads; Header::disk.load_bytes, loaded_bytes and loaded_keys show how far it is. An Error: the segment is
/// empty again. Sets time base, keys, slots' positions, and which databases are open; leaves Header::journal,
/// rings and Header::disk.load alone. What may not be on disk
/// is in report.unsure.
/// REQUIRES: the segment is new, or clear_for_load() was called; Header::journal is 0; nobody else reads or
/// writes keys; `processes` is not empty, and the calling thread holds no lock.
Result<LoadReport> load(Segment& segment, const LoadOptions& options);

/// Empties the keyspace, whatever a loader that died left, and draws a new memory id. An Error: no memory.
/// REQUIRES: as load(), and recover_process() was called for the records of the dead.
Outcome clear_for_load(Segment& segment);

/// Finishes the change of whole databases that the journal's end has cut in two, as this process record, and
/// with records in its ring. Due when report.has_open_change, behind Segment::begin_journal() and before
/// anything is served. False: this ring has no room; the next FLUSHDB or SWAPDB, or write that meets it,
/// finishes it.
bool finish_database_change(Segment& segment, std::uint32_t process);

}  // namespace memento
