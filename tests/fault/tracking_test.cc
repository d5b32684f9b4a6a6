// Clients with caches while others write and workers are killed and stopped: what a cache answers is never
// older than what was acknowledged before the client last asked the server anything.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <random>
#include <thread>

#include "tests/fault/cache_client.h"
#include "tests/fault/wire.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr int kWriters = 3;
constexpr int kReaders = 3;
constexpr int kKeysOfWriter = 8;
constexpr int kKeys = kWriters * kKeysOfWriter;
constexpr int kFaults = 60;
constexpr std::size_t kWorkers = 4;

std::string name(int key) { return "key:" + std::to_string(key); }

/// Numbers that only grow, each key's written by one thread.
struct Board {
  std::array<std::atomic<std::uint64_t>, kKeys> acknowledged{};
  std::atomic<bool> is_over = false;
  std::atomic<std::uint64_t> writes = 0;
  std::atomic<std::uint64_t> hits = 0;
  std::atomic<std::uint64_t> invalidations = 0;
  std::atomic<std::uint64_t> nulls = 0;
};

// By SET, EXEC and a script in turn. False: the connection broke, or it was refused.
bool write(Wire& wire, const std::string& key, std::uint64_t number) {
  const std::string value = std::to_string(number);
  const auto succeeds = [&] {
    const std::optional<std::string> reply = wire.read();
    return reply && !reply->starts_with("(error)") && !reply->starts_with("(Out of memory)");
  };
  if (number % 3 == 0) return wire.send({"SET", key, value}) && succeeds();
  if (number % 3 == 1) {
    return wire.send({"MULTI"}) && wire.send({"SET", key, value}) && wire.send({"EXEC"}) && succeeds() &&
           succeeds() && succeeds();
  }
  return wire.send({"EVAL", "redis.call('set',KEYS[1],ARGV[1])", "1", key, value}) && succeeds();
}

void run_writer(const TestServer& server, Board& board, int writer) {
  std::mt19937 random(static_cast<unsigned>(writer));
  std::unique_ptr<Wire> wire;
  for (std::uint64_t number = 1; !board.is_over; ++number) {
    while (wire == nullptr && !board.is_over) wire = connect_text(server.port());
    if (wire == nullptr) return;
    const int key = writer * kKeysOfWriter + static_cast<int>(random() % kKeysOfWriter);
    if (write(*wire, name(key), number)) {
      board.acknowledged[static_cast<std::size_t>(key)] = number;
      ++board.writes;
    } else {
      wire = nullptr;
    }
  }
}

void run_reader(const TestServer& server, Board& board, int reader) {
  std::mt19937 random(static_cast<unsigned>(1000 + reader));
  CacheClient client(server.port());
  while (!board.is_over) {
    if (!client.begin()) continue;
    const int key = static_cast<int>(random() % kKeys);
    const std::uint64_t due = board.acknowledged[static_cast<std::size_t>(key)];
    if (!client.settle()) continue;
    std::optional<std::string> value = client.cached(name(key));
    if (value) {
      ++board.hits;
    } else {
      value = client.read(name(key));
    }
    if (!value) continue;
    const std::uint64_t number = value->empty() ? 0 : std::stoull(*value);
    if (number >= due) continue;
    ADD_FAILURE() << name(key) << " is " << number << " for the client, but " << due << " was acknowledged";
    board.is_over = true;
  }
  board.invalidations += client.invalidations();
  board.nulls += client.nulls();
}

// A worker is killed, or stopped until the others have been at work for a while.
void inflict(const TestServer& server, Board& board, std::mt19937& random) {
  const pid_t worker = server.workers(kWorkers)[random() % kWorkers];
  const bool stops = random() % 3 == 0;
  kill(worker, stops ? SIGSTOP : SIGKILL);
  const std::uint64_t writes = board.writes;
  const std::uint64_t hits = board.hits;
  // Writers and readers of a stopped worker wait for it; those of the others need not be there.
  for (int i = 0; i < 20 && (board.writes < writes + 20 || board.hits < hits + 5); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  if (stops) kill(worker, SIGCONT);
}

// Shows that no cache is stale, through writes of all kinds by clients of all workers, deaths and stops.
TEST(Tracking, CachesAreNeverStale) {
  TestServer server({"--workers", std::to_string(kWorkers)});
  Board board;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kWriters; ++i) threads.emplace_back([&, i] { run_writer(server, board, i); });
  for (int i = 0; i < kReaders; ++i) threads.emplace_back([&, i] { run_reader(server, board, i); });
  std::mt19937 random(std::random_device{}());
  for (int i = 0; i < kFaults && !board.is_over; ++i) inflict(server, board, random);
  board.is_over = true;
  threads.clear();
  EXPECT_GT(board.hits, 0u);
  EXPECT_GT(board.invalidations, 0u);
  EXPECT_GT(board.nulls, 0u);
  std::cout << board.writes << " writes, " << board.hits << " hits, " << board.invalidations
            << " invalidations, " << board.nulls << " nulls\n";
}

}  // namespace
}  // namespace memento::testing
