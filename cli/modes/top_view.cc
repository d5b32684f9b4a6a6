// See top_view.h.
#include "cli/modes/top_view.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "cli/modes/watch.h"
#include "cli/net/cluster_nodes.h"
#include "cli/show/format.h"
#include "cli/show/progress.h"

namespace memento::cli {
namespace {

constexpr std::size_t kBarColumns = 12;
constexpr std::size_t kSlowRows = 5;
constexpr std::size_t kNodeRows = 8;

template <class... Values>
std::string formatted(const char* format, Values... values) {
  char text[512];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

/// A bar of so much of the whole: ████░░░░
std::string bar(double part) {
  const auto filled = static_cast<std::size_t>(std::lround(std::clamp(part, 0.0, 1.0) * kBarColumns));
  std::string text;
  for (std::size_t i = 0; i < kBarColumns; ++i) text += i < filled ? "\u2588" : "\u2591";
  return text;
}

std::string time_text(double us) {
  if (us <= 0) return "-";
  if (us < 1000) return formatted("%.0fus", us);
  return us < 1e6 ? formatted("%.1fms", us / 1e3) : formatted("%.1fs", us / 1e6);
}

std::string uptime_text(double seconds) {
  const auto whole = static_cast<long>(seconds);
  return formatted("%ldd %02ld:%02ld:%02ld", whole / 86'400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
}

/// The first characters of UTF-8 text.
std::string cut(const std::string& text, std::size_t columns) {
  std::size_t at = 0;
  for (std::size_t count = 0; at < text.size() && count < columns; ++count) {
    at += std::max<std::size_t>(utf8_length(std::string_view(text).substr(at)), 1);
  }
  return text.substr(0, at);
}

void add_summary(const View& view, const Sample& sample, const Rates& rates, std::size_t columns,
                 std::vector<ViewLine>* lines) {
  const Info& info = sample.info;
  const bool is_memento = info.has("memento_version");
  lines->push_back(
      {(is_memento ? "memento " + info.text("memento_version") : "redis " + info.text("redis_version")) +
           "  " + view.server + "  up " + uptime_text(info.number("uptime_in_seconds")),
       LineStyle::kTitle});
  std::vector<double> history(view.ops_history.begin(), view.ops_history.end());
  const std::size_t room = columns > 30 ? columns - 30 : 1;
  if (history.size() > room)
    history.erase(history.begin(), history.end() - static_cast<std::ptrdiff_t>(room));
  lines->push_back({formatted("ops/s     %9s  ", short_number(rates.ops_per_s).c_str()) + bars(history)});
  lines->push_back({"hit rate  " + (rates.hit_percent < 0 ? std::string("        -  ") + bar(0)
                                                          : formatted("%8.1f%%  ", rates.hit_percent) +
                                                                bar(rates.hit_percent / 100))});
  const double used = info.number("used_memory");
  const double limit = info.number("maxmemory");
  lines->push_back({formatted("memory    %9s  ", size_text(used).c_str()) +
                    (limit > 0 ? bar(used / limit) + " of " + size_text(limit) : std::string("no limit"))});
  auto keys = fields_of(info.text("db0"));
  lines->push_back({formatted(
      "keys      %9s  clients %.0f  in %.1f MB/s  out %.1f MB/s  expired %.0f/s  evicted %.0f/s",
      short_number(keys["keys"]).c_str(), info.number("connected_clients"), rates.in_bytes_per_s / 1e6,
      rates.out_bytes_per_s / 1e6, rates.expired_per_s, rates.evicted_per_s)});
  const auto& percentiles = rates.all.percentiles_us;
  lines->push_back({"latency   p50 " + time_text(percentiles[0]) + "  p99 " + time_text(percentiles[1]) +
                    "  p99.9 " + time_text(percentiles[2]) + "  (in the server, all commands)"});
}

/// How the disk does, and how far a snapshot or the loading of the data is; nothing without a data folder.
void add_disk(const Info& info, std::vector<ViewLine>* lines) {
  if (info.number("loading") == 1) {
    const double percent = info.number("loading_loaded_perc");
    lines->push_back({formatted("loading   %8.1f%%  ", percent) + bar(percent / 100) +
                          formatted("  %s of %s, about %.0f s left",
                                    size_text(info.number("loading_loaded_bytes")).c_str(),
                                    size_text(info.number("loading_total_bytes")).c_str(),
                                    info.number("loading_eta_seconds")),
                      LineStyle::kAlarm});
  }
  const std::string state = info.text("journal_state");
  if (state.empty() || state == "off") return;
  std::string text =
      formatted("disk      %9s  fsync %s, p99 %s, %s not synced", state.c_str(),
                info.text("journal_policy").c_str(), time_text(info.number("journal_fsync_us_p99")).c_str(),
                size_text(info.number("journal_unsynced_bytes")).c_str());
  if (info.number("rdb_bgsave_in_progress") == 1) {
    const double percent = info.number("snapshot_progress_perc");
    text += "  snapshot " + bar(percent / 100) + formatted(" %.0f%%", percent);
  }
  lines->push_back({text, state == "ok" ? LineStyle::kPlain : LineStyle::kAlarm});
}

void add_workers(const View& view, std::vector<WorkerRates> workers, std::vector<ViewLine>* lines) {
  if (workers.empty()) return;
  const auto value = [&](const WorkerRates& worker) {
    switch (view.order) {
      case TopOrder::kCpu:
        return worker.cpu_percent;
      case TopOrder::kMemory:
        return worker.private_bytes;
      case TopOrder::kClients:
        return worker.clients;
      case TopOrder::kName:
        return -worker.process_id;
      default:
        return worker.ops_per_s;
    }
  };
  std::ranges::stable_sort(workers, std::greater(), value);
  double most = 1;
  for (const WorkerRates& worker : workers) most = std::max(most, worker.ops_per_s);
  lines->push_back({});
  lines->push_back(
      {"WORKER      PID      OPS/S                  CPU%  CLIENTS     MEMORY", LineStyle::kHeader});
  for (const WorkerRates& worker : workers) {
    lines->push_back({formatted("%6s %8.0f  %9s  ", worker.name.c_str(), worker.process_id,
                                short_number(worker.ops_per_s).c_str()) +
                      bar(worker.ops_per_s / most) +
                      formatted("  %5.1f  %7.0f  %9s", worker.cpu_percent, worker.clients,
                                size_text(worker.private_bytes).c_str())});
  }
}

void add_commands(const View& view, std::vector<CommandRates> commands, std::vector<ViewLine>* lines) {
  const auto value = [&](const CommandRates& command) {
    return view.order == TopOrder::kLatency ? command.percentiles_us[1] : command.calls_per_s;
  };
  if (view.order == TopOrder::kName) {
    std::ranges::stable_sort(commands, {}, &CommandRates::name);
  } else {
    std::ranges::stable_sort(commands, std::greater(), value);
  }
  double most = 1;
  for (const CommandRates& command : commands) most = std::max(most, command.calls_per_s);
  lines->push_back({});
  lines->push_back(
      {"COMMAND              CALLS/S                  MEAN      P50      P99    P99.9", LineStyle::kHeader});
  for (const CommandRates& command : commands) {
    lines->push_back(
        {formatted("%-16s  %10s  ", cut(command.name, 16).c_str(),
                   short_number(command.calls_per_s).c_str()) +
         bar(command.calls_per_s / most) +
         formatted("  %6.1fus  %7s  %7s  %7s", command.mean_us, time_text(command.percentiles_us[0]).c_str(),
                   time_text(command.percentiles_us[1]).c_str(),
                   time_text(command.percentiles_us[2]).c_str())});
  }
}

std::vector<ViewLine> slow_lines(const Sample& sample) {
  std::vector<ViewLine> lines;
  if (sample.slow.empty()) return lines;
  lines.push_back({});
  lines.push_back({"SLOWEST  AT        COMMAND", LineStyle::kHeader});
  for (std::size_t i = 0; i < std::min(sample.slow.size(), kSlowRows); ++i) {
    const SlowCommand& slow = sample.slow[i];
    const std::time_t time = slow.time_s;
    std::tm parts{};
    localtime_r(&time, &parts);
    char clock[16] = "";
    std::strftime(clock, sizeof clock, "%H:%M:%S", &parts);
    lines.push_back({formatted("%7s  %s  ", time_text(slow.took_us).c_str(), clock) + slow.words});
  }
  return lines;
}

std::vector<ViewLine> node_lines(const Sample& sample) {
  std::vector<ViewLine> lines;
  const std::vector<ClusterNode> nodes = parse_cluster_nodes(sample.cluster_nodes);
  if (nodes.empty()) return lines;
  lines.push_back({});
  lines.push_back({"NODE      ADDRESS                 ROLE      SLOTS  LINK", LineStyle::kHeader});
  for (std::size_t i = 0; i < std::min(nodes.size(), kNodeRows); ++i) {
    const ClusterNode& node = nodes[i];
    lines.push_back(
        {formatted("%-8s  %-22s  %-8s  %5zu  %s", cut(node.id, 8).c_str(), cut(node.address, 22).c_str(),
                   node.is_replica ? "replica" : "master", node.slot_count(), node.link.c_str()),
         node.is_failed() ? LineStyle::kAlarm : LineStyle::kPlain});
  }
  return lines;
}

}  // namespace

std::vector<ViewLine> view_lines(const View& view, const Sample& sample, Rates rates, std::size_t rows,
                                 std::size_t columns) {
  std::vector<ViewLine> lines;
  add_summary(view, sample, rates, columns, &lines);
  if (!view.problem.empty()) lines[0] = {view.problem, LineStyle::kAlarm};
  add_disk(sample.info, &lines);
  add_workers(view, std::move(rates.workers), &lines);
  add_commands(view, std::move(rates.commands), &lines);
  // Slow commands and nodes keep their place at the bottom; the list of commands is what gives way.
  std::vector<ViewLine> bottom = slow_lines(sample);
  const std::vector<ViewLine> nodes = node_lines(sample);
  bottom.insert(bottom.end(), nodes.begin(), nodes.end());
  bottom.push_back({});
  bottom.push_back(
      {"q quit   sort by: o ops  c CPU  m memory  n clients  l latency  a name", LineStyle::kTitle});
  const std::size_t room = rows > bottom.size() ? rows - bottom.size() : 1;
  if (lines.size() > room) lines.resize(room);
  lines.insert(lines.end(), bottom.begin(), bottom.end());
  if (lines.size() > rows) lines.resize(rows);
  for (ViewLine& line : lines) line.text = cut(without_controls(line.text), columns);
  return lines;
}

}  // namespace memento::cli
