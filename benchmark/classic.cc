// Runs the classic tests: see classic.h.
#include "benchmark/classic.h"

#include <cerrno>
#include <cstdio>

namespace memento {
namespace {

void print_result(const std::string& name, const LoadResult& result, bool as_csv) {
  const auto us = [&result](double percent) {
    return static_cast<double>(result.latency.percentile(percent)) / 1e3;
  };
  const double max_us = static_cast<double>(result.latency.max()) / 1e3;
  if (as_csv) {
    std::printf("%s,%.3f,%.0f,%.1f,%.1f,%.1f,%.1f\n", name.c_str(), result.elapsed_s, result.replies_per_s(),
                us(50), us(99), us(99.9), max_us);
  } else {
    std::printf(
        " [%s] - Elapsed time: %.3f s  Op/s: %.0f  p50: %.1f us  p99: %.1f us  p99.9: %.1f us  max: %.1f "
        "us\n",
        name.c_str(), result.elapsed_s, result.replies_per_s(), us(50), us(99), us(99.9), max_us);
  }
  std::fflush(stdout);
}

/// Runs and prints one load; false when it failed or a reply was an error.
bool measure(const std::string& name, const LoadPlan& plan, Workload& workload, bool as_csv) {
  const std::optional<LoadResult> result = run_and_complain(name, plan, workload);
  if (!result) return false;
  print_result(name, *result, as_csv);
  return result->error_count == 0;
}

}  // namespace

std::optional<LoadResult> run_and_complain(const std::string& name, const LoadPlan& plan,
                                           Workload& workload) {
  Result<LoadResult> result = run_load(plan, workload);
  if (!result) {
    std::fprintf(stderr, "memento-benchmark: %s: %s\n", name.c_str(), result.error().message.c_str());
    if (result.error().error_number == ECONNREFUSED)
      std::fprintf(stderr,
                   "memento-benchmark: is the server running? Start it with `memento`, or name HOST PORT\n");
    return std::nullopt;
  }
  if (result->error_count > 0) {
    std::fprintf(stderr, "memento-benchmark: %s: %llu replies were errors; the first: %s\n", name.c_str(),
                 static_cast<unsigned long long>(result->error_count), result->first_error.c_str());
  }
  if (result->mismatch_count > 0) {
    std::fprintf(stderr, "memento-benchmark: %s: %llu replies were not what was written; the first: %s\n",
                 name.c_str(), static_cast<unsigned long long>(result->mismatch_count),
                 result->first_mismatch.c_str());
  }
  return std::move(*result);
}

bool run_classic(const BenchmarkOptions& options) {
  struct Test {
    const char* name;
    Workload workload;
  };
  const bool prints_csv = options.format == OutputFormat::kCsv;
  std::vector<Test> tests;
  tests.push_back({"SET", Workload::repeat("SET keyone valueone")});
  tests.push_back({"GET", Workload::repeat("GET keyone")});
  tests.push_back({"SET growing keys", Workload::grow(options.load.request_count)});

  bool is_good = true;
  std::vector<std::size_t> connection_counts{1};
  if (options.load.connection_count > 1) connection_counts.push_back(options.load.connection_count);
  for (const std::size_t connection_count : connection_counts) {
    LoadPlan plan = options.load;
    plan.connection_count = connection_count;
    if (!prints_csv) {
      std::printf("%zu connection%s, pipeline %zu, %zu operations each:\n", connection_count,
                  connection_count == 1 ? "" : "s", plan.pipeline_depth, plan.request_count);
    }
    for (Test& test : tests) is_good = measure(test.name, plan, test.workload, prints_csv) && is_good;
  }
  return is_good;
}

}  // namespace memento
