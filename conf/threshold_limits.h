// The largest values of the thresholds of SLOWLOG and LATENCY, the same for the configuration and CONFIG SET:
// CONFIG REWRITE writes what the latter took for the former to read.
#pragma once

#include <cstdint>

namespace memento {

inline constexpr std::int64_t kLargestSlowAfterUs = 86'400'000'000;
inline constexpr std::int64_t kLargestSlowShown = 1'000'000;
inline constexpr std::int64_t kLargestLatencyAfterMs = 86'400'000;

}  // namespace memento
