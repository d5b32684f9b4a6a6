// Modes that look on and print lines: --stat, --latency and its like, --monitor, --subscribe. Each ends with
// Ctrl-C, or after as many lines as -r says.
#pragma once

#include "cli/options.h"

namespace memento::cli {

CliStatus run_stat(const Options& options);
/// --latency, --latency-history, --latency-dist by options.mode.
CliStatus run_latency(const Options& options);
CliStatus run_monitor(const Options& options);
CliStatus run_subscribe(const Options& options);

/// Heights in eight steps as block characters, the highest being the largest of `values`.
std::string bars(const std::vector<double>& values);

}  // namespace memento::cli
