// Writes results: see report.h. Latencies are in microseconds, save in HdrHistogram's format.
#include "benchmark/report.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace memento {
namespace {

constexpr double kClientBoundShare = 0.95;
constexpr double kRateReachedShare = 0.99;

double us(std::uint64_t ns) { return static_cast<double>(ns) / 1e3; }

void print_latency_row(const char* title, const Histogram& latency) {
  std::printf("  %-22s", title);
  for (const ReportedPercentile& percentile : kReportedPercentiles) {
    std::printf(" %10.1f", us(latency.percentile(percentile.percent)));
  }
  std::printf(" %10.1f\n", us(latency.max()));
}

nlohmann::ordered_json latency_json(const Histogram& latency) {
  nlohmann::ordered_json json;
  for (const ReportedPercentile& percentile : kReportedPercentiles) {
    json[percentile.name] = us(latency.percentile(percentile.percent));
  }
  json["max"] = us(latency.max());
  json["mean"] = latency.mean() / 1e3;
  json["stddev"] = latency.standard_deviation() / 1e3;
  return json;
}

nlohmann::ordered_json run_json(const MeasuredRun& run) {
  const LoadResult& result = run.result;
  nlohmann::ordered_json json;
  json["name"] = run.name;
  json["loop"] = run.rate_per_s > 0 ? "open" : "closed";
  if (run.rate_per_s > 0) json["rate_per_s"] = run.rate_per_s;
  json["elapsed_s"] = result.elapsed_s;
  json["replies"] = result.reply_count;
  json["ops_per_s"] = result.replies_per_s();
  json["bytes_per_s"] = result.bytes_per_s();
  json["latency_us"] = latency_json(result.latency);
  if (run.rate_per_s > 0) {
    json["latency_from_send_us"] = latency_json(result.service_latency);
    json["unsent"] = result.unsent_count;
  }
  json["errors"] = result.error_count;
  if (result.error_count > 0) json["first_error"] = result.first_error;
  json["misses"] = result.miss_count;
  json["mismatches"] = result.mismatch_count;
  if (result.mismatch_count > 0) json["first_mismatch"] = result.first_mismatch;
  json["client_cpu_share"] = result.client_cpu_share;
  json["client_is_bottleneck"] = is_client_bound(result);
  if (result.server_cpu_ns_per_reply) json["server_cpu_ns_per_op"] = *result.server_cpu_ns_per_reply;
  return json;
}

}  // namespace

bool is_client_bound(const LoadResult& result) { return result.client_cpu_share >= kClientBoundShare; }

bool is_rate_reached(const MeasuredRun& run) {
  return run.result.unsent_count == 0 && run.result.replies_per_s() >= run.rate_per_s * kRateReachedShare;
}

void print_text(const MeasuredRun& run) {
  const LoadResult& result = run.result;
  const bool is_open = run.rate_per_s > 0;
  std::printf("%s\n", run.name.c_str());
  if (is_open) {
    std::printf("  open loop: %.0f requests a second fall due, whatever the replies do\n", run.rate_per_s);
  } else {
    std::printf(
        "  closed loop: a connection waits for its replies; what a stall held back is not in the "
        "latencies\n");
  }
  std::printf("  %llu requests in %.3f s: %.0f op/s, %.2f MB/s; errors %llu, misses %llu\n",
              static_cast<unsigned long long>(result.reply_count), result.elapsed_s, result.replies_per_s(),
              result.bytes_per_s() / 1e6, static_cast<unsigned long long>(result.error_count),
              static_cast<unsigned long long>(result.miss_count));
  std::printf("  %-22s", "latency in us");
  for (const ReportedPercentile& percentile : kReportedPercentiles) std::printf(" %10s", percentile.name);
  std::printf(" %10s\n", "max");
  print_latency_row(is_open ? "from when it was due" : "from send", result.latency);
  if (is_open) print_latency_row("from send", result.service_latency);
  std::printf("  client: %.0f %% of its CPU", result.client_cpu_share * 100);
  if (result.server_cpu_ns_per_reply)
    std::printf("; server: %.0f ns of CPU an operation", *result.server_cpu_ns_per_reply);
  std::printf("\n");
  if (is_client_bound(result)) {
    std::printf(
        "  WARNING: the client is the bottleneck; the figures are its limits (more threads, -t, if there are "
        "CPUs)\n");
  }
  if (is_open && !is_rate_reached(run)) {
    std::printf(
        "  WARNING: the rate was not reached; %llu requests fell due and were not sent, and are not in the "
        "latencies\n",
        static_cast<unsigned long long>(result.unsent_count));
  }
  std::fflush(stdout);
}

