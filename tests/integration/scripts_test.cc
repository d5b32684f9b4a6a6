// Scripts in a real server: what all workers know of them, who can stop one that loops, and what a killed
// worker leaves of one.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

// The text protocol's words have no spaces in them; nor need scripts.
constexpr const char* kLoop = "EVAL redis.call('set','half','done')while(true)do(tostring)(1)end 0";

// A connection to another worker than this one.
Client connect_elsewhere(const TestServer& server, pid_t worker) {
  for (;;) {
    Client client = server.connect();
    if (worker_of(client) != worker) return client;
  }
}

std::string ask(Client& client, const std::string& line) {
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : "(failed) " + reply.error().message;
}

// Shows that each worker knows what was loaded in one, also behind kills of all, and behind a restart.
TEST(Scripts, TextsOutliveWorkersAndServers) {
  TestServer server;
  const std::string call = "EVALSHA " + server.request("SCRIPT LOAD return(1)") + " 0";
  const auto all_know_it = [&] {
    for (int i = 0; i < 8; ++i) EXPECT_EQ(server.request(call), "1");
  };
  all_know_it();
  for (const pid_t worker : server.workers(2)) kill(worker, SIGKILL);
  all_know_it();
  server.kill_all();
  server.wait();
  server.start();
  all_know_it();
  EXPECT_EQ(server.request("SCRIPT FLUSH"), "OK");
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(server.request(call), "(error) NOSCRIPT No matching script. Please use EVAL.");
}

// Shows that a client of another worker stops a script, and that others' commands do not wait for it.
TEST(Scripts, AnotherWorkerKillsALoop) {
  TestServer server;
  Client looping = server.connect();
  Client other = connect_elsewhere(server, worker_of(looping));
  ASSERT_TRUE(looping.send_line(kLoop));
  EXPECT_EQ(ask(other, "SET half other"), "OK");
  ASSERT_TRUE(wait_until([&] { return ask(other, "SCRIPT KILL") == "OK"; }));
  const Result<std::string> reply = looping.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->starts_with("(error) Script killed by user with SCRIPT KILL.")) << *reply;
  EXPECT_EQ(ask(looping, "GET half"), "other");
  EXPECT_TRUE(ask(other, "SCRIPT KILL").starts_with("(error) NOTBUSY"));
}

// Shows that clients of the same worker are told that it is busy, new ones too, and that one of them can stop
// the script.
TEST(Scripts, ClientsOfTheSameWorkerAreNotLeftWaiting) {
  TestServer server({"--workers", "1"});
  Client looping = server.connect();
  Client other = server.connect();
  EXPECT_EQ(ask(other, "CONFIG SET busy-reply-threshold 100"), "OK");
  ASSERT_TRUE(looping.send_line(kLoop));
  ASSERT_TRUE(wait_until([&] { return ask(other, "GET half").starts_with("(error) BUSY"); }));
  Client late = server.connect();
  EXPECT_EQ(ask(late, "PING x"), "x");
  EXPECT_TRUE(ask(late, "SET half late").starts_with("(error) BUSY"));
  EXPECT_EQ(ask(late, "SCRIPT KILL"), "OK");
  const Result<std::string> reply = looping.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->starts_with("(error) Script killed by user")) << *reply;
  EXPECT_EQ(ask(late, "GET half"), "(null)");
  EXPECT_EQ(ask(other, "CONFIG SET busy-reply-threshold 5000"), "OK");
}

// Shows that a stop of the server does not wait for a script for ever.
TEST(Scripts, AServerThatEndsEndsItsScripts) {
  TestServer server({"--workers", "1"});
  EXPECT_EQ(server.request("CONFIG SET busy-reply-threshold 10"), "OK");
  Client looping = server.connect();
  ASSERT_TRUE(looping.send_line(kLoop));
  Client other = server.connect();
  ASSERT_TRUE(wait_until([&] { return ask(other, "GET half").starts_with("(error) BUSY"); }));
  EXPECT_EQ(server.stop(), 0);
}

// Scripts that move amounts between counters, over workers that are killed all the while: the sum holds, and
// no script was done by half.
TEST(Scripts, TransfersAreWholeUnderKills) {
  constexpr int kAccounts = 10;
  constexpr int kKills = 60;
  TestServer server({"--workers", "3"});
  for (int i = 0; i < kAccounts; ++i) ASSERT_EQ(server.request("SET a" + std::to_string(i) + " 1000"), "OK");
  const std::string transfer =
      "EVAL redis.call('decrby',KEYS[1],ARGV[1])redis.call('incrby',KEYS[2],ARGV[1])"
      "redis.call('incr','transfers')return(ARGV[1]) 2 ";
  std::atomic<bool> ends{false};
  std::atomic<int> done{0};
  std::vector<std::thread> movers;
  for (int mover = 0; mover < 4; ++mover) {
    movers.emplace_back([&, mover] {
      unsigned random = static_cast<unsigned>(mover) * 7919 + 1;
      while (!ends) {
        Client client = server.connect();
        while (!ends) {
          random = random * 1664525 + 1013904223;
          const std::string from = std::to_string(random / 65536 % kAccounts);
          const std::string to = std::to_string(random / 1024 % kAccounts);
          const Result<std::string> reply =
              client.request(transfer + "a" + from + " a" + to + " " + std::to_string(random % 50));
          if (!reply) break;
          done += is_error_reply(*reply) ? 0 : 1;
        }
      }
    });
  }
  for (int i = 0; i < kKills; ++i) {
    const int before = done;
    EXPECT_TRUE(wait_until([&] { return done > before + 20; }));
    const std::vector<pid_t> workers = server.workers(3);
    kill(workers[static_cast<std::size_t>(i) % workers.size()], SIGKILL);
  }
  ends = true;
  for (std::thread& mover : movers) mover.join();
  long sum = 0;
  for (int i = 0; i < kAccounts; ++i) sum += std::stol(server.request("GET a" + std::to_string(i)));
  EXPECT_EQ(sum, 1000L * kAccounts);
  EXPECT_GE(std::stol(server.request("GET transfers")), done);
}

}  // namespace
}  // namespace memento::testing
