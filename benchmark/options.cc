// Reads the command line: see options.h. BenchmarkOptions that only make sense for a load choose that mode.
#include "benchmark/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "benchmark/value_text.h"
#include "cli/net/passwords.h"

namespace memento {
namespace {

constexpr std::size_t kCountMax = std::size_t{1} << 40U;
constexpr std::size_t kOpenDepthMax = 100'000;
constexpr std::size_t kKeyCountMax = 1'000'000'000;
constexpr std::size_t kValueSizeMax = 512U << 20U;
constexpr double kSecondsMax = 86'400 * 365.0;

/// "A" or "A-B"; false when it is neither.
bool parse_range(std::string_view text, std::size_t& low, std::size_t& high) {
  const char* end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, low);
  if (parsed.ec != std::errc{}) return false;
  high = low;
  if (parsed.ptr == end) return true;
  if (*parsed.ptr != '-') return false;
  parsed = std::from_chars(parsed.ptr + 1, end, high);
  return parsed.ec == std::errc{} && parsed.ptr == end && low <= high;
}

/// "GETS:SETS" as the share of GETs.
std::optional<double> parse_ratio(const std::string& text) {
  double gets = 0;
  double sets = 0;
  int size = 0;
  const int count = std::sscanf(text.c_str(), "%lf:%lf%n", &gets, &sets, &size);
  const bool is_whole = count == 2 && static_cast<std::size_t>(size) == text.size();
  if (!is_whole || !(gets >= 0) || !(sets >= 0) || !(gets + sets > 0) || !std::isfinite(gets + sets))
    return std::nullopt;
  return gets / (gets + sets);
}

/// What is given as text and becomes something else.
struct Given {
  std::string ratio;
  std::string value_size = "32";
  std::string key_distribution = "uniform";
  std::string protocol = "text";
  std::string slots;
  double get_percent = 50;
  double warmup_s = 0;
  double duration_s = 0;
  bool csv = false;
  bool json = false;
  bool fills = false;
  bool progress = false;
};

/// The options that choose a load, and those whose being given matters.
struct Handles {
  std::vector<const CLI::Option*> of_load;
  const CLI::Option* requests = nullptr;
  const CLI::Option* ratio = nullptr;
  const CLI::Option* mix = nullptr;
};

/// What every kind of run has. Returns the flag --fill.
CLI::Option* declare_general(CLI::App& app, BenchmarkOptions& options, Given& given, Handles& handles) {
  LoadPlan& load = options.load;
  WorkloadPlan& workload = options.workload;
  const auto positive = CLI::Range(std::size_t{1}, kCountMax);
  app.add_option("HOST", load.server.host, "The server's name or address")->capture_default_str();
  app.add_option("PORT", load.server.port, "The server's port")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  app.add_option("-a,--password", load.password,
                 "The server's password; the environment variable MEMENTO_AUTH is not seen by others");
  app.add_option("-c,--connections", load.connection_count, "Connections")
      ->capture_default_str()
      ->check(positive);
  app.add_option("-P,--pipeline", load.pipeline_depth, "Requests sent before their replies are awaited")
      ->capture_default_str()
      ->check(positive);
  handles.requests = app.add_option("-n,--requests", load.request_count, "Operations of each test")
                         ->capture_default_str()
                         ->check(positive);
  app.add_option("-d,--value-size,--data-size", given.value_size,
                 "Value bytes, or the range A-B; loads and --fill")
      ->capture_default_str();
  app.add_option("-r,--keyspace,--keys", workload.key_count, "Number of keys; loads and --fill")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, kKeyCountMax));
  app.add_option("-t,--threads", load.thread_count, "Threads, each with an epoll loop")
      ->capture_default_str()
      ->check(positive);
  CLI::Option* fill = app.add_flag("--fill", given.fills, "SET each key of the keyspace once");
  app.add_option("--protocol", given.protocol, "text, resp2, resp3 or memcached; loads and --fill")
      ->capture_default_str();
  app.add_option("--expiry", workload.expiry_s, "SETs expire after so many seconds; loads and --fill")
      ->check(CLI::Range(1, 1 << 30));
  app.add_option("--server-pid", options.server_pids,
                 "Whose CPU time to measure, of several their sum; found when it is on this machine")
      ->check(CLI::Range(1, 1 << 30));
  CLI::Option* csv = app.add_flag("--csv", given.csv, "Comma-separated values");
  app.add_flag("--json", given.json, "JSON; loads and --fill")->excludes(csv);
  app.add_flag("--progress", given.progress, "A line each second on stderr even when that is no terminal");
  return fill;
}

