// LogLimiter: log lines of one kind that strangers can cause at will; it keeps them from filling the disk. It
// writes a few of them in each period, and one line that tells how many more there were. Any process.
//
// The count is written with the kind's next line of a later period, or by flush_due(), which a process with a
// timer calls.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "conf/log.h"
#include "shm/os/clock.h"

namespace memento {

class LogLimiter {
 public:
  /// `kind`, in the plural, completes the sentence "N more KIND within S s"; a constant.
  LogLimiter(const char* kind, int lines_per_period, std::int64_t period_ms)
      : kind_(kind), lines_per_period_(lines_per_period), period_ms_(period_ms) {}

  /// `now_ms` is monotonic, as everywhere here.
  void warning(Log& log, std::string_view text, std::int64_t now_ms = monotonic_time_ns() / 1'000'000) {
    flush_due(log, now_ms);
    if (written_ == 0) began_ms_ = now_ms;
    if (written_ == lines_per_period_) {
      ++left_out_;
      return;
    }
    ++written_;
    log.warning(text);
  }

  /// Ends a period that is over, and tells what was left out in it.
  void flush_due(Log& log, std::int64_t now_ms = monotonic_time_ns() / 1'000'000) {
    if (written_ == 0 || now_ms - began_ms_ < period_ms_) return;
    written_ = 0;
    if (const std::uint64_t count = std::exchange(left_out_, 0); count > 0) {
      log.warning(std::to_string(count) + " more " + kind_ + " within " +
                  std::to_string((now_ms - began_ms_ + 500) / 1000) + " s");
    }
  }

 private:
  const char* kind_;
  int lines_per_period_;
  std::int64_t period_ms_;
  std::int64_t began_ms_ = 0;  ///< of the period; when written_ > 0
  int written_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace memento
