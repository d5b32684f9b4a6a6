// Times of the rules between members. All are measured by the node's own clock, which goes on while the
// machine sleeps (CLOCK_BOOTTIME) and whose rate is within 3 % of the others'.
#pragma once

#include <cstdint>

namespace memento::bus {

/// Nanoseconds since some moment, or between two.
using TimeNs = std::int64_t;

inline constexpr TimeNs kMillisecondNs = 1'000'000;
inline constexpr TimeNs kNever = INT64_MAX;

struct Timing {
  TimeNs lease_ns = 3000 * kMillisecondNs;        ///< L: --cluster-timeout
  TimeNs heartbeat_ns = 250 * kMillisecondNs;     ///< from a leader to all members
  TimeNs silence_ns = 500 * kMillisecondNs;       ///< without a heartbeat a member may stand
  TimeNs spread_ns = 300 * kMillisecondNs;        ///< ... up to so much later, so that few stand at once
  TimeNs non_voter_ns = 800 * kMillisecondNs;     ///< ... and so much later if it is no voter
  TimeNs retry_ns = 400 * kMillisecondNs;         ///< between two attempts of a member
  TimeNs retry_spread_ns = 600 * kMillisecondNs;  ///< ... and up to so much more
  TimeNs step_down_ns = 1000 * kMillisecondNs;    ///< a leader that no majorities answer ends
};

/// `duration_ns` by any clock of the cluster has passed when this has passed by one's own.
inline constexpr TimeNs with_clock_slack(TimeNs duration_ns) { return duration_ns + duration_ns * 3 / 100; }

}  // namespace memento::bus
