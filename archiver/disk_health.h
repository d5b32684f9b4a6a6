// DiskHealth: whether the disk takes the journal, since when it does not, and when it is tried again. An
// error that a new file makes good at once is nobody's business. Archiver; not thread safe.
#pragma once

#include <cerrno>
#include <cstdint>

#include "shm/format/layout.h"
#include "shm/os/result.h"

namespace memento {

class DiskHealth {
 public:
  enum class Step {
    kTryAtOnce,  ///< it worked until now
    kTryLater,   ///< that did not help either
    kTryStill    ///< nor did one of the later attempts
  };

  bool works() const { return failed_ns_ == 0; }
  Step fail(const Error& error, std::int64_t now_ns) {
    error_number_ = error.error_number;
    if (failed_ns_ == 0) {
      failed_ns_ = now_ns;
      return Step::kTryAtOnce;
    }
    const bool was_first = retry_ns_ == 0;
    retry_ns_ = now_ns + kPauseNs;
    return was_first ? Step::kTryLater : Step::kTryStill;
  }
  void recover() { failed_ns_ = retry_ns_ = 0; }
  /// Something may be tried now; when not, it is worth while to sleep.
  bool may_try(std::int64_t now_ns) const { return now_ns >= retry_ns_; }
  /// It is known not to help to begin a new file, for so long at least.
  bool has_failed_for(std::int64_t duration_ns, std::int64_t now_ns) const {
    return retry_ns_ != 0 && now_ns - failed_ns_ >= duration_ns;
  }
  /// DiskState::status of this error.
  std::uint64_t status() const {
    const bool is_full = error_number_ == ENOSPC || error_number_ == EDQUOT;
    return static_cast<std::uint64_t>(is_full ? DiskStatus::kFull : DiskStatus::kFailed) |
           static_cast<std::uint64_t>(error_number_) << 8;
  }

 private:
  static constexpr std::int64_t kPauseNs = 1'000'000'000;

  std::int64_t failed_ns_ = 0;  ///< since when; 0: it works
  std::int64_t retry_ns_ = 0;   ///< 0: at once
  int error_number_ = 0;
};

/// While it lives the disk is being asked for something, and hangs if that takes long.
class DiskCall {
 public:
  enum Kind : std::size_t { kWrite, kSync };
  DiskCall(DiskState& disk, Kind kind, std::int64_t now_ns) : asked_(disk.asked_ns[kind]) {
    asked_.store(static_cast<std::uint64_t>(now_ns));
  }
  ~DiskCall() { asked_.store(0); }
  DiskCall(const DiskCall&) = delete;
  DiskCall& operator=(const DiskCall&) = delete;

 private:
  Word& asked_;
};

}  // namespace memento
