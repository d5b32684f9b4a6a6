// A hundred kills under load: SIGKILL to each worker in turn while clients store values that can be checked.
// No acknowledged value may be missing or wrong, and only the victims' connections may break.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "shm/check.h"
#include "shm/segment.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr int kKills = 100;
constexpr int kClients = 6;
constexpr int kKeysPerClient = 200;

class Victims {
 public:
  void add(pid_t pid) {
    const std::lock_guard guard(mutex_);
    pids_.insert(pid);
  }
  bool has(pid_t pid) {
    const std::lock_guard guard(mutex_);
    return pids_.contains(pid);
  }

 private:
  std::mutex mutex_;
  std::set<pid_t> pids_;
};

std::string value_of(int client, int key, int sequence) {
  const std::string head =
      std::to_string(client) + "/" + std::to_string(key) + "/" + std::to_string(sequence) + "/";
  return head + std::string(static_cast<std::size_t>((sequence * 37 + key) % 700),
                            static_cast<char>('a' + sequence % 26));
}

/// Stores ever new values under its own keys, reading back each old one before.
class Loader {
 public:
  Loader(const TestServer& server, Victims& victims, int number)
      : server_(server), victims_(victims), number_(number) {}

  void run(const std::atomic<bool>& over) {
    connect();
    for (int step = 0; !over; ++step) {
      const int key = step % kKeysPerClient;
      check(key);
      store(key);
    }
    for (int key = 0; key < kKeysPerClient; ++key) check(key);
  }

  std::uint64_t acknowledged() const { return acknowledged_; }
  std::uint64_t broken() const { return broken_; }
  int keys() const {
    return static_cast<int>(std::ranges::count_if(stored_, [](int sequence) { return sequence > 0; }));
  }

 private:
  std::string name(int key) const { return "c" + std::to_string(number_) + ":" + std::to_string(key); }

  // A new connection may meet a worker that is killed before it answers.
  void connect() {
    do {
      client_ = server_.connect();
      worker_ = worker_of(client_);
    } while (worker_ == 0);
  }
  void reconnect() {
    ++broken_;
    EXPECT_TRUE(victims_.has(worker_))
        << "a connection to worker " << worker_ << " broke, which nobody killed";
    connect();
  }
  std::string request_until_answered(const std::string& line) {
    for (;;) {
      if (const Result<std::string> reply = client_.request(line)) return *reply;
      reconnect();
    }
  }
  // The value is the last one acknowledged, or the one that was on its way when the connection broke.
  void check(int key) {
    const auto place = static_cast<std::size_t>(key);
    const std::string reply = request_until_answered("GET " + name(key));
    if (reply == value_of(number_, key, stored_[place]) || (stored_[place] == 0 && reply == "(null)")) {
      uncertain_[place] = 0;
    } else if (uncertain_[place] > 0 && reply == value_of(number_, key, uncertain_[place])) {
      stored_[place] = std::exchange(uncertain_[place], 0);
    } else {
      ADD_FAILURE() << name(key) << ": stored " << stored_[place] << ", on its way " << uncertain_[place]
                    << ", found " << reply.substr(0, 40);
    }
  }
  void store(int key) {
    const auto place = static_cast<std::size_t>(key);
    ++sequence_;
    const Result<std::string> reply =
        client_.request("SET " + name(key) + " " + value_of(number_, key, sequence_));
    if (!reply) {
      uncertain_[place] = sequence_;
      return reconnect();
    }
    EXPECT_EQ(*reply, "OK");
    stored_[place] = sequence_;
    ++acknowledged_;
  }

  const TestServer& server_;
  Victims& victims_;
  const int number_;
  Client client_{Fd()};
  pid_t worker_ = 0;
  int sequence_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t broken_ = 0;
  std::vector<int> stored_ = std::vector<int>(kKeysPerClient);     ///< sequence last acknowledged, 0: none
  std::vector<int> uncertain_ = std::vector<int>(kKeysPerClient);  ///< sequence without an answer, 0: none
};

TEST(Kill, HundredWorkersUnderLoad) {
  TestServer server;
  Victims victims;
  std::vector<Loader> loaders;
  for (int i = 0; i < kClients; ++i) loaders.emplace_back(server, victims, i);
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (Loader& loader : loaders) threads.emplace_back([&] { loader.run(over); });
  for (int i = 0; i < kKills; ++i) {
    const std::vector<pid_t> workers = server.workers(2);
    const pid_t victim = workers[static_cast<std::size_t>(i) % workers.size()];
    victims.add(victim);
    kill(victim, SIGKILL);
    const bool replaced = wait_until([&] {
      const std::vector<pid_t> now = server.workers(2);
      return now.size() == 2 && std::ranges::find(now, victim) == now.end();
    });
    EXPECT_TRUE(replaced);
    server.request("PING x");  // some work happens between two kills
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
  std::uint64_t acknowledged = 0;
  std::uint64_t broken = 0;
  int keys = 0;
  for (const Loader& loader : loaders) {
    acknowledged += loader.acknowledged();
    broken += loader.broken();
    keys += loader.keys();
  }
  EXPECT_EQ(server.request("COUNT"), std::to_string(keys));
  EXPECT_GT(acknowledged, 0u);
  EXPECT_GT(broken, 0u);
  EXPECT_EQ(server.stop(), 0);

  AttachReport report;
  const auto segment = Segment::create_or_attach({server.data_folder(), 256 << 20, 2}, &report);
  ASSERT_TRUE(segment);
  EXPECT_TRUE(report.attached) << report.set_aside_message;
  EXPECT_EQ(report.key_count, static_cast<std::uint64_t>(keys));
  std::printf("%d kills, %llu acknowledged writes, %llu broken connections\n", kKills,
              static_cast<unsigned long long>(acknowledged), static_cast<unsigned long long>(broken));
}

}  // namespace
}  // namespace memento::testing
