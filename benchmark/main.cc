// memento-benchmark: measures a server from outside, through its text protocol.
//
// Without a mode it is the classic run: SET of one key, GET of one key, SET of growing keys, each from one
// connection and then each from many. --mix loads random keys with a share of GETs; --fill only writes the
// keys. It changes data on the server it is pointed at and removes nothing.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "benchmark/load.h"

namespace memento {
namespace {

enum class BenchmarkStatus : int { kOk = 0, kFailed = 1, kUsage = 2 };

struct Options {
  LoadPlan plan;
  std::size_t value_size_bytes = 32;
  std::size_t key_count = 100'000;
  unsigned get_percent = 50;
  bool is_mix = false;
  bool is_fill = false;
  bool prints_csv = false;
};

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
bool measure(const std::string& name, const LoadPlan& plan, const Workload& workload, bool as_csv) {
  const Result<LoadResult> result = run_load(plan, workload);
  if (!result) {
    std::fprintf(stderr, "memento-benchmark: %s: %s\n", name.c_str(), result.error().message.c_str());
    std::fprintf(stderr,
                 "memento-benchmark: is the server running? Start it with `memento`, or name HOST PORT\n");
    return false;
  }
  print_result(name, *result, as_csv);
  if (result->error_count == 0) return true;
  std::fprintf(stderr, "memento-benchmark: %s: %llu replies were errors; the first: %s\n", name.c_str(),
               static_cast<unsigned long long>(result->error_count), result->first_error.c_str());
  return false;
}

bool run_classic(const Options& options) {
  struct Test {
    const char* name;
    Workload workload;
  };
  std::vector<Test> tests;
  tests.push_back({"SET", Workload::repeat("SET keyone valueone")});
  tests.push_back({"GET", Workload::repeat("GET keyone")});
  tests.push_back({"SET growing keys", Workload::grow(options.plan.request_count)});

  bool is_good = true;
  std::vector<std::size_t> connection_counts{1};
  if (options.plan.connection_count > 1) connection_counts.push_back(options.plan.connection_count);
  for (const std::size_t connection_count : connection_counts) {
    LoadPlan plan = options.plan;
    plan.connection_count = connection_count;
    if (!options.prints_csv) {
      std::printf("%zu connection%s, pipeline %zu, %zu operations each:\n", connection_count,
                  connection_count == 1 ? "" : "s", plan.pipeline_depth, plan.request_count);
    }
    for (const Test& test : tests) {
      is_good = measure(test.name, plan, test.workload, options.prints_csv) && is_good;
    }
  }
  return is_good;
}

bool run_mode(Options options) {
  if (options.is_fill) {
    options.plan.request_count = options.key_count;
    return measure("FILL", options.plan, Workload::fill(options.key_count, options.value_size_bytes),
                   options.prints_csv);
  }
  if (options.is_mix) {
    const std::string name = "GET " + std::to_string(options.get_percent) + " %";
    return measure(name, options.plan,
                   Workload::mix(options.key_count, options.get_percent, options.value_size_bytes),
                   options.prints_csv);
  }
  return run_classic(options);
}

int main_of_benchmark(int argc, char** argv) {
  Options options;
  LoadPlan& plan = options.plan;
  CLI::App app(
      "Measures a memento server. Without --mix or --fill: SET, GET and SET of growing keys, from one\n"
      "connection and from many. Writes keys to the server (keyone, keyN, key:N) and removes none.",
      "memento-benchmark");
  const auto positive = CLI::Range(std::size_t{1}, std::size_t{1} << 40U);
  app.add_option("HOST", plan.server.host, "The server's name or address")->capture_default_str();
  app.add_option("PORT", plan.server.port, "The server's port")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  app.add_option("-c,--connections", plan.connection_count, "Connections")
      ->capture_default_str()
      ->check(positive);
  app.add_option("-P,--pipeline", plan.pipeline_depth, "Requests sent before their replies are awaited")
      ->capture_default_str()
      ->check(positive);
  app.add_option("-n,--requests", plan.request_count, "Operations of each test")
      ->capture_default_str()
      ->check(positive);
  app.add_option("-d,--value-size", options.value_size_bytes, "Value bytes, with --mix and --fill")
      ->capture_default_str()
      ->check(positive);
  app.add_option("-r,--keyspace", options.key_count, "Number of keys, with --mix and --fill")
      ->capture_default_str()
      ->check(positive);
  app.add_option("-t,--threads", plan.thread_count, "Threads, each with an epoll loop")
      ->capture_default_str()
      ->check(positive);
  CLI::Option* mix = app.add_option("--mix", options.get_percent, "Random keys, this percentage of them GET")
                         ->check(CLI::Range(0, 100));
  app.add_flag("--fill", options.is_fill, "SET each key of the keyspace once")->excludes(mix);
  app.add_flag("--csv", options.prints_csv, "Print: name,seconds,ops/s,p50,p99,p99.9,max (microseconds)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return static_cast<int>(status == 0 ? BenchmarkStatus::kOk : BenchmarkStatus::kUsage);
  }
  options.is_mix = mix->count() > 0;
  return static_cast<int>(run_mode(options) ? BenchmarkStatus::kOk : BenchmarkStatus::kFailed);
}

}  // namespace
}  // namespace memento

int main(int argc, char** argv) { return memento::main_of_benchmark(argc, argv); }
