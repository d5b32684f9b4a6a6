// Scripts that move amounts between counters, over workers that are killed all the while: no script is done
// by half, so the sum holds, and each that was answered has been done.
//
// 60 kills; 5000 where DURATION_S says that there is time (`make kill-test`), or as many as KILLS says.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/fault/wire.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr std::uint64_t kAccounts = 10;
constexpr long kBalance = 1000;
constexpr int kSuiteKills = 60;
constexpr int kLongKills = 5000;
constexpr int kKillsPerCheck = 100;
constexpr int kTransfersPerKill = 20;
constexpr std::size_t kWorkers = 3;

int wanted_kills() {
  if (const char* const text = std::getenv("KILLS")) return std::atoi(text);
  return std::getenv("DURATION_S") != nullptr ? kLongKills : kSuiteKills;
}

// The text protocol's words have no spaces in them; nor need scripts. One that fails does so between the two.
constexpr const char* kTransfer =
    "redis.call('decrby',KEYS[1],ARGV[1])redis.call('echo',('x'):rep(ARGV[2]))"
    "redis.call('incrby',KEYS[2],ARGV[1])redis.call('incr','transfers')return(ARGV[1])";
constexpr const char* kFailing = "redis.call('decrby',KEYS[1],ARGV[1])error('no')";

// A thread's transfers, one after the other, over connections that break.
class Mover {
 public:
  Mover(const TestServer& server, std::uint64_t seed, std::atomic<bool>& ends, std::atomic<int>& done)
      : server_(server), random_(seed), ends_(ends), done_(done) {}

  void run() {
    while (!ends_) {
      const std::unique_ptr<Wire> wire = connect_text(server_.port());
      while (wire != nullptr && !ends_ && move(*wire)) {
      }
    }
  }

 private:
  // False: the connection broke.
  bool move(Wire& wire) {
    const std::string from = account(), to = account(), amount = std::to_string(random_() % 50);
    const std::string length = std::to_string(random_() % 2000);
    const bool in_exec = random_() % 3 == 0;
    const bool fails = random_() % 8 == 0;
    std::vector<std::string> replies;
    const auto ask = [&](std::initializer_list<std::string_view> words) {
      std::optional<std::string> reply;
      if (wire.send(words)) reply = wire.read();
      if (reply) replies.push_back(std::move(*reply));
      return !replies.empty();
    };
    if (in_exec && !ask({"MULTI"})) return false;
    const std::size_t before = replies.size();
    ask({"EVAL", fails && !in_exec ? kFailing : kTransfer, "2", from, to, amount, length});
    if (replies.size() == before) return false;
    const std::size_t queued = replies.size();
    if (in_exec) ask({"EXEC"});
    if (in_exec && replies.size() == queued) return false;
    done_ += replies.back() == amount ? 1 : 0;
    return true;
  }

  std::string account() { return "a" + std::to_string(random_() % kAccounts); }

  const TestServer& server_;
  std::mt19937_64 random_;
  std::atomic<bool>& ends_;
  std::atomic<int>& done_;
};

// As one script sees the accounts.
long sum_of_accounts(const TestServer& server) {
  std::string script = "EVAL return(0";
  for (std::uint64_t i = 0; i < kAccounts; ++i) script += "+redis.call('get','a" + std::to_string(i) + "')";
  const std::string reply = server.request(script + ") 0");
  EXPECT_FALSE(is_error_reply(reply)) << reply;
  return std::atol(reply.c_str());
}

TEST(KillStorm, TransfersByScriptsAreWhole) {
  const int kills = wanted_kills();
  TestServer server({"--workers", std::to_string(kWorkers)});
  for (std::uint64_t i = 0; i < kAccounts; ++i)
    ASSERT_EQ(server.request("SET a" + std::to_string(i) + " " + std::to_string(kBalance)), "OK");
  std::atomic<bool> ends{false};
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 1; seed <= 4; ++seed)
    threads.emplace_back([&, seed] { Mover(server, seed, ends, done).run(); });
  const long sum = kBalance * static_cast<long>(kAccounts);
  for (int i = 0; i < kills && !HasFailure(); ++i) {
    const int before = done;
    EXPECT_TRUE(wait_until([&] { return done > before + kTransfersPerKill; }));
    const std::vector<pid_t> workers = server.workers(kWorkers);
    kill(workers[static_cast<std::size_t>(i) % workers.size()], SIGKILL);
    if (i % kKillsPerCheck == 0) {
      EXPECT_EQ(sum_of_accounts(server), sum) << "behind " << i << " kills";
    }
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum_of_accounts(server), sum);
  const long transfers = std::stol(server.request("GET transfers"));
  EXPECT_GE(transfers, done);
  std::printf("%d kills, %ld transfers, %d of them answered\n", kills, transfers, done.load());
}

}  // namespace
}  // namespace memento::testing
