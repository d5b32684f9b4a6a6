// One run: a seed, its schedule, faults for a while, then calm, at whose end the cluster must live. The same
// options give the same run, event by event.
#pragma once

#include <set>
#include <string>

#include "tests/simulator/schedules.h"

namespace memento::simulator {

struct RunOptions {
  std::uint64_t seed = 0;
  std::size_t schedule = 0;  ///< its place in schedules()
  std::size_t nodes = 0;     ///< 0: the schedule's own number
  std::set<std::uint64_t> skipped_faults;
  std::size_t trace_kept = 0;  ///< entries
};

enum class Verdict : std::uint8_t {
  kFine,
  kUnsafe,   ///< an invariant was broken
  kNotLive,  ///< at the end of the calm something does not work
};

struct RunResult {
  Verdict verdict = Verdict::kFine;
  std::string finding;  ///< what was broken
  std::uint64_t trace_hash = 0;
  std::string trace;
  std::uint64_t events = 0;
  std::uint64_t faults = 0;
  std::uint64_t elections = 0;
  std::uint64_t documents = 0;
  TimeNs simulated_ns = 0;
};

RunResult run(const RunOptions& options);

/// The schedule of a seed when none is named.
std::size_t schedule_of(std::uint64_t seed);

}  // namespace memento::simulator
