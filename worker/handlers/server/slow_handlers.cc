// SLOWLOG and LATENCY: what the workers' CommandMeters noted, put together.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/command/command_table.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr std::string_view kEvents[] = {"command", "fast-command"};
static_assert(std::size(kEvents) == kLatencyEvents);

struct Line {
  std::uint64_t number;
  std::uint64_t time_s;
  std::uint64_t duration_us;
  std::vector<std::string> words;  ///< address, name, arguments
};

// Nothing: empty, reset, or just being written.
std::optional<Line> read_line(const SlowLine& line, std::uint64_t floor) {
  Line read{};
  read.number = line.number.load(std::memory_order_acquire);
  if (read.number == 0 || read.number <= floor) return std::nullopt;
  std::array<char, kSlowTextBytes> text = line.text;
  const std::uint64_t bytes = std::min<std::uint64_t>(line.text_bytes, kSlowTextBytes);
  read.time_s = line.time_s;
  read.duration_us = line.duration_us;
  std::atomic_thread_fence(std::memory_order_acquire);
  if (line.number.load(std::memory_order_relaxed) != read.number) return std::nullopt;
  for (std::size_t at = 0; at + 2 <= bytes;) {
    std::uint16_t length = 0;
    std::memcpy(&length, text.data() + at, 2);
    if (at + 2 + length > bytes) return std::nullopt;
    read.words.emplace_back(text.data() + at + 2, length);
    at += 2u + length;
  }
  if (read.words.size() < 2) return std::nullopt;
  return read;
}

// Newest first.
std::vector<Line> slow_lines(CommandContext& context) {
  const LiveSettings& settings = context.services.settings;
  std::vector<Line> lines;
  for (std::size_t i = 0; i < settings.statistics->record_count.load(); ++i) {
    for (const SlowLine& line : settings.statistics[i].slow_lines) {
      std::optional<Line> read = read_line(line, settings.statistics->slow_floor.load());
      if (read) lines.push_back(std::move(*read));
    }
  }
  std::ranges::sort(lines, std::greater(), &Line::number);
  const auto limit = static_cast<std::size_t>(std::max<std::int64_t>(0, settings.slow_shown.load()));
  if (lines.size() > limit) lines.resize(limit);
  return lines;
}

// Oldest first.
std::vector<std::uint64_t> samples_of(CommandContext& context, std::size_t event, std::uint64_t* most_ms) {
  const LiveSettings& settings = context.services.settings;
  std::vector<std::uint64_t> samples;
  for (std::size_t record = 0; record < settings.statistics->record_count.load(); ++record) {
    const LatencyEvent& latency = settings.statistics[record].latency[event];
    if (latency.generation.load() != settings.statistics->latency_generations[event].load()) continue;
    const std::size_t count =
        std::min<std::size_t>(latency.count.load(std::memory_order_acquire), kLatencySampleLimit);
    for (std::size_t i = 0; i < count; ++i) samples.push_back(latency.samples[i].load());
    *most_ms = std::max(*most_ms, latency.most_ms.load());
  }
  std::ranges::sort(samples);
  if (samples.size() > kLatencySampleLimit)
    samples.erase(samples.begin(), samples.end() - kLatencySampleLimit);
  return samples;
}

}  // namespace

void slowlog_get(CommandContext& context, const Call& call) {
  std::int64_t wanted = 10;
  if (call.count() > 3) {
    return context.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                               std::string(quotable(call[1])) + "'. Try SLOWLOG HELP.");
  }
  if (call.count() == 3) {
    const auto [end, failure] = std::from_chars(call[2].data(), call[2].data() + call[2].size(), wanted);
    if (failure != std::errc() || end != call[2].data() + call[2].size() || wanted < -1)
      return context.reply.error("ERR count should be greater than or equal to -1");
  }
  std::vector<Line> lines = slow_lines(context);
  if (wanted >= 0 && lines.size() > static_cast<std::size_t>(wanted))
    lines.resize(static_cast<std::size_t>(wanted));
  context.reply.begin_array(lines.size());
  for (const Line& line : lines) {
    context.reply.begin_array(6);
    context.reply.integer(static_cast<std::int64_t>(line.number));
    context.reply.integer(static_cast<std::int64_t>(line.time_s));
    context.reply.integer(static_cast<std::int64_t>(line.duration_us));
    context.reply.begin_array(line.words.size() - 2);
    for (std::size_t i = 2; i < line.words.size(); ++i) context.reply.bulk(line.words[i]);
    context.reply.end();
    context.reply.bulk(line.words[0]);
    context.reply.bulk(line.words[1]);
    context.reply.end();
  }
  context.reply.end();
}

void slowlog_len(CommandContext& context, const Call&) {
  context.reply.integer(static_cast<std::int64_t>(slow_lines(context).size()));
}

void slowlog_reset(CommandContext& context, const Call&) {
  StatisticsRecords& statistics = context.services.settings.statistics;
  statistics->slow_floor = statistics->slow_next.load();
  context.reply.ok();
}

void latency_latest(CommandContext& context, const Call&) {
  const std::size_t begin = context.reply.begin_list();
  std::size_t count = 0;
  for (std::size_t event = 0; event < std::size(kEvents); ++event) {
    std::uint64_t most_ms = 0;
    const std::vector<std::uint64_t> samples = samples_of(context, event, &most_ms);
    if (samples.empty()) continue;
    ++count;
    context.reply.begin_array(4);
    context.reply.bulk(kEvents[event]);
    context.reply.integer(static_cast<std::int64_t>(samples.back() >> 32));
    context.reply.integer(static_cast<std::int64_t>(samples.back() & 0xffffffff));
    context.reply.integer(static_cast<std::int64_t>(most_ms));
    context.reply.end();
  }
  context.reply.end_list(begin, count);
}