void declare_load(CLI::App& app, BenchmarkOptions& options, Given& given, Handles& handles) {
  LoadPlan& load = options.load;
  WorkloadPlan& workload = options.workload;
  const auto of_load = [&handles](CLI::Option* option) {
    handles.of_load.push_back(option);
    return option->group("A load (any of these chooses it)");
  };
  handles.mix =
      of_load(app.add_option("--mix", given.get_percent, "Percentage of GETs (50); the others are SETs"))
          ->check(CLI::Range(0.0, 100.0));
  handles.ratio = of_load(app.add_option("--ratio", given.ratio, "The same as GETS:SETS, for example 9:1"))
                      ->excludes(const_cast<CLI::Option*>(handles.mix));
  of_load(app.add_option("--key-dist", given.key_distribution, "uniform, seq, zipf:THETA or normal"))
      ->capture_default_str();
  of_load(app.add_option("--rate", load.rate_per_s,
                         "Open loop: so many requests a second, whatever the replies do"))
      ->check(CLI::Range(0.001, 1e9));
  of_load(app.add_option("--warmup", given.warmup_s, "Seconds of load before the measurement"))
      ->check(CLI::Range(0.0, kSecondsMax));
  of_load(app.add_option("--duration", given.duration_s, "Seconds of measurement, instead of -n or up to it"))
      ->check(CLI::Range(0.001, kSecondsMax));
  of_load(app.add_option("--seed", workload.seed, "Of the random keys and sizes"))->capture_default_str();
  of_load(app.add_option("--slots", given.slots,
                         "Only keys of the slots A-B, of 0-8191: those of one of a cluster's nodes"));
  of_load(app.add_flag("--verify", load.verifies,
                       "Check each value read; status 1 when one is not what was written"));
  CLI::Option* sweep =
      of_load(app.add_flag("--sweep", options.sweeps, "Open loops at rates up to what a closed one reaches"));
  of_load(app.add_option("--sweep-steps", options.sweep_step_count, "Rates of --sweep"))
      ->needs(sweep)
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  of_load(app.add_option("--hdr", options.hdr_file,
                         "Write the percentiles in HdrHistogram's format, in ms; - is stdout"));
  of_load(
      app.add_option("--plot", options.plot_file, "Draw percentiles, and the sweep, as SVG (needs gnuplot)"));
}

Handles declare(CLI::App& app, BenchmarkOptions& options, Given& given) {
  Handles handles;
  CLI::Option* const fill = declare_general(app, options, given, handles);
  declare_load(app, options, given, handles);
  for (const CLI::Option* option : handles.of_load) fill->excludes(const_cast<CLI::Option*>(option));
  return handles;
}

/// Turns texts into the keys, values and protocol that they mean. The error, or "".
std::string complete_workload(BenchmarkOptions& options, const Given& given, const Handles& handles) {
  LoadPlan& load = options.load;
  WorkloadPlan& workload = options.workload;
  const auto* protocol = std::ranges::find(kProtocolNames, given.protocol, &ProtocolName::name);
  if (protocol == kProtocolNames.end())
    return "--protocol: text, resp2, resp3 or memcached, not " + given.protocol;
  load.protocol = workload.protocol = protocol->protocol;
  const bool has_good_size =
      parse_range(given.value_size, workload.value_size_min_bytes, workload.value_size_max_bytes) &&
      workload.value_size_min_bytes > 0 && workload.value_size_max_bytes <= kValueSizeMax;
  if (!has_good_size) return "--data-size: bytes, or a range A-B, from 1 to 512 MiB, not " + given.value_size;
  const auto keys = KeyDistribution::parse(given.key_distribution);
  if (!keys) return "--key-dist: uniform, seq, zipf:THETA (above 0) or normal, not " + given.key_distribution;
  workload.keys = *keys;
  workload.get_share = given.get_percent / 100;
  if (handles.ratio->count() > 0) {
    const auto share = parse_ratio(given.ratio);
    if (!share) return "--ratio: GETS:SETS, for example 9:1, not " + given.ratio;
    workload.get_share = *share;
  }
  if (!given.slots.empty()) {
    std::size_t first = 0;
    std::size_t last = 0;
    if (!parse_range(given.slots, first, last) || last >= kSlotCount) {
      return "--slots: a range A-B within 0-8191, not " + given.slots;
    }
    workload.slot_first = SlotId(static_cast<std::uint32_t>(first));
    workload.slot_last = SlotId(static_cast<std::uint32_t>(last));
  }
  return "";
}

/// The loop and its limits. The error, or "".
std::string complete_load(BenchmarkOptions& options, const Given& given, const Handles& handles) {
  LoadPlan& load = options.load;
  WorkloadPlan& workload = options.workload;
  const bool has_open_loop = load.rate_per_s > 0 || options.sweeps;
  if (has_open_loop && load.pipeline_depth > kOpenDepthMax) {
    return "--pipeline: at most " + std::to_string(kOpenDepthMax) + " with --rate and --sweep";
  }
  workload.batch_count = has_open_loop ? load.pipeline_depth : 1;
  load.may_expire = workload.expiry_s > 0;
  load.warmup_ns = std::llround(given.warmup_s * 1e9);
  load.duration_ns = std::llround(given.duration_s * 1e9);
  if (load.duration_ns > 0 && handles.requests->count() == 0) load.request_count = 0;
  load.shows_progress = given.progress || ::isatty(STDERR_FILENO) != 0;
  return "";
}

