// The classic run: SET of one key, GET of one key, SET of growing keys, each from one connection and then
// from many.
#pragma once

#include "benchmark/options.h"

namespace memento {

/// Prints a line for each test; false when one failed or a reply was an error.
bool run_classic(const BenchmarkOptions& options);

/// Runs a load; failures and error replies are told on stderr. Nothing when there is no result.
std::optional<LoadResult> run_and_complain(const std::string& name, const LoadPlan& plan, Workload& workload);

}  // namespace memento
