// See watch.h.
#include "cli/modes/watch.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "cli/modes/session.h"
#include "cli/net/info.h"
#include "cli/net/interrupt.h"
#include "cli/show/progress.h"
#include "shm/os/clock.h"

namespace memento::cli {
namespace {

constexpr std::uint64_t kHeaderLines = 20;  // --stat repeats its header
constexpr int kPingPauseMs = 10;
constexpr double kHistoryIntervalS = 15;
constexpr std::size_t kBuckets = 20;  // of --latency-dist: powers of two from 1 us

double interval_of(const Options& options, double usual_s) {
  return options.has_interval ? options.interval_s : usual_s;
}

bool goes_on(const Options& options, std::uint64_t line_count) {
  return !is_interrupted() &&
         (!options.has_repeat || options.repeat_count == 0 || line_count < options.repeat_count);
}

void pause_s(double seconds) {
  poll_or_interrupt(nullptr, 0, static_cast<int>(std::max(seconds, 0.01) * 1000));
}

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%H:%M:%S", &parts);
  return text;
}

CliStatus end_of(const Error& error, const Options& options) {
  std::fflush(stdout);
  return error.error_number == EINTR ? CliStatus::kOk : complain_of(error, options.endpoint);
}

void print_stat(const Info& before, const Info& now, double took_s) {
  const auto rate = [&](const char* name) { return (now.number(name) - before.number(name)) / took_s; };
  const double hit_rate = hit_rate_percent(before, now);
  char hits[16] = "-";
  if (hit_rate >= 0) std::snprintf(hits, sizeof hits, "%.1f", hit_rate);
  const double cpu = 100 * (rate("used_cpu_sys") + rate("used_cpu_user"));
  const auto keys = fields_of(now.text("db0"));
  const auto found = keys.find("keys");
  std::printf("%s %10s %10s %8.0f %9s %6s %9.1f %9.1f %6.0f\n", time_of_day().c_str(),
              short_number(found == keys.end() ? 0 : found->second).c_str(),
              size_text(now.number("used_memory")).c_str(), now.number("connected_clients"),
              short_number(rate("total_commands_processed")).c_str(), hits,
              rate("total_net_input_bytes") / 1e6, rate("total_net_output_bytes") / 1e6, cpu);
}

/// Round trips of PING, in microseconds.
struct RoundTrips {
  std::uint64_t count = 0;
  double sum_us = 0;
  double least_us = 0;
  double most_us = 0;
  std::vector<double> buckets = std::vector<double>(kBuckets, 0.0);  ///< below 2^i us, and not below half

  void add(double us) {
    least_us = count == 0 ? us : std::min(least_us, us);
    most_us = std::max(most_us, us);
    sum_us += us;
    ++count;
    const auto place = static_cast<std::size_t>(std::max(std::ceil(std::log2(std::max(us, 1.0))), 0.0));
    buckets[std::min(place, kBuckets - 1)] += 1;
  }
  double mean_us() const { return count == 0 ? 0 : sum_us / static_cast<double>(count); }
  double percentile_us(double part) const {
    double seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += buckets[i];
      if (seen >= part * static_cast<double>(count))
        return std::min(std::exp2(static_cast<double>(i)), most_us);
    }
    return most_us;
  }
};

Outcome ping(Connection& connection, RoundTrips* trips) {
  const std::int64_t begin_ns = monotonic_time_ns();
  const Result<Reply> reply = connection.request({"PING"});
  if (!reply) return reply.error();
  if (reply->is_error()) {
    return Error{ExitStatus::kRuntime, is_authentication_error(*reply) ? EACCES : EPROTO,
                 "PING: " + reply->text};
  }
  trips->add(static_cast<double>(monotonic_time_ns() - begin_ns) / 1000);
  return Done{};
}

void print_latency(const RoundTrips& trips, const char* end) {
  std::printf("least %.0f us, mean %.0f us, most %.0f us (%llu round trips)%s", trips.least_us,
              trips.mean_us(), trips.most_us, static_cast<unsigned long long>(trips.count), end);
}

void print_distribution(const RoundTrips& trips) {
  const auto text = [](double us) {
    return us < 1000 ? std::to_string(std::lround(us)) + "us" : std::to_string(std::lround(us / 1000)) + "ms";
  };
  std::printf("%s  p50 <=%-6s p99 <=%-6s most %-6s 1us|%s|%s %llu\n", time_of_day().c_str(),
              text(trips.percentile_us(0.5)).c_str(), text(trips.percentile_us(0.99)).c_str(),
              text(trips.most_us).c_str(), bars(trips.buckets).c_str(), text(std::exp2(kBuckets - 1)).c_str(),
              static_cast<unsigned long long>(trips.count));
}

/// Pings for so long and shows a line, which is redrawn at a terminal; returns whether all went well.
Outcome measure(Connection& connection, double seconds, bool is_live, RoundTrips* trips) {
  const std::int64_t end_ns = monotonic_time_ns() + static_cast<std::int64_t>(seconds * 1e9);
  while (!is_interrupted() && (seconds <= 0 || monotonic_time_ns() < end_ns)) {
    if (Outcome done = ping(connection, trips); !done) return done;
    if (is_live) {
      std::fputs("\r\x1b[K", stdout);
      print_latency(*trips, "");
      std::fflush(stdout);
    }
    poll_or_interrupt(nullptr, 0, kPingPauseMs);
  }
  return Done{};
}