void print_csv(const BenchmarkOptions& options, const std::vector<MeasuredRun>& runs) {
  std::printf(
      "name,protocol,loop,rate_per_s,connections,pipeline,threads,elapsed_s,replies,ops_per_s,bytes_per_s");
  for (const char* suffix : {"_us", "_from_send_us"}) {
    for (const ReportedPercentile& percentile : kReportedPercentiles)
      std::printf(",%s%s", percentile.name, suffix);
    std::printf(",max%s", suffix);
  }
  std::printf(",errors,misses,mismatches,unsent,client_cpu_share,server_cpu_ns_per_op\n");
  for (const MeasuredRun& run : runs) {
    const LoadResult& result = run.result;
    const bool is_open = run.rate_per_s > 0;
    std::printf("\"%s\",%s,%s,%.0f,%zu,%zu,%zu,%.6f,%llu,%.1f,%.0f", run.name.c_str(),
                std::string(name_of(options.load.protocol)).c_str(), is_open ? "open" : "closed",
                run.rate_per_s, options.load.connection_count, options.load.pipeline_depth,
                options.load.thread_count, result.elapsed_s,
                static_cast<unsigned long long>(result.reply_count), result.replies_per_s(),
                result.bytes_per_s());
    for (const Histogram* latency : {&result.latency, is_open ? &result.service_latency : &result.latency}) {
      for (const ReportedPercentile& percentile : kReportedPercentiles) {
        std::printf(",%.1f", us(latency->percentile(percentile.percent)));
      }
      std::printf(",%.1f", us(latency->max()));
    }
    std::printf(",%llu,%llu,%llu,%llu,%.3f,", static_cast<unsigned long long>(result.error_count),
                static_cast<unsigned long long>(result.miss_count),
                static_cast<unsigned long long>(result.mismatch_count),
                static_cast<unsigned long long>(result.unsent_count), result.client_cpu_share);
    if (result.server_cpu_ns_per_reply) std::printf("%.0f", *result.server_cpu_ns_per_reply);
    std::printf("\n");
  }
  std::fflush(stdout);
}

void print_json(const BenchmarkOptions& options, const std::vector<MeasuredRun>& runs) {
  const WorkloadPlan& workload = options.workload;
  nlohmann::ordered_json json;
  json["server"] = options.load.server.to_string();
  json["protocol"] = name_of(options.load.protocol);
  json["connections"] = options.load.connection_count;
  json["pipeline"] = options.load.pipeline_depth;
  json["threads"] = options.load.thread_count;
  json["keys"] = workload.key_count;
  json["key_dist"] = workload.keys.to_string();
  json["get_share"] = workload.get_share;
  json["value_size_bytes"] = {workload.value_size_min_bytes, workload.value_size_max_bytes};
  json["expiry_s"] = workload.expiry_s;
  json["seed"] = workload.seed;
  json["runs"] = nlohmann::ordered_json::array();
  for (const MeasuredRun& run : runs) json["runs"].push_back(run_json(run));
  // Error texts are a server's bytes: what is not UTF-8 in them is replaced.
  std::printf("%s\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  std::fflush(stdout);
}

void print_sweep(const std::vector<MeasuredRun>& runs) {
  std::printf("Open loop, latencies in us from when a request was due:\n");
  std::printf("%12s %12s %10s %10s %10s %10s %12s\n", "rate", "op/s", "p50", "p99", "p99.9", "max",
              "client CPU");
  for (const MeasuredRun& run : runs) {
    if (run.rate_per_s == 0) continue;
    const Histogram& latency = run.result.latency;
    std::printf("%12.0f %12.0f %10.1f %10.1f %10.1f %10.1f %10.0f %%%s\n", run.rate_per_s,
                run.result.replies_per_s(), us(latency.percentile(50)), us(latency.percentile(99)),
                us(latency.percentile(99.9)), us(latency.max()), run.result.client_cpu_share * 100,
                is_rate_reached(run) ? "" : "  rate not reached");
  }
  std::fflush(stdout);
}

std::string hdr_text(const Histogram& histogram) {
  constexpr double kTicksPerHalfDistance = 5;
  constexpr double kNsPerMs = 1e6;
  char line[160];
  std::snprintf(line, sizeof line, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
                "1/(1-Percentile)");
  std::string text = line;
  // Steps grow finer towards 100 %: five in each half of the distance that is left.
  double percent = 0;
  while (histogram.count() > 0) {
    const std::uint64_t value_ns = histogram.percentile(percent);
    const std::uint64_t count = histogram.count_up_to(value_ns);
    if (count >= histogram.count()) break;
    std::snprintf(line, sizeof line, "%12.3f %14.12f %10llu %14.2f\n",
                  static_cast<double>(value_ns) / kNsPerMs, percent / 100,
                  static_cast<unsigned long long>(count), 1 / (1 - percent / 100));
    text += line;
    const double half_distances = std::floor(std::log2(100 / (100 - percent))) + 1;
    percent += 100 / (kTicksPerHalfDistance * std::exp2(half_distances));
  }
  if (histogram.count() > 0) {
    std::snprintf(line, sizeof line, "%12.3f %14.12f %10llu\n",
                  static_cast<double>(histogram.max()) / kNsPerMs, 1.0,
                  static_cast<unsigned long long>(histogram.count()));
    text += line;
  }
  std::snprintf(line, sizeof line, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
                histogram.mean() / kNsPerMs, histogram.standard_deviation() / kNsPerMs);
  text += line;
  std::snprintf(line, sizeof line, "#[Max     = %12.3f, Total count    = %12llu]\n",
                static_cast<double>(histogram.max()) / kNsPerMs,
                static_cast<unsigned long long>(histogram.count()));
  text += line;
  std::snprintf(line, sizeof line, "#[Buckets = %12u, SubBuckets     = %12llu]\n", Histogram::kDoublingCount,
                2ULL * Histogram::kHalf);
  text += line;
  return text;
}

}  // namespace memento
