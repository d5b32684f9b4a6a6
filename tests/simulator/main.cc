// memento-simulator: runs of the rules between nodes (bus/core) in virtual time, seed after seed, until the
// time is up or something is found. Then it says the seed, what was found, the last events, and a smaller
// case.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <map>

#include "bus/core/plant.h"
#include "tests/simulator/shrink.h"

namespace memento::simulator {
namespace {

constexpr std::size_t kShrinkRuns = 300;

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 0;
  double duration_s = 60;
  std::size_t nodes = 0;
  std::size_t trace_kept = 200;
  std::string schedule;
  std::string plant;
  std::vector<std::uint64_t> skipped;
  bool twice = false;
  bool quiet = false;
  bool is_any = false;
};

struct Sums {
  std::uint64_t seeds = 0;
  std::uint64_t events = 0;
  std::uint64_t elections = 0;
  std::uint64_t documents = 0;
  double simulated_h = 0;
  std::map<Verdict, std::uint64_t> verdicts;
};

double cpu_s() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::string text_of_skipped(const RunOptions& options) {
  std::string text;
  for (const std::uint64_t fault : options.skipped_faults)
    text += (text.empty() ? " --skip " : ",") + std::to_string(fault);
  return text;
}

void show(const Arguments& arguments, const RunOptions& options, const RunResult& result) {
  const std::string_view name = schedules()[options.schedule].name;
  std::printf("seed %llu (%s): %s%s\n", static_cast<unsigned long long>(options.seed),
              std::string(name).c_str(), result.verdict == Verdict::kNotLive ? "not live: " : "",
              result.finding.c_str());
  if (arguments.quiet) return;
  const RunOptions smaller = shrink(options, kShrinkRuns);
  const RunResult again = run(smaller);
  std::printf(
      "%s\nThese are the last events of a case with %llu of %llu faults: %s\nAgain: memento-simulator --seed "
      "%llu "
      "--seeds 1 --schedule %s%s%s\n",
      again.trace.c_str(), static_cast<unsigned long long>(again.faults - smaller.skipped_faults.size()),
      static_cast<unsigned long long>(result.faults), again.finding.c_str(),
      static_cast<unsigned long long>(options.seed), std::string(name).c_str(),
      arguments.plant.empty() ? "" : (" --plant " + arguments.plant).c_str(),
      text_of_skipped(smaller).c_str());
}

int simulate(const Arguments& arguments) {
  Sums sums;
  const double begin_s = cpu_s();
  for (std::uint64_t seed = arguments.seed; arguments.seeds == 0 || seed < arguments.seed + arguments.seeds;
       ++seed) {
    if (arguments.seeds == 0 && cpu_s() - begin_s >= arguments.duration_s) break;
    RunOptions options{
        seed, schedule_of(seed), arguments.nodes, {}, arguments.quiet ? 0 : arguments.trace_kept};
    for (std::size_t place = 0; place < schedules().size(); ++place)
      if (schedules()[place].name == arguments.schedule) options.schedule = place;
    options.skipped_faults.insert(arguments.skipped.begin(), arguments.skipped.end());
    const RunResult result = run(options);
    ++sums.seeds;
    ++sums.verdicts[result.verdict];
    sums.events += result.events;
    sums.elections += result.elections;
    sums.documents += result.documents;
    sums.simulated_h += static_cast<double>(result.simulated_ns) / (3600.0 * kSecondNs);
    if (arguments.twice && run(options).trace_hash != result.trace_hash) {
      std::printf("seed %llu: the second run differs from the first\n",
                  static_cast<unsigned long long>(seed));
      return 1;
    }
    if (result.verdict != Verdict::kFine) show(arguments, options, result);
    if (result.verdict == Verdict::kUnsafe || (result.verdict == Verdict::kNotLive && !arguments.is_any))
      break;
  }
  const double took_s = cpu_s() - begin_s;
  std::printf(
      "%llu seeds, %.2f h simulated, %llu events, %llu elections, %llu documents in %.1f s of CPU: "
      "%.1f h a minute; %llu unsafe, %llu not live\n",
      static_cast<unsigned long long>(sums.seeds), sums.simulated_h,
      static_cast<unsigned long long>(sums.events), static_cast<unsigned long long>(sums.elections),
      static_cast<unsigned long long>(sums.documents), took_s, sums.simulated_h * 60 / took_s,
      static_cast<unsigned long long>(sums.verdicts[Verdict::kUnsafe]),
      static_cast<unsigned long long>(sums.verdicts[Verdict::kNotLive]));
  return sums.verdicts[Verdict::kFine] == sums.seeds ? 0 : 1;
}

bool plant(const std::string& name) {
#if defined(MEMENTO_PLANT)
  for (const bus::PlantName& one : bus::kPlantNames)
    if (one.name == name) return bus::active_plant = one.plant, true;
#endif
  std::fprintf(stderr, "memento-simulator: no plant %s in this build (make MODE=plant has them)\n",
               name.c_str());
  return false;
}

}  // namespace
}  // namespace memento::simulator

int main(int argc, char** argv) {
  using namespace memento::simulator;
  Arguments arguments;
  CLI::App app("Simulates a cluster's rules in virtual time and checks them", "memento-simulator");
  app.add_option("--seed", arguments.seed, "the first seed")->capture_default_str();
  app.add_option("--seeds", arguments.seeds, "how many; 0: until the time is up")->capture_default_str();
  app.add_option("--duration-s", arguments.duration_s, "CPU seconds to go on for")->capture_default_str();
  app.add_option("--nodes", arguments.nodes, "of each run; 0: as the schedule says")->check(CLI::Range(0, 9));
  std::vector<std::string> names;
  for (const Schedule& schedule : schedules()) names.emplace_back(schedule.name);
  app.add_option("--schedule", arguments.schedule, "one alone instead of each in turn")
      ->check(CLI::IsMember(names));
  app.add_option("--plant", arguments.plant, "a mistake to plant (MODE=plant)");
  app.add_option("--skip", arguments.skipped, "numbers of faults to leave out")->delimiter(',');
  app.add_option("--events", arguments.trace_kept, "how many of the last to show")->capture_default_str();
  app.add_flag("--twice", arguments.twice, "each seed twice: both must be the same, event by event");
  app.add_flag("--quiet", arguments.quiet, "no events, no smaller case");
  app.add_flag("--go-on", arguments.is_any, "behind what is not live");
  CLI11_PARSE(app, argc, argv);
  if (!arguments.plant.empty() && !plant(arguments.plant)) return 64;
  return simulate(arguments);
}
