// GroupCommit: whether a group of changes waits for more of them in front of its sync. Clients that wait for
// the disk come again when it has answered, one after the other; a sync that begins with the first of them
// serves few, and the others wait for two. So while there is less than groups had lately it waits, as long as
// more keeps coming, and not longer than a sync takes; one client alone does not wait. (As PostgreSQL's
// commit_delay, which is a setting there.) Archiver, with `fsync always`; not thread safe.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "shm/os/clock.h"

namespace memento {

class GroupCommit {
 public:
  /// A group of so many bytes was synced.
  void note(std::uint64_t bytes, std::int64_t sync_ns) {
    usual_bytes_ = std::max(bytes, usual_bytes_ - usual_bytes_ / kForgotten);
    sync_ns_ += (sync_ns - sync_ns_) / kForgotten;
  }

  /// A group of so many bytes, that has waited for so long, is to wait still.
  bool is_to_wait(std::uint64_t bytes, std::int64_t waited_ns) const {
    return bytes < usual_bytes_ - usual_bytes_ / kForgotten && waited_ns < std::min(sync_ns_, kLongestNs);
  }

  /// Waits as long as it is to, and more keeps coming. waiting_bytes(): how much there is.
  template <class WaitingBytes>
  void gather(WaitingBytes&& waiting_bytes) const {
    constexpr timespec kPause{0, 40'000};
    const std::int64_t begin_ns = monotonic_time_ns();
    std::uint64_t bytes = waiting_bytes();
    for (std::uint64_t before = 0; bytes != before && is_to_wait(bytes, monotonic_time_ns() - begin_ns);) {
      nanosleep(&kPause, nullptr);
      before = std::exchange(bytes, waiting_bytes());
    }
  }

 private:
  static constexpr int kForgotten = 8;  ///< a change of habit is half forgotten after about five groups
  static constexpr std::int64_t kLongestNs = 2'000'000;

  std::uint64_t usual_bytes_ = 0;  ///< of the largest of the last groups
  std::int64_t sync_ns_ = 0;       ///< mean
};

}  // namespace memento
