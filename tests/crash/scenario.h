// Scenarios: what is stepped through. Each begins in an empty segment of its own; `setup` is run as it is, by
// the process named, `operations` are the victim's, one instruction at a time, a crash after each distinct
// state.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/crash/aftermath.h"
#include "tests/crash/operation.h"

namespace memento::crash {

struct Scenario {
  std::string name;
  std::vector<Operation> setup;  ///< the victim's
  std::vector<Operation> operations;
  std::function<void(Segment&)> prepare = {};  ///< between setup and operations
  std::uint64_t stride = 1;  ///< explore every so many states: for operations that lock all 8192 slots
};

/// Every operation of the keyspace in every situation that takes another path.
std::vector<Scenario> all_scenarios();
/// A random history of so many operations on a handful of keys.
Scenario random_scenario(std::uint64_t seed, std::size_t operation_count);

struct ScenarioResult {
  Totals totals;
  std::vector<std::string> failures;
};
/// Stops at the first operation with a failure. `thin_copies`: of the states within a long copy into memory
/// nobody can reach yet, every 128th is explored.
ScenarioResult run_scenario(const Scenario& scenario, bool thin_copies);

}  // namespace memento::crash
