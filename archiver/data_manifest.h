// DataManifest: what the archiver has MANIFEST say: from where on the folder's files are the data, and
// whether anything that was answered can be missing there. Archiver; not thread safe.
#pragma once

#include <cstdint>
#include <vector>

#include "shm/archive/manifest_file.h"
#include "shm/format/frame.h"
#include "shm/format/layout.h"
#include "shm/segment.h"

namespace memento {

class DataManifest {
 public:
  /// REQUIRES: MANIFEST was written, by the master.
  DataManifest(ManifestFile file, Segment& segment) : file_(std::move(file)), segment_(segment) {}

  const Manifest& newest() const { return *file_.newest(); }
  Outcome write(Manifest manifest);

  /// The newest one is on disk, when this succeeds: only then may anything go that an older one needs.
  Outcome make_sure();

  /// It says nothing yet of what is in the folder.
  bool is_void() const { return newest().state == ManifestState::kVoid; }
  /// And there was no data when journalling began, so no snapshot is needed.
  bool begins_with_nothing() const { return is_void() && newest().first_frame != 0; }
  /// The data is this snapshot (0: nothing), and what the journal holds from this file on.
  Outcome begin_with(std::uint64_t snapshot, const JournalHead& head);
  /// It is in use.
  Outcome go_on();
  /// All is there, and nobody writes any more.
  Outcome end_clean();

  /// What replies wait for as far as MANIFEST knows.
  SyncPolicy policy() const { return policy_; }
  /// From `kAlways` on replies wait at once; MANIFEST says that nothing can be missing when all is on disk
  /// that was answered before (settle()). Away from it MANIFEST stops saying so before any reply stops
  /// waiting.
  Outcome follow(SyncPolicy wanted);
  /// `durable` has moved.
  Outcome settle();
  /// It waits for what is in the rings to be on disk.
  bool is_settling() const { return !exact_from_.empty(); }

 private:
  ManifestFile file_;
  Segment& segment_;
  SyncPolicy policy_ = SyncPolicy::kEverySecond;
  bool is_followed_ = false;
  std::vector<std::uint64_t> exact_from_;  ///< by ring; when all are on disk up to there, nothing is missing
};

}  // namespace memento