void latency_history(CommandContext& context, const Call& call) {
  std::vector<std::uint64_t> samples;
  std::uint64_t most_ms = 0;
  for (std::size_t event = 0; event < std::size(kEvents); ++event) {
    if (lower_case(call[2]) == kEvents[event]) samples = samples_of(context, event, &most_ms);
  }
  context.reply.begin_array(samples.size());
  for (const std::uint64_t sample : samples) {
    context.reply.begin_array(2);
    context.reply.integer(static_cast<std::int64_t>(sample >> 32));
    context.reply.integer(static_cast<std::int64_t>(sample & 0xffffffff));
    context.reply.end();
  }
  context.reply.end();
}

// The events named, or all; how many of them had samples.
void latency_reset(CommandContext& context, const Call& call) {
  std::int64_t count = 0;
  for (std::size_t event = 0; event < std::size(kEvents); ++event) {
    const auto is_it = [&](std::string_view name) { return lower_case(name) == kEvents[event]; };
    std::uint64_t most_ms = 0;
    if (call.count() > 2 && std::ranges::none_of(call.args.subspan(2), is_it)) continue;
    if (!samples_of(context, event, &most_ms).empty()) ++count;
    ++context.services.settings.statistics->latency_generations[event];
  }
  context.reply.integer(count);
}

void latency_doctor(CommandContext& context, const Call&) {
  const LiveSettings& settings = context.services.settings;
  const std::int64_t threshold_ms = settings.latency_after_ms.load();
  std::string text;
  for (std::size_t event = 0; event < std::size(kEvents); ++event) {
    std::uint64_t most_ms = 0;
    const std::vector<std::uint64_t> samples = samples_of(context, event, &most_ms);
    if (samples.empty()) continue;
    std::uint64_t sum_ms = 0;
    for (const std::uint64_t sample : samples) sum_ms += sample & 0xffffffff;
    text.append("* ").append(kEvents[event]).append(": ").append(std::to_string(samples.size()));
    text.append(" samples, ")
        .append(std::to_string(sum_ms / samples.size()))
        .append(" ms on average, at most ");
    text.append(std::to_string(most_ms)).append(" ms. SLOWLOG GET tells which commands they were.\n");
  }
  if (threshold_ms == 0 && text.empty()) {
    text = "Nothing is sampled. CONFIG SET latency-monitor-threshold MILLISECONDS begins it.\n";
  } else if (text.empty()) {
    text = "No command took " + std::to_string(threshold_ms) + " ms or longer.\n";
  }
  context.reply.verbatim(text);
}

void latency_histogram(CommandContext& context, const Call& call) {
  const std::size_t rows = all_commands().size() + all_subcommands().size();
  const auto is_wanted = [&](const Command& command) {
    if (call.count() == 2) return true;
    for (std::size_t i = 2; i < call.count(); ++i) {
      const std::string_view container = command.name.substr(0, command.name.find('|'));
      if (is_word(call[i], command.name) || is_word(call[i], container)) return true;
    }
    return false;
  };
  std::map<std::string, std::array<std::uint64_t, kLatencyBuckets>> found;
  for (std::size_t row = 0; row < rows; ++row) {
    const Command& command =
        row < all_commands().size() ? all_commands()[row] : all_subcommands()[row - all_commands().size()];
    if (!is_wanted(command)) continue;
    const CommandTotals totals = command_totals(context, command);
    if (totals.calls > 0) found[lower_case(command.name)] = totals.buckets;
  }
  context.reply.begin_map(found.size());
  for (const auto& [name, buckets] : found) {
    std::uint64_t calls = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> steps;
    for (std::size_t i = 0; i < kLatencyBuckets; ++i) {
      calls += buckets[i];
      if (buckets[i] > 0) steps.emplace_back(1ull << i, calls);
    }
    context.reply.field(name);
    context.reply.begin_map(2);
    context.reply.field("calls");
    context.reply.integer(static_cast<std::int64_t>(calls));
    context.reply.field("histogram_usec");
    context.reply.begin_map(steps.size());
    for (const auto& [limit_us, sum] : steps) {
      if (context.reply.is_text()) {
        context.reply.field(std::to_string(limit_us));
      } else {
        context.reply.integer(static_cast<std::int64_t>(limit_us));
      }
      context.reply.integer(static_cast<std::int64_t>(sum));
    }
    context.reply.end();
    context.reply.end();
  }
  context.reply.end();
}

CommandTotals command_totals(CommandContext& context, const Command& command) {
  const LiveSettings& settings = context.services.settings;
  CommandTotals totals;
  for (std::size_t worker = 0; worker < settings.statistics->record_count.load(); ++worker) {
    const WorkerStatistics& record = settings.statistics[worker];
    if (record.generation.load() != settings.statistics->generation.load()) continue;
    const CommandStatistics& statistics = record.commands[command.number];
    totals.calls += statistics.calls.load();
    totals.nanoseconds += statistics.nanoseconds.load();
    totals.rejected += statistics.rejected.load();
    totals.failed += statistics.failed.load();
    for (std::size_t i = 0; i < kLatencyBuckets; ++i) totals.buckets[i] += statistics.buckets[i].load();
  }
  return totals;
}

}  // namespace memento::handlers
