// A clock that is cheap enough to be read between commands: the processor's time stamp counter where there is
// one.
#pragma once

#include <cstdint>

#include "shm/os/clock.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace memento {

#if defined(__x86_64__)
inline std::uint64_t cpu_ticks() { return __rdtsc(); }

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
#else
inline std::uint64_t cpu_ticks() { return static_cast<std::uint64_t>(monotonic_time_ns()); }
inline double ticks_per_ns() { return 1.0; }
#endif

inline std::uint64_t ticks_to_ns(std::uint64_t ticks) {
  return static_cast<std::uint64_t>(static_cast<double>(ticks) / ticks_per_ns());
}

}  // namespace memento
