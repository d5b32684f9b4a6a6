// memento-benchmark's command line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "benchmark/load.h"
#include "benchmark/workload.h"

namespace memento {

enum class OutputFormat : std::uint8_t { kText, kCsv, kJson };

struct BenchmarkOptions {
  enum class Mode : std::uint8_t {
    kClassic,  ///< SET, GET, growing keys; from one connection and from many
    kFill,     ///< SET of each key once
    kLoad,     ///< a mix of GET and SET
  };
  Mode mode = Mode::kClassic;
  LoadPlan load;
  WorkloadPlan workload;
  OutputFormat format = OutputFormat::kText;
  std::string hdr_file;   ///< empty: none; "-": stdout
  std::string plot_file;  ///< empty: none
  bool sweeps = false;
  std::size_t sweep_step_count = 10;
  std::vector<pid_t> server_pids;  ///< empty: looked for
};

/// The options, or the status to end with; help and errors have been printed then.
struct ParsedBenchmarkOptions {
  std::optional<BenchmarkOptions> options;
  int status = 0;
};
inline constexpr int kUsageStatus = 2;

ParsedBenchmarkOptions parse_options(int argc, char** argv);

/// What a load does, in words: "50 % GET, 100000 keys (uniform), values of 32 bytes; text, 50 connections,
/// ...".
std::string describe(const BenchmarkOptions& options);

}  // namespace memento
