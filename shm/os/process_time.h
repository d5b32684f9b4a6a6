// Whether another process has done anything: what tells a busy one from a stopped one. Linux: /proc.
#pragma once

#include <cstdint>

#include "shm/os/clock.h"

namespace memento {

/// Nanoseconds that a process, all of its threads, has run or, its main thread, waited for a processor. It
/// grows while the process is busy, also on a machine that gives it little; not while it is stopped, sleeps,
/// or is dead. 0: not known, or there is no such process (also for id 0).
std::uint64_t active_time_ns(std::uint32_t process_id);

/// Tells, of a process that somebody waits for, how long it has done nothing, and how long it was looked at
/// at all.
class ActivityWatch {
 public:
  /// From time to time while one waits.
  void look(std::uint32_t process_id, std::int64_t now_ms);
  /// What one waited for has come.
  void reset() { *this = {}; }
  std::int64_t idle_ms(std::int64_t now_ms) const { return is_set_ ? now_ms - active_ms_ : 0; }
  std::int64_t waited_ms(std::int64_t now_ms) const { return is_set_ ? now_ms - begin_ms_ : 0; }

 private:
  bool is_set_ = false;
  std::int64_t begin_ms_ = 0;
  std::int64_t active_ms_ = 0;  ///< seen to have done something
  std::uint64_t seen_ns_ = 0;
};

}  // namespace memento
