// SnapshotThread: one round of a snapshot (shm/archive/snapshot_round.h) in a thread of its own, which waits
// as long as it is too fast. Only the owner's thread calls it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "shm/archive/snapshot_round.h"
#include "shm/format/layout.h"
#include "shm/os/result.h"
#include "shm/segment.h"

namespace memento {

class SnapshotThread {
 public:
  /// Begins at once. DiskState::save_slots says how far it is.
  SnapshotThread(Segment& segment, SnapshotRound::Options options, std::uint64_t bytes_per_s);
  /// Gives up what is not done, and waits for that.
  ~SnapshotThread();
  SnapshotThread(const SnapshotThread&) = delete;
  SnapshotThread& operator=(const SnapshotThread&) = delete;

  std::uint64_t number() const { return options_.number; }
  /// 0: as fast as it can.
  void set_rate(std::uint64_t bytes_per_s) { bytes_per_s_ = bytes_per_s; }

  /// Once: the images are written; the journal has to be on disk up to these tails. Then end_at().
  std::optional<std::vector<std::uint64_t>> take_needed_tails();
  void end_at(std::uint64_t last_frame);
  /// Of the snapshot that is done.
  std::uint64_t file_bytes() const { return file_bytes_; }
  /// Done, the snapshot is on disk; or an Error, and there is none.
  std::optional<Outcome> outcome();

 private:
  void run();
  Outcome make();
  Outcome end(SnapshotRound& round);
  bool wait_for(std::int64_t duration_ns);
  void keep_rate(const SnapshotRound& round);

  Segment& segment_;
  const SnapshotRound::Options options_;
  std::atomic<std::uint64_t> bytes_per_s_;
  std::atomic<std::uint64_t> file_bytes_{0};
  std::int64_t pace_ns_ = 0;       ///< so much time was due for
  std::uint64_t paced_bytes_ = 0;  ///< so many bytes; the thread's own
  std::mutex mutex_;
  std::condition_variable told_;
  std::atomic<bool> ends_{false};  ///< set under the mutex, as all that follow are changed
  std::optional<std::vector<std::uint64_t>> needed_tails_;
  std::optional<std::uint64_t> last_frame_;
  std::optional<Outcome> outcome_;
  std::thread thread_;  ///< last: it uses the others
};

}  // namespace memento
