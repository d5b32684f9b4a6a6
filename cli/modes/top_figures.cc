// See top_figures.h.
#include "cli/modes/top_figures.h"

#include <algorithm>

#include "cli/show/format.h"
#include "shm/os/clock.h"

namespace memento::cli {
namespace {

constexpr std::array<double, 3> kParts = {0.5, 0.99, 0.999};
constexpr const char* kSlowCount = "32";

std::map<std::string, Histogram> histograms_of(const Reply& reply) {
  std::map<std::string, Histogram> latencies;
  for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    const Reply* steps = reply.elements[i + 1].field("histogram_usec");
    if (steps == nullptr) continue;
    Histogram& histogram = latencies[without_controls(reply.elements[i].text)];
    for (std::size_t j = 0; j + 1 < steps->elements.size(); j += 2) {
      histogram[steps->elements[j].integer] = static_cast<double>(steps->elements[j + 1].integer);
    }
  }
  return latencies;
}

std::vector<SlowCommand> slow_commands_of(const Reply& reply) {
  std::vector<SlowCommand> slow;
  for (const Reply& line : reply.elements) {
    if (line.elements.size() < 4) continue;
    SlowCommand command{line.elements[1].integer, static_cast<double>(line.elements[2].integer), ""};
    for (const Reply& word : line.elements[3].elements) {
      command.words += (command.words.empty() ? "" : " ") + without_controls(word.text.substr(0, 80));
    }
    std::ranges::replace(command.words, '\n', ' ');
    slow.push_back(std::move(command));
  }
  std::ranges::stable_sort(slow, std::greater(), &SlowCommand::took_us);
  return slow;
}

void set_percentiles(const Histogram& histogram, CommandRates* rates) {
  for (std::size_t i = 0; i < kParts.size(); ++i)
    rates->percentiles_us[i] = percentile_us(histogram, kParts[i]);
}

std::vector<WorkerRates> worker_rates(const Sample& before, const Sample& now, double took_s) {
  std::vector<WorkerRates> workers;
  const auto earlier = before.info.lines_of("worker_");
  for (const auto& [name, text] : now.info.lines_of("worker_")) {
    auto fields = fields_of(text);
    if (!fields.contains("process_id")) continue;
    WorkerRates rates{name, fields["process_id"], 0, 0, fields["clients"], fields["private"]};
    for (const auto& [old_name, old_text] : earlier) {
      auto old_fields = fields_of(old_text);
      if (old_fields["process_id"] != rates.process_id) continue;
      rates.ops_per_s = (fields["commands"] - old_fields["commands"]) / took_s;
      const double cpu_us = fields["cpu_user_usec"] + fields["cpu_sys_usec"] - old_fields["cpu_user_usec"] -
                            old_fields["cpu_sys_usec"];
      rates.cpu_percent = cpu_us / took_s / 1e4;
    }
    workers.push_back(std::move(rates));
  }
  return workers;
}

}  // namespace

Histogram difference(const Histogram& before, const Histogram& now) {
  Histogram result;
  for (const auto& [limit_us, count] : now) {
    // A step that was not listed before had the count of the one below.
    const auto above = before.upper_bound(limit_us);
    result[limit_us] = count - (above == before.begin() ? 0 : std::prev(above)->second);
  }
  return result;
}

double percentile_us(const Histogram& histogram, double part) {
  if (histogram.empty() || histogram.rbegin()->second <= 0) return 0;
  const double wanted = part * histogram.rbegin()->second;
  for (const auto& [limit_us, count] : histogram) {
    if (count >= wanted) return static_cast<double>(limit_us);
  }
  return static_cast<double>(histogram.rbegin()->first);
}

Result<Sample> take_sample(Connection& connection) {
  Sample sample;
  Result<Info> info = Info::fetch(connection, {"everything"});
  if (!info) return info.error();
  sample.info = std::move(*info);
  sample.time_ns = monotonic_time_ns();
  // Older servers lack some of these; the view then does without.
  const Result<Reply> latencies = connection.request({"LATENCY", "HISTOGRAM"});
  if (!latencies) return latencies.error();
  sample.latencies = histograms_of(*latencies);
  const Result<Reply> slow = connection.request({"SLOWLOG", "GET", kSlowCount});
  if (!slow) return slow.error();
  sample.slow = slow_commands_of(*slow);
  if (sample.info.number("cluster_enabled") == 1) {
    const Result<Reply> nodes = connection.request({"CLUSTER", "NODES"});
    if (!nodes) return nodes.error();
    if (!nodes->is_error()) sample.cluster_nodes = nodes->text;
  }
  return sample;
}

Rates rates_between(const Sample& before, const Sample& now) {
  Rates rates;
  const double took_s = std::max(static_cast<double>(now.time_ns - before.time_ns) / 1e9, 1e-3);
  const auto rate = [&](const char* name) {
    return std::max(now.info.number(name) - before.info.number(name), 0.0) / took_s;
  };
  rates.ops_per_s = rate("total_commands_processed");
  rates.hit_percent = hit_rate_percent(before.info, now.info);
  rates.in_bytes_per_s = rate("total_net_input_bytes");
  rates.out_bytes_per_s = rate("total_net_output_bytes");
  rates.evicted_per_s = rate("evicted_keys");
  rates.expired_per_s = rate("expired_keys");
  rates.workers = worker_rates(before, now, took_s);
  Histogram all;
  for (const auto& [name, text] : now.info.lines_of("cmdstat_")) {
    auto fields = fields_of(text);
    auto old_fields = fields_of(before.info.text("cmdstat_" + name));
    const double calls = fields["calls"] - old_fields["calls"];
    if (calls <= 0) continue;
    CommandRates command{name, calls / took_s, (fields["usec"] - old_fields["usec"]) / calls, {}};
    const auto latency = now.latencies.find(name);
    if (latency != now.latencies.end()) {
      const auto old_latency = before.latencies.find(name);
      const Histogram calls_between = difference(
          old_latency == before.latencies.end() ? Histogram{} : old_latency->second, latency->second);
      set_percentiles(calls_between, &command);
      // Cumulative counts add up step by step when each command's last count goes on to the longest step.
      double below = 0;
      for (const auto& [limit_us, count] : calls_between) {
        all[limit_us] += count - below;
        below = count;
      }
    }
    rates.commands.push_back(std::move(command));
  }
  double sum = 0;
  for (auto& [limit_us, count] : all) count = sum += count;
  set_percentiles(all, &rates.all);
  return rates;
}

}  // namespace memento::cli
