// Thousands of SIGKILLs at random instants under a load that checks all it reads: to a worker, to all workers
// at once, to the master, to all processes at once, to a worker that was stopped; and upgrades, so that what
// is killed may be a worker of either binary, the check, a cleaner, or the master between two binaries. After
// a kill that ends the server it is started again on the same data. No acknowledged write may be missing
// (lost), no value may be anything but one that was sent (torn), none older than one that was acknowledged or
// seen before (stale).
//
// It goes on for 60 s, and until it has killed 5000 times. The environment: SEED; DURATION_S to go on for so
// long instead.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <sstream>

#include "shm/check.h"
#include "shm/segment.h"
#include "tests/fault/storm_load.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr std::int64_t kSuiteDurationS = 60;
constexpr int kSuiteKills = 5000;
constexpr std::uint64_t kNsPerMs = 1'000'000;
constexpr std::size_t kWorkers = 2;
constexpr int kKillsPerFlush = 1000;
constexpr int kKillsPerLatency = 10;
constexpr std::size_t kLogLinesPerSecond =
    60;  // of one master, which tells 20 ends in a second of another clock

std::uint64_t environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::vector<pid_t> children_now(pid_t master) {
  const std::string id = std::to_string(master);
  std::istringstream text(read_file("/proc/" + id + "/task/" + id + "/children"));
  return {std::istream_iterator<pid_t>(text), {}};
}