/// What does not go together. The error, or "".
std::string check_together(BenchmarkOptions& options, const Given& given) {
  LoadPlan& load = options.load;
  const WorkloadPlan& workload = options.workload;
  if (options.mode == BenchmarkOptions::Mode::kClassic) {
    if (load.protocol != ServerProtocol::kText)
      return "--protocol needs a load or --fill, for example --mix 50";
    if (given.json) return "--json needs a load or --fill, for example --mix 50";
    if (!options.server_pids.empty()) return "--server-pid needs a load or --fill, for example --mix 50";
    if (load.may_expire) return "--expiry needs a load or --fill, for example --mix 50";
    load.shows_progress = given.progress;  // the classic run is short, and shows itself
  }
  if (!load.password.empty()) {
    if (load.protocol == ServerProtocol::kMemcached)
      return "--password: memcached's text protocol has no passwords";
    if (load.protocol == ServerProtocol::kText && load.password.find_first_of(" \t\r\n") != std::string::npos)
      return "--password: in the text protocol it cannot hold blanks or line ends; use a load with "
             "--protocol resp3";
  }
  if (load.verifies) {
    if (workload.value_size_min_bytes < kVerifiableSizeBytes) {
      return "--verify needs values of at least " + std::to_string(kVerifiableSizeBytes) + " bytes";
    }
    if (workload.key_count < load.connection_count)
      return "--verify needs as many keys as connections or more";
  }
  if (options.sweeps && load.rate_per_s > 0) return "--sweep chooses its rates itself; leave --rate out";
  if (load.connection_count > 1'000'000) return "--connections: at most 1000000";
  return "";
}

/// Turns texts into what they mean and checks what depends on several options. The error, or "".
std::string complete(BenchmarkOptions& options, const Given& given, const Handles& handles) {
  const bool is_load =
      std::ranges::any_of(handles.of_load, [](const CLI::Option* option) { return option->count() > 0; });
  options.mode = given.fills ? BenchmarkOptions::Mode::kFill
                 : is_load   ? BenchmarkOptions::Mode::kLoad
                             : BenchmarkOptions::Mode::kClassic;
  options.format = given.json ? OutputFormat::kJson : given.csv ? OutputFormat::kCsv : OutputFormat::kText;
  std::string error = complete_workload(options, given, handles);
  if (error.empty()) error = complete_load(options, given, handles);
  return error.empty() ? check_together(options, given) : error;
}

}  // namespace

ParsedBenchmarkOptions parse_options(int argc, char** argv) {
  BenchmarkOptions options;
  Given given;
  CLI::App app(
      "Measures a memento server, or another one. Without options that choose a load: SET, GET and SET of "
      "growing\n"
      "keys, from one connection and from many. Writes keys to the server (keyone, keyN, key:N) and removes "
      "none.",
      "memento-benchmark");
  const Handles handles = declare(app, options, given);
  if (const char* const variable = std::getenv("MEMENTO_AUTH")) options.load.password = variable;
  try {
    app.parse(argc, argv);
    cli::hide_passwords(argc, argv, [](std::string_view) { return false; });
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? 0 : kUsageStatus};
  }
  const std::string error = complete(options, given, handles);
  if (!error.empty()) {
    std::fprintf(stderr, "memento-benchmark: %s\nRun with --help for more information.\n", error.c_str());
    return {std::nullopt, kUsageStatus};
  }
  return {options, 0};
}

std::string describe(const BenchmarkOptions& options) {
  const WorkloadPlan& workload = options.workload;
  const LoadPlan& load = options.load;
  char text[512];
  std::string sizes = std::to_string(workload.value_size_min_bytes);
  if (workload.value_size_max_bytes != workload.value_size_min_bytes) {
    sizes += " to " + std::to_string(workload.value_size_max_bytes);
  }
  std::snprintf(
      text, sizeof text,
      "%g %% GET, %zu keys (%s), values of %s bytes; %s, %zu connection%s, pipeline %zu, %zu thread%s",
      workload.get_share * 100, workload.key_count, workload.keys.to_string().c_str(), sizes.c_str(),
      std::string(name_of(load.protocol)).c_str(), load.connection_count,
      load.connection_count == 1 ? "" : "s", load.pipeline_depth, load.thread_count,
      load.thread_count == 1 ? "" : "s");
  return text;
}

}  // namespace memento
