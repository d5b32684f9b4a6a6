// Scenarios: what is stepped through. Each begins in an empty segment of its own; `setup` is run as it is, by
// the process named, `operations` are the victim's, one instruction at a time, a crash after each distinct
// state.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "shm/format/layout.h"
#include "tests/crash/aftermath.h"
#include "tests/crash/operation.h"

namespace memento::crash {

/// A word of the segment.
struct Place {
  const char* name;
  const Word& (*word)(Segment&);
};

struct Scenario {
  std::string name;
  std::vector<Operation> setup;  ///< the victim's
  std::vector<Operation> operations;
  std::function<void(Segment&)> prepare = {};  ///< between setup and operations
  std::uint64_t stride = 1;                    ///< explore one state in so many
  std::uint64_t page_limit = 0;  ///< of the arena, so that memory is short early; 0: all of the segment
  bool evicts = false;           ///< keys may go
  std::string watched = {};      ///< this key is, from the setup on: what changed it must show
  std::vector<Place> reaches =
      {};                        ///< what the operations must have changed, lest the scenario shows nothing
  bool only_when_long = false;   ///< it takes a minute: left to `make crash-test`
  std::uint64_t ring_bytes = 0;  ///< not 0: with a journal that nobody reads, in rings of this size
};

/// Which states are explored and where helpers die: another seed, other ones.
struct Sampling {
  std::uint64_t seed = 1;
  std::uint64_t density = 1;  ///< so many times as many of the states that are sampled only
  std::uint64_t helpers = 1;  ///< that die, for each state
};

/// Every operation of the keyspace in every situation that takes another path.
std::vector<Scenario> all_scenarios();
/// A random history of so many operations on a handful of keys.
Scenario random_scenario(std::uint64_t seed, std::size_t operation_count);

struct ScenarioResult {
  Totals totals;
  std::vector<std::string> failures;
};
/// Stops at the first operation with a failure.
ScenarioResult run_scenario(const Scenario& scenario, const Sampling& sampling);

}  // namespace memento::crash