/// One message as a line.
void print_message(const Reply& reply, const Options& options) {
  const std::vector<Reply>& parts = reply.elements;
  const bool is_pattern = parts.size() == 4 && parts[0].text == "pmessage";
  const bool is_message = is_pattern || (parts.size() == 3 && parts[0].text == "message");
  if (!is_message) return;
  const std::string& channel = parts[parts.size() - 2].text;
  const std::string& message = parts.back().text;
  switch (options.format.format) {
    case OutputFormat::kJson:
      std::printf("{\"channel\":%s,\"message\":%s}\n", json_string(channel).c_str(),
                  json_string(message).c_str());
      break;
    case OutputFormat::kCsv:
      static_cast<void>(write_output(csv_field(channel) + "," + csv_field(message) + "\n"));
      break;
    case OutputFormat::kByType:
    case OutputFormat::kQuoted:
      static_cast<void>(write_output(quote(channel, true) + " " + quote(message, true) + "\n"));
      break;
    default:
      static_cast<void>(
          write_output(channel + "\t" + message +
                       (options.format.format == OutputFormat::kNull ? std::string(1, '\0') : "\n")));
  }
}

}  // namespace

std::string bars(const std::vector<double>& values) {
  constexpr const char* kBlocks[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                     "\u2585", "\u2586", "\u2587", "\u2588"};
  const double most = values.empty() ? 0 : *std::ranges::max_element(values);
  std::string text;
  for (const double value : values) {
    const double part = most > 0 ? std::max(value, 0.0) / most : 0;
    text += kBlocks[static_cast<std::size_t>(std::ceil(part * 8))];
  }
  return text;
}

CliStatus run_stat(const Options& options) {
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  Result<Info> before = Info::fetch(*connection);
  if (!before) return end_of(before.error(), options);
  std::int64_t before_ns = monotonic_time_ns();
  for (std::uint64_t line = 0; goes_on(options, line); ++line) {
    if (line % kHeaderLines == 0) {
      std::puts("time           keys     memory  clients     ops/s  hits%   in MB/s  out MB/s   cpu%");
    }
    std::fflush(stdout);
    pause_s(interval_of(options, 1));
    if (is_interrupted()) break;
    Result<Info> now = Info::fetch(*connection);
    if (!now) return end_of(now.error(), options);
    const std::int64_t now_ns = monotonic_time_ns();
    print_stat(*before, *now, static_cast<double>(now_ns - before_ns) / 1e9);
    before = std::move(now);
    before_ns = now_ns;
  }
  return CliStatus::kOk;
}

CliStatus run_latency(const Options& options) {
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  const bool is_terminal = ::isatty(STDOUT_FILENO) != 0;
  if (options.mode == Mode::kLatency) {
    // At a terminal until Ctrl-C; elsewhere for the interval.
    RoundTrips trips;
    const Outcome done = measure(*connection, is_terminal ? 0 : interval_of(options, 1), is_terminal, &trips);
    if (is_terminal) std::fputs("\r\x1b[K", stdout);
    print_latency(trips, "\n");
    return done ? CliStatus::kOk : end_of(done.error(), options);
  }
  const bool is_history = options.mode == Mode::kLatencyHistory;
  for (std::uint64_t line = 0; goes_on(options, line); ++line) {
    RoundTrips trips;
    const Outcome done = measure(*connection, interval_of(options, is_history ? kHistoryIntervalS : 1),
                                 is_history && is_terminal, &trips);
    if (!done) return end_of(done.error(), options);
    if (trips.count == 0) break;
    if (is_history) {
      std::printf("%s%s  ", is_terminal ? "\r\x1b[K" : "", time_of_day().c_str());
      print_latency(trips, "\n");
    } else {
      print_distribution(trips);
    }
    std::fflush(stdout);
  }
  return CliStatus::kOk;
}

CliStatus run_monitor(const Options& options) {
  Options monitor = options;
  monitor.command = {"MONITOR"};
  return run_command(monitor);
}

CliStatus run_subscribe(const Options& options) {
  Result<Connection> connection = connect_or_complain(options.endpoint);
  if (!connection) return status_of(connection.error());
  for (const std::string& channel : options.command) {
    const bool is_pattern = channel.find_first_of("*?[") != std::string::npos;
    const Outcome sent = connection->send({is_pattern ? "PSUBSCRIBE" : "SUBSCRIBE", channel});
    if (!sent) return end_of(sent.error(), options);
  }
  for (std::uint64_t count = 0;;) {
    std::fflush(stdout);
    const Result<std::optional<Reply>> reply = connection->read_within(-1);
    if (!reply) return end_of(reply.error(), options);
    if ((**reply).is_error()) return print_reply(**reply, options);
    if (++count == options.command.size() && ::isatty(STDERR_FILENO) != 0)
      complain("subscribed; Ctrl-C ends this");
    print_message(**reply, options);
  }
}

}  // namespace memento::cli
