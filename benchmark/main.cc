// memento-benchmark: measures a server from outside, through its protocol.
//
// Without options that choose a load it is the classic run (classic.h); --fill only writes the keys; else it
// makes the load that the options say, once or at several rates. It changes data on the server it is pointed
// at and removes nothing.
#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "benchmark/classic.h"
#include "benchmark/options.h"
#include "benchmark/plot.h"
#include "benchmark/report.h"
#include "shm/os/clock.h"

namespace memento {
namespace {

enum class BenchmarkStatus : int { kOk = 0, kFailed = 1 };

/// True when the server's end of a connection has the same address as ours: it is on this machine.
bool is_local(const Address& server) {
  const Result<Fd> socket = connect_tcp(server);
  if (!socket) return false;
  const auto host_of = [&socket](auto get_name) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    char host[256] = "";
    if (get_name(socket->get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) return std::string();
    getnameinfo(reinterpret_cast<sockaddr*>(&name), size, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
    return std::string(host);
  };
  const std::string ours = host_of(::getsockname);
  return !ours.empty() && ours == host_of(::getpeername);
}

std::vector<pid_t> processes_of_server(const BenchmarkOptions& options) {
  if (!options.server_pids.empty()) return options.server_pids;
  return is_local(options.load.server) ? find_listeners(options.load.server.port) : std::vector<pid_t>();
}

/// As many descriptors as we may have: a thousand connections are more than many shells allow at first.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Workload build_workload(BenchmarkOptions& options) {
  WorkloadPlan& plan = options.workload;
  if (options.mode == BenchmarkOptions::Mode::kFill) {
    plan.keys = *KeyDistribution::parse("seq");
    plan.get_share = 0;
    plan.request_count = plan.key_count;
  }
  if (options.load.verifies) {
    plan.is_verifiable = true;
    plan.partition_count = options.load.connection_count;
    // Not the values of an earlier run, which would hide a lost write.
    plan.first_sequence = static_cast<std::uint32_t>(monotonic_time_ns() / 1000);
  }
  const LoadPlan& load = options.load;
  const bool sends_all_once =
      load.warmup_ns == 0 && load.duration_ns == 0 && load.rate_per_s == 0 && !options.sweeps;
  if (sends_all_once && !load.verifies) plan.needed_count = load.request_count;
  if (load.shows_progress) std::fprintf(stderr, "preparing the requests ...\n");
  return Workload(plan);
}

/// The runs the options ask for; fewer when one failed.
std::vector<MeasuredRun> run_all(const BenchmarkOptions& options, Workload& workload) {
  std::vector<MeasuredRun> runs;
  const auto run = [&](double rate_per_s) {
    LoadPlan plan = options.load;
    plan.rate_per_s = rate_per_s;
    std::optional<LoadResult> result = run_and_complain(describe(options), plan, workload);
    if (!result) return false;
    runs.push_back({describe(options), rate_per_s, std::move(*result)});
    if (options.format == OutputFormat::kText && !(options.sweeps && rate_per_s > 0)) print_text(runs.back());
    return true;
  };
  if (!run(options.load.rate_per_s) || !options.sweeps) return runs;
  const double rate_max_per_s = runs.front().result.replies_per_s();
  for (std::size_t step = 1; step <= options.sweep_step_count; ++step) {
    if (!run(rate_max_per_s * static_cast<double>(step) / static_cast<double>(options.sweep_step_count)))
      break;
  }
  return runs;
}

bool write_hdr(const std::string& path, const std::string& text) {
  std::FILE* file = path == "-" ? stdout : std::fopen(path.c_str(), "we");
  const bool is_written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool is_closed = file == stdout ? std::fflush(file) == 0 : file != nullptr && std::fclose(file) == 0;
  if (!is_written || !is_closed) {
    std::fprintf(stderr, "memento-benchmark: can't write %s: %s\n", path.c_str(), std::strerror(errno));
  }
  return is_written && is_closed;
}

bool run_load_mode(BenchmarkOptions& options) {
  Workload workload = build_workload(options);
  if (options.mode == BenchmarkOptions::Mode::kFill) options.load.request_count = workload.request_count();
  const std::vector<MeasuredRun> runs = run_all(options, workload);
  const std::size_t wanted_count = 1 + (options.sweeps ? options.sweep_step_count : 0);
  bool is_good = runs.size() == wanted_count;
  for (const MeasuredRun& run : runs) {
    is_good = is_good && run.result.error_count == 0 && run.result.mismatch_count == 0;
  }
  if (runs.empty()) return false;
  if (options.format == OutputFormat::kText && options.sweeps) print_sweep(runs);
  if (options.format == OutputFormat::kCsv) print_csv(options, runs);
  if (options.format == OutputFormat::kJson) print_json(options, runs);
  // Of a sweep, the percentiles at its highest rate.
  if (!options.hdr_file.empty())
    is_good = write_hdr(options.hdr_file, hdr_text(runs.back().result.latency)) && is_good;
  if (!options.plot_file.empty()) {
    const Outcome drawn = draw(plot_script(options.plot_file, describe(options), runs, options.sweeps));
    if (!drawn) std::fprintf(stderr, "memento-benchmark: --plot: %s\n", drawn.error().message.c_str());
    is_good = is_good && static_cast<bool>(drawn);
  }
  return is_good;
}

int main_of_benchmark(int argc, char** argv) {
  ParsedBenchmarkOptions parsed = parse_options(argc, argv);
  if (!parsed.options) return parsed.status;
  BenchmarkOptions& options = *parsed.options;
  raise_descriptor_limit();
  bool is_good = false;
  if (options.mode == BenchmarkOptions::Mode::kClassic) {
    is_good = run_classic(options);
  } else {
    options.load.server_processes = processes_of_server(options);
    is_good = run_load_mode(options);
  }
  return static_cast<int>(is_good ? BenchmarkStatus::kOk : BenchmarkStatus::kFailed);
}

}  // namespace
}  // namespace memento

int main(int argc, char** argv) { return memento::main_of_benchmark(argc, argv); }
