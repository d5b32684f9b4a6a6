// Nodes that are busy, with a command that takes long or a value that is long, are not taken for dead: nobody
// is told so, for any key, and no link ends.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "tests/cluster/test_cluster.h"

namespace memento::testing {
namespace {

// Clients at all nodes that write keys of all nodes while something else goes on.
class Others {
 public:
  explicit Others(const TestCluster& cluster) : cluster_(cluster) {
    for (std::size_t node = 0; node < cluster.node_count(); ++node) {
      for (int i = 0; i < 2; ++i) threads_.emplace_back([this, node] { run(node); });
    }
    EXPECT_TRUE(wait_until([&] { return written_ > 0; }));
  }
  ~Others() {
    stops_ = true;
    threads_.clear();
    EXPECT_EQ(surprise_, "");
    for (std::size_t node = 0; node < cluster_.node_count(); ++node) {
      EXPECT_EQ(cluster_.log_count(node, " is down: "), 0u) << cluster_.log(node);
      EXPECT_EQ(cluster_.log_count(node, " has ended: "), 0u) << cluster_.log(node);
    }
  }

 private:
  void run(std::size_t node) {
    Client client = cluster_.connect(node);
    for (std::size_t i = 0; !stops_; ++i) {
      const Result<std::string> reply =
          client.request("SET " + cluster_.key_of(i % cluster_.node_count(), 90) + " x");
      if (!reply || *reply != "OK") {
        const std::lock_guard lock(mutex_);
        surprise_ = reply ? *reply : reply.error().message;
        return;
      }
      ++written_;
    }
  }

  const TestCluster& cluster_;
  std::atomic<bool> stops_{false};
  std::atomic<std::uint64_t> written_{0};
  std::mutex mutex_;
  std::string surprise_;
  std::vector<std::jthread> threads_;
};

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// Shows it for commands that take longer than the time limit of links.
TEST(ClusterBusy, SlowCommandsAreWaitedFor) {
  TestCluster cluster({3, false, {"--cluster-timeout", "1"}});
  const std::string tag = "{" + cluster.key_of(1) + "}";
  Client client = cluster.connect(0);
  EXPECT_EQ(*client.request("SET " + tag + "a " + repeated("ab", 5000)), "OK");
  EXPECT_EQ(*client.request("SET " + tag + "b " + repeated("ba", 5000)), "OK");
  const Others others(cluster);
  constexpr int kCommands = 8;
  for (int i = 0; i < kCommands; ++i) ASSERT_TRUE(client.send_line("LCS " + tag + "a " + tag + "b LEN"));
  for (int i = 0; i < kCommands; ++i) {
    const Result<std::string> reply = client.read_reply();
    ASSERT_TRUE(reply);
    EXPECT_EQ(*reply, "9999");
  }
}

// Shows it for KEYS over many keys, whose replies are long, too.
TEST(ClusterBusy, KeysOverManyKeys) {
  TestCluster cluster({3, false, {"--cluster-timeout", "1"}});
  Client client = cluster.connect(0);
  constexpr int kKeys = 60'000;
  constexpr int kAtOnce = 500;
  for (int i = 0; i < kKeys; i += kAtOnce) {
    for (int k = i; k < i + kAtOnce; ++k)
      ASSERT_TRUE(client.send_line("SET a-key-of-many-" + std::to_string(k) + " x"));
    for (int k = 0; k < kAtOnce; ++k) ASSERT_EQ(*client.read_reply(), "OK");
  }
  const Others others(cluster);
  const std::string pattern = "*a*e*-*k*e*y*-*o*f*-*m*a*n*y*-*none*";
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(client.send_line("KEYS " + pattern));
  ASSERT_TRUE(client.send_line("KEYS a-key-*"));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(client.read_reply());
  const Result<std::string> all = client.read_reply();
  ASSERT_TRUE(all);
  EXPECT_EQ(std::ranges::count(*all, '\n'), kKeys - 1);
}

// Shows it for a value of 160 MiB on its way to a node and back.
TEST(ClusterBusy, ALongValuePasses) {
  TestCluster cluster({3, false, {"--memory", "512MiB"}});
  const std::string key = cluster.key_of(1);
  const std::string value(160 << 20, 'v');
  Client client = cluster.connect(0);
  const Others others(cluster);
  EXPECT_EQ(*client.request("SET " + key + " " + value), "OK");
  const Result<std::string> read = client.request("GET " + key);
  ASSERT_TRUE(read);
  EXPECT_TRUE(*read == value) << read->size() << " bytes: " << read->substr(0, 100);
}

// Shows that replies that wait for a worker which is busy with another client's command are not dropped,
// though they are more than the bus has room for and the command takes longer than a stopped worker would be
// waited for.
TEST(ClusterBusy, RepliesWaitForABusyWorker) {
  TestCluster cluster({2, false, {"--workers", "1"}});
  const std::string tag = "{" + cluster.key_of(0) + "}";
  Client computes = cluster.connect(0);
  EXPECT_EQ(*computes.request("SET " + tag + "a " + repeated("ab", 5000)), "OK");
  EXPECT_EQ(*computes.request("SET " + tag + "b " + repeated("ba", 5000)), "OK");
  const std::string key = cluster.key_of(1);
  const std::string value(1 << 20, 'v');
  EXPECT_EQ(cluster.request(0, "SET " + key + " " + value), "OK");
  Client reads = cluster.connect(0);
  const std::vector<pid_t> processes = cluster.processes(1);
  const auto is_worker = [&](pid_t process) {
    return process != cluster.master(1) && process != cluster.bus(1);
  };
  const pid_t owner = *std::ranges::find_if(processes, is_worker);
  kill(owner, SIGSTOP);  // until the other is busy
  constexpr int kReads = 32;
  for (int i = 0; i < kReads; ++i) ASSERT_TRUE(reads.send_line("GET " + key));
  const std::string all_sent = "unanswered=" + std::to_string(kReads);
  EXPECT_TRUE(
      wait_until([&] { return cluster.request(0, "INFO cluster").find(all_sent) != std::string::npos; }));
  ASSERT_TRUE(computes.send_line("LCS " + tag + "a " + tag + "b LEN"));
  kill(owner, SIGCONT);
  for (int i = 0; i < kReads; ++i) {
    const Result<std::string> reply = reads.read_reply();
    ASSERT_TRUE(reply);
    ASSERT_TRUE(*reply == value) << i << ": " << reply->substr(0, 200);
  }
  EXPECT_EQ(*computes.read_reply(), "9999");
}

}  // namespace
}  // namespace memento::testing
