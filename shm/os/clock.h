// The two clocks: wall time for what users see (creation, expiry, logs), monotonic time for durations.
#pragma once

#include <cstdint>
#include <ctime>

namespace memento {

/// Milliseconds since the Unix epoch.
using TimeMs = std::int64_t;

inline std::int64_t wall_time_us() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
}

inline TimeMs wall_time_ms() { return wall_time_us() / 1000; }

inline std::int64_t monotonic_time_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

inline std::int64_t monotonic_time_ms() { return monotonic_time_ns() / 1'000'000; }

}  // namespace memento
