// Transactions that are long, wide or many: whoever sends them harms no other client, and loses no worker.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/differential/peer.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr int kWritesMeanwhile = 50;

std::vector<pid_t> workers_of(const TestServer& server) { return server.workers(2); }

// A connection to a worker that is not `worker`.
Client connect_elsewhere(const TestServer& server, pid_t worker) {
  for (;;) {
    Client client = server.connect();
    if (worker_of(client) != worker) return client;
  }
}

Words fill(int count) {
  Words words{"MSET"};
  for (int i = 0; i < count; ++i) {
    words.push_back("key" + std::to_string(i));
    words.push_back("value");
  }
  return words;
}

// Has `long_one` executed while another worker's client writes `key` all the time: the reply, and how many
// writes were answered meanwhile.
struct Contest {
  std::string reply;
  int writes = 0;
};
Contest contest(const TestServer& server, const std::vector<Words>& long_one, const std::string& key) {
  Peer peer("memento", server.port());
  const std::string shown = peer.ask({{"INFO", "server"}}).at(0);
  const std::size_t at = shown.find("worker_process_id:");
  const pid_t its_worker = at == std::string::npos ? 0 : static_cast<pid_t>(std::stoi(shown.substr(at + 18)));
  Client writer = connect_elsewhere(server, its_worker);
  EXPECT_NE(worker_of(writer), its_worker);
  std::atomic<bool> is_over = false;
  Contest contest;
  std::thread writing([&] {
    while (!is_over) {
      const Result<std::string> reply = writer.request("SET " + key + " " + std::to_string(contest.writes));
      if (!reply || *reply != "OK") {
        ADD_FAILURE() << "a write meanwhile: " << (reply ? *reply : "the connection ended");
        return;
      }
      ++contest.writes;
    }
  });
  contest.reply = peer.ask(long_one).back();
  is_over = true;
  writing.join();
  return contest;
}

// Shows that an EXEC that computes for seconds, on keys of a slot that another worker writes, is executed,
// that the other's writes are answered meanwhile, and that nobody takes its worker for stuck: the processes
// are the same.
TEST(HostileTransactions, LongOneOnABusySlot) {
  TestServer server({"--workers", "2"});
  const std::vector<pid_t> before = workers_of(server);
  std::string one;
  std::string other;
  for (int i = 0; i < 2500; ++i) {
    one += static_cast<char>('a' + i * 7 % 26);
    other += static_cast<char>('a' + i * 11 % 26);
  }
  ASSERT_EQ(server.request("SET {t}one " + one), "OK");
  ASSERT_EQ(server.request("SET {t}other " + other), "OK");
  std::vector<Words> requests{{"MULTI"}};
  for (int i = 0; i < 14; ++i) requests.push_back({"LCS", "{t}one", "{t}other", "LEN"});
  requests.push_back({"EXEC"});
  const Contest contest = testing::contest(server, requests, "{t}third");
  EXPECT_EQ(contest.reply.substr(0, 5), "*14\r\n");
  EXPECT_GT(contest.writes, kWritesMeanwhile);
  EXPECT_EQ(workers_of(server), before);
}

// Shows the same of one over all keys, which takes the gate when it conflicts: each of its KEYS sees the same
// keys.
TEST(HostileTransactions, LongOneOverAllKeys) {
  TestServer server({"--workers", "2"});
  const std::vector<pid_t> before = workers_of(server);
  Peer peer("memento", server.port());
  ASSERT_EQ(peer.ask({fill(5000)}).at(0), "+OK\r\n");
  std::vector<Words> requests{{"MULTI"}};
  for (int i = 0; i < 100; ++i) requests.push_back({"KEYS", "*77*"});
  requests.push_back({"EXEC"});
  const Contest contest = testing::contest(server, requests, "key777");
  // What conflicts for ever is given up, and says so.
  const bool is_done = contest.reply.substr(0, 6) == "*100\r\n";
  EXPECT_TRUE(is_done || contest.reply.find("BUSY") != std::string::npos) << contest.reply.substr(0, 200);
  EXPECT_GT(contest.writes, kWritesMeanwhile);
  EXPECT_EQ(workers_of(server), before);
}

// Shows that FLUSHALL comes before or behind an EXEC, not into it: all of its DBSIZEs are the same.
TEST(HostileTransactions, FlushComesBeforeOrBehind) {
  TestServer server({"--workers", "2"});
  Peer peer("memento", server.port());
  Client flushing = server.connect();
  std::vector<Words> exec{{"MULTI"}};
  for (int i = 0; i < 100; ++i) exec.push_back({"DBSIZE"});
  exec.push_back({"EXEC"});
  for (int round = 0; round < 20; ++round) {
    peer.ask({fill(1000)});
    std::thread flush([&] { EXPECT_EQ(*flushing.request("FLUSHALL"), "OK"); });
    const std::string reply = peer.ask(exec).back();
    flush.join();
    const std::string full = ":1000\r\n";
    const std::string empty = ":0\r\n";
    std::string all_full = "*100\r\n";
    std::string all_empty = "*100\r\n";
    for (int i = 0; i < 100; ++i) {
      all_full += full;
      all_empty += empty;
    }
    ASSERT_TRUE(reply == all_full || reply == all_empty) << reply;
  }
}

// Shows that what MULTI collects is bounded: beyond, requests are refused, EXEC too, and the memory is given
// back; the connection and the worker go on.
TEST(HostileTransactions, QueueIsBounded) {
  TestServer server({"--workers", "1", "--value-limit", "1MiB"});
  const std::vector<pid_t> before = server.workers(1);
  Peer peer("memento", server.port());
  const std::string value(1 << 20, 'v');
  std::vector<Words> requests{{"MULTI"}};
  for (int i = 0; i < 80; ++i) requests.push_back({"SET", "key", value});
  const std::vector<std::string> replies = peer.ask(requests);
  ASSERT_EQ(replies.size(), 81u);
  EXPECT_EQ(replies[60], "+QUEUED\r\n");
  int refused = 0;
  for (const std::string& reply : replies) refused += reply.starts_with("-OOM");
  EXPECT_EQ(refused, 1);
  EXPECT_NE(server.request("CLIENT LIST").find("multi=0"), std::string::npos) << "what was queued is kept";
  EXPECT_EQ(peer.ask({{"EXEC"}}).at(0).substr(0, 10), "-EXECABORT");
  EXPECT_EQ(peer.ask({{"EXISTS", "key"}}).at(0), ":0\r\n");
  EXPECT_EQ(server.workers(1), before);
}

// Shows that EXEC tells each request its own words: empty ones, many, and one longer than the queue's first
// piece.
TEST(HostileTransactions, WordsOfEverySize) {
  TestServer server({"--workers", "1"});
  Peer peer("memento", server.port());
  const std::string value(5000, 'v');
  const std::vector<std::string> replies = peer.ask({{"MULTI"},
                                                     {"MSET", "", "", "k", "", "l", value},
                                                     {"MGET", "", "k", "l"},
                                                     {"GET", ""},
                                                     {"EXEC"},
                                                     {"MGET", "k", "l", ""}});
  ASSERT_EQ(replies.size(), 6u);
  const std::string values = "*3\r\n$0\r\n\r\n$0\r\n\r\n$5000\r\n" + value + "\r\n";
  EXPECT_EQ(replies[4], "*3\r\n+OK\r\n" + values + "$0\r\n\r\n");
  EXPECT_EQ(replies[5], "*3\r\n$0\r\n\r\n$5000\r\n" + value + "\r\n$0\r\n\r\n");
}

}  // namespace
}  // namespace memento::testing
