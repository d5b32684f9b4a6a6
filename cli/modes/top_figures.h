// What `memento-cli top` shows, gathered: one sample of a server by INFO, LATENCY HISTOGRAM, SLOWLOG and
// CLUSTER NODES, and what two of them say about the time between. Pure but for take_sample().
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "cli/net/info.h"

namespace memento::cli {

/// How many calls took at most so many microseconds, cumulative, as LATENCY HISTOGRAM tells.
using Histogram = std::map<std::int64_t, double>;

struct SlowCommand {
  std::int64_t time_s = 0;
  double took_us = 0;
  std::string words;
};

struct Sample {
  std::int64_t time_ns = 0;
  Info info;
  std::map<std::string, Histogram> latencies;  ///< by command
  std::vector<SlowCommand> slow;               ///< slowest first
  std::string cluster_nodes;                   ///< CLUSTER NODES; empty: no cluster
};

Result<Sample> take_sample(Connection& connection);

struct WorkerRates {
  std::string name;
  double process_id = 0;
  double ops_per_s = 0;
  double cpu_percent = 0;
  double clients = 0;
  double private_bytes = 0;
};

struct CommandRates {
  std::string name;
  double calls_per_s = 0;
  double mean_us = 0;
  std::array<double, 3> percentiles_us{};  ///< p50, p99, p99.9: upper ends of the histogram's steps
};

struct Rates {
  double ops_per_s = 0;
  double hit_percent = -1;
  double in_bytes_per_s = 0;
  double out_bytes_per_s = 0;
  double evicted_per_s = 0;
  double expired_per_s = 0;
  std::vector<WorkerRates> workers;
  std::vector<CommandRates> commands;  ///< those that were called
  CommandRates all;
};

Rates rates_between(const Sample& before, const Sample& now);

/// The histogram of the calls between two.
Histogram difference(const Histogram& before, const Histogram& now);
/// The step's upper end below which `part` of the calls lie; 0: there were none.
double percentile_us(const Histogram& histogram, double part);

}  // namespace memento::cli