std::size_t open_files(pid_t pid) {
  const std::filesystem::directory_iterator files("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

bool is_zombie(pid_t pid) {
  return read_file("/proc/" + std::to_string(pid) + "/stat").find(") Z") != std::string::npos;
}

/// Who dies, and when. Kills without waiting for the replacement, now and then excepted, to measure.
class Killer {
 public:
  Killer(TestServer& server, StormState& state, std::uint64_t seed)
      : server_(server), state_(state), random_(seed) {}

  void strike() {
    await_progress(1u << random_() % 12, 100);
    const std::uint64_t choice = random_() % 1000;
    if (choice < 860) {
      kill_worker();
    } else if (choice < 940) {
      for (const pid_t pid : children_now(server_.master())) kill_one(pid);
    } else if (choice < 955) {
      stop_worker();
    } else if (choice < 970) {
      server_.signal(SIGUSR2);
      ++upgrades_;
    } else {
      end_server(choice < 985);
    }
  }

  int kills() const { return kills_; }
  int restarts() const { return restarts_; }
  int stops() const { return stops_; }
  int upgrades() const { return upgrades_; }
  std::vector<double>& latencies_ms() { return latencies_ms_; }
  std::size_t files_at_start() const { return files_at_start_; }

 private:
  void kill_one(pid_t pid) { kills_ += kill(pid, SIGKILL) == 0; }

  // A number of answered requests; not for ever, since all clients may wait for a stopped worker.
  void await_progress(std::uint64_t operations, std::uint64_t limit_ms) {
    const std::uint64_t goal = state_.operations + operations;
    const auto end_ns = static_cast<std::uint64_t>(monotonic_time_ns()) + limit_ms * kNsPerMs;
    while (state_.operations < goal && static_cast<std::uint64_t>(monotonic_time_ns()) < end_ns) usleep(100);
  }

  pid_t random_worker() {
    const std::vector<pid_t> workers = children_now(server_.master());
    return workers.empty() ? 0 : workers[random_() % workers.size()];
  }

  void kill_worker() {
    const std::vector<pid_t> workers = children_now(server_.master());
    if (workers.empty()) return;
    const pid_t victim = workers[random_() % workers.size()];
    const std::int64_t begin_ns = monotonic_time_ns();
    kill_one(victim);
    if (kills_ % kKillsPerLatency != 0 || workers.size() != kWorkers) return;
    while (monotonic_time_ns() - begin_ns < 10'000 * static_cast<std::int64_t>(kNsPerMs)) {
      const std::vector<pid_t> now = children_now(server_.master());
      if (now.size() == kWorkers && std::ranges::find(now, victim) == now.end()) break;
    }
    latencies_ms_.push_back(static_cast<double>(monotonic_time_ns() - begin_ns) / kNsPerMs);
  }

  void stop_worker() {
    const pid_t victim = random_worker();
    if (victim == 0 || kill(victim, SIGSTOP) != 0) return;
    ++stops_;
    await_progress(50, 50);
    kill_one(victim);
  }

  void end_server(bool master_only) {
    const std::vector<pid_t> workers = children_now(server_.master());
    server_.signal(SIGKILL);
    ++kills_;
    for (const pid_t pid : workers) {
      if (!master_only) kill_one(pid);
    }
    server_.wait();
    server_.start();
    ++restarts_;
    if (server_.master() > 0) server_.workers(2);
    files_at_start_ = server_.master() > 0 ? open_files(server_.master()) : 0;
  }

  TestServer& server_;
  StormState& state_;
  std::mt19937_64 random_;
  int kills_ = 0;
  int restarts_ = 0;
  int stops_ = 0;
  int upgrades_ = 0;  ///< begun
  std::size_t files_at_start_ = open_files(server_.master());
  std::vector<double> latencies_ms_;
};

// Most lines that one master wrote within one second.
std::size_t densest_second(const std::string& log) {
  std::map<std::pair<int, std::string>, std::size_t> lines;
  int masters = 0;
  std::istringstream text(log);
  for (std::string line; std::getline(text, line);) {
    masters +=
        line.find("came back in") != std::string::npos || line.find("Upgraded to") != std::string::npos;
    ++lines[{masters, line.substr(5, 21)}];
  }
  std::size_t most = 0;
  for (const auto& [second, count] : lines) most = std::max(most, count);
  return most;
}

// Lets the clients flush, while the killing goes on.
void flush_under_kills(StormLoad& load, Killer& killer, const TestServer& server) {
  StormState& state = load.state();
  std::atomic<bool> flushed{false};
  std::thread flusher([&] {
    load.hold([&](StormClient& client) {
      load.flush(client);
      const std::string count = client.answered({"COUNT"});
      if (count != "0" && !state.abandoned) ADD_FAILURE() << "COUNT is " << count << " after FLUSH";
    });
    flushed = true;
  });
  while (!flushed && server.master() > 0) killer.strike();
  state.abandoned = server.master() <= 0;
  flusher.join();
}

// The server is whole again: all workers, no zombie, no descriptor more than at its start, a log that tells
// and does not flood.
void expect_recovered(const TestServer& server, const Killer& killer) {
  std::vector<pid_t> workers;
  EXPECT_TRUE(wait_until([&] { return (workers = children_now(server.master())).size() == kWorkers; }))
      << workers.size();
  EXPECT_TRUE(std::ranges::none_of(workers, is_zombie));
  EXPECT_TRUE(wait_until([&] { return open_files(server.master()) <= killer.files_at_start(); }))
      << open_files(server.master());
  const std::string log = server.log();
  EXPECT_LE(densest_second(log), kLogLinesPerSecond);
  EXPECT_EQ(log.find("set aside"), std::string::npos) << log.substr(log.find("set aside"), 500);
  EXPECT_EQ(log.find("a new one starts in"), std::string::npos) << "a killed worker had to wait";
}

// What a stopped server left is attached to, sound, and has so many keys.
void expect_sound_data(const std::string& folder, std::size_t keys) {
  AttachReport report;
  const auto segment = Segment::create_or_attach({folder, 256 << 20, 2}, &report);
  ASSERT_TRUE(segment);
  EXPECT_TRUE(report.attached) << report.set_aside_message;
  EXPECT_EQ(report.key_count, keys);
  const CheckReport check = check_segment(**segment);
  EXPECT_TRUE(check.errors.empty()) << check.errors.front();
}

void print_summary(Killer& killer, const StormState& state, std::int64_t elapsed_s, std::size_t upgraded,
                   int flushes) {
  std::vector<double>& latencies = killer.latencies_ms();
  std::ranges::sort(latencies);
  std::printf(
      "%d kills in %lld s, %d of them of stopped workers; %d restarts, %zu of %d upgrades, %d flushes; %llu "
      "operations, %llu connections broken\n",
      killer.kills(), static_cast<long long>(elapsed_s), killer.stops(), killer.restarts(), upgraded,
      killer.upgrades(), flushes, static_cast<unsigned long long>(state.operations),
      static_cast<unsigned long long>(state.broken));
  if (!latencies.empty()) {
    std::printf("replaced after %.1f ms (median), %.1f ms (99 %%), %.1f ms (most)\n",
                latencies[latencies.size() / 2], latencies[latencies.size() * 99 / 100], latencies.back());
  }
  std::printf("%d lost, %d torn, %d stale\n", state.verdict.lost.load(), state.verdict.torn.load(),
              state.verdict.stale.load());
}

TEST(KillStorm, NothingAcknowledgedIsLost) {
  const std::uint64_t seed = environment("SEED", static_cast<std::uint64_t>(wall_time_ms()));
  const auto wanted_s = static_cast<std::int64_t>(environment("DURATION_S", 0));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  TestServer server({"--lock-timeout", "1", "--quit-timeout", "0"});
  server.workers(2);
  StormLoad load([&] { return connect_text(server.port()); }, seed);
  StormState& state = load.state();
  Killer killer(server, state, seed);
  const std::int64_t begin_ns = monotonic_time_ns();
  const auto elapsed_s = [&] {
    return (monotonic_time_ns() - begin_ns) / 1000 / static_cast<std::int64_t>(kNsPerMs);
  };
  const auto is_enough = [&] {
    if (wanted_s > 0) return elapsed_s() >= wanted_s;
    return elapsed_s() >= kSuiteDurationS && killer.kills() >= kSuiteKills;
  };
  int flushes = 0;
  while (!is_enough() && server.master() > 0 && state.verdict.is_clean()) {
    killer.strike();
    if (killer.kills() / kKillsPerFlush == flushes) continue;
    ++flushes;
    flush_under_kills(load, killer, server);
  }
  state.abandoned = server.master() <= 0;
  load.stop();
  ASSERT_GT(server.master(), 0) << "the server did not come back";

  std::size_t keys = 0;
  load.hold([&](StormClient& client) {
    keys = load.check_all(client);
    // Expired keys count until they are swept.
    EXPECT_TRUE(wait_until([&] { return client.answered({"COUNT"}) == std::to_string(keys); }))
        << client.answered({"COUNT"}) << " keys instead of " << keys;
  });
  expect_recovered(server, killer);
  const std::size_t upgraded = count_in(server.log(), "Upgraded to");
  EXPECT_EQ(server.stop(), 0);
  expect_sound_data(server.data_folder(), keys);
  print_summary(killer, state, elapsed_s(), upgraded, flushes);
}

}  // namespace
}  // namespace memento::testing
