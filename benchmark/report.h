// Report: a load's result as text, comma-separated values, JSON and HdrHistogram's percentile text.
#pragma once

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "benchmark/load.h"
#include "benchmark/options.h"

namespace memento {

/// The percentiles that are reported, beside the largest value.
struct ReportedPercentile {
  double percent;
  const char* name;
};
inline constexpr std::array kReportedPercentiles{
    ReportedPercentile{50, "p50"}, ReportedPercentile{90, "p90"}, ReportedPercentile{99, "p99"},
    ReportedPercentile{99.9, "p99.9"}, ReportedPercentile{99.99, "p99.99"}};

/// One measured load; rate_per_s is 0 for a closed loop.
struct MeasuredRun {
  std::string name;
  double rate_per_s = 0;
  LoadResult result;
};

void print_text(const MeasuredRun& run);
/// A header line and a line for each run.
void print_csv(const BenchmarkOptions& options, const std::vector<MeasuredRun>& runs);
void print_json(const BenchmarkOptions& options, const std::vector<MeasuredRun>& runs);
/// A table of the rates and what was reached.
void print_sweep(const std::vector<MeasuredRun>& runs);

/// HdrHistogram's percentile distribution (outputPercentileDistribution), values in milliseconds.
std::string hdr_text(const Histogram& histogram);

/// Open loop: whether what fell due was done in the time it was due in.
bool is_rate_reached(const MeasuredRun& run);

/// True when the client used nearly all of its CPU, so that the figures are its own limits.
bool is_client_bound(const LoadResult& result);

}  // namespace memento
