// A clock that is cheap enough to be read between commands: the processor's time stamp counter.
#pragma once

#include <x86intrin.h>

#include <cstdint>

#include "shm/os/clock.h"

namespace memento {

inline std::uint64_t cpu_ticks() { return __rdtsc(); }

/// The same, read behind whatever comes before it: rdtsc may be executed ahead of the atomic exchange that
/// takes a lock.
inline std::uint64_t cpu_ticks_in_order() {
  unsigned processor = 0;
  return __rdtscp(&processor);
}

/// Found once per process, against the monotonic clock for two milliseconds.
inline double ticks_per_ns() {
  static const double ratio = [] {
    const std::int64_t begin_ns = monotonic_time_ns();
    const std::uint64_t begin = cpu_ticks();
    while (monotonic_time_ns() - begin_ns < 2'000'000) {
    }
    return static_cast<double>(cpu_ticks() - begin) / static_cast<double>(monotonic_time_ns() - begin_ns);
  }();
  return ratio;
}

inline std::uint64_t ticks_to_ns(std::uint64_t ticks) {
  return static_cast<std::uint64_t>(static_cast<double>(ticks) / ticks_per_ns());
}

}  // namespace memento
