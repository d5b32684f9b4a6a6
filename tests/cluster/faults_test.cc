// Nodes that die, stop, or are cut off, under load: the rest serve on, errors name the node, and histories
// stay linear.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "shm/os/clock.h"
#include "tests/cluster/history.h"
#include "tests/cluster/test_cluster.h"

namespace memento::testing {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

// How long each kind of fault is repeated; `make cluster-test` sets more.
int rounds() {
  const char* text = std::getenv("MEMENTO_CLUSTER_ROUNDS");
  return text == nullptr ? 3 : std::atoi(text);
}

constexpr const char* kFormed = " - Cluster successfully formed\n";

bool is_unknown(const std::string& reply) { return reply.starts_with("(error) outcome unknown"); }
bool is_down(const std::string& reply) { return reply.starts_with("(error) CLUSTERDOWN"); }

/// Clients at all nodes that write and read a few keys and note what they saw.
class Load {
 public:
  Load(TestCluster& cluster, std::size_t clients_per_node) : cluster_(cluster) {
    for (std::size_t i = 0; i < cluster.node_count() * clients_per_node; ++i) {
      threads_.emplace_back([this, i] { run(i % cluster_.node_count(), i); });
    }
  }
  ~Load() { stop(); }
  void stop() {
    stops_ = true;
    threads_.clear();
  }
  const Histories& histories() const { return histories_; }
  std::uint64_t good_count() const { return good_count_; }
  const std::string& surprise() const { return surprise_; }
  /// For a message.
  std::string state() {
    const std::lock_guard lock(mutex_);
    return std::to_string(good_count_) + " good, " + std::to_string(unknown_count_) + " unknown, " +
           std::to_string(down_count_) + " refused, last by node " + last_down_ + ", surprise " + surprise_;
  }

 private:
  // A key is used for some operations only, so that its history can be searched.
  static constexpr int kOperationsOfKey = 400;

  void run(std::size_t node, std::size_t client_number) {
    std::optional<Client> client;
    unsigned random = static_cast<unsigned>(client_number) * 7919 + 1;
    for (int i = 0; !stops_; ++i) {
      if (!client) {
        Result<Client> fresh = cluster_.try_connect(node);
        if (!fresh) {
          usleep(10'000);  // the node is gone; it comes back
          continue;
        }
        client.emplace(std::move(*fresh));
      }
      random = random * 1664525 + 1013904223;
      const std::string key =
          "k" + std::to_string(random >> 16 & 7) + "-" + std::to_string(count_ / kOperationsOfKey / 8);
      ++count_;
      const bool writes = (random >> 24 & 3) == 0;
      const std::string value = std::to_string(client_number) + "." + std::to_string(i);
      Operation operation{writes ? Operation::Kind::kWrite : Operation::Kind::kRead, writes ? value : "",
                          monotonic_time_ns(), 0};
      const Result<std::string> reply = client->request(writes ? "SET " + key + " " + value : "GET " + key);
      operation.end_ns = monotonic_time_ns();
      if (!reply) client.reset();
      if (!reply || is_unknown(*reply)) {
        ++unknown_count_;
        operation.end_ns = kNever;
        if (writes) histories_.add(key, operation);
        continue;
      }
      if (is_down(*reply)) {
        ++down_count_;
        const std::lock_guard lock(mutex_);
        last_down_ = std::to_string(node) + ": " + *reply;
        continue;
      }
      if (writes ? *reply != "OK" : reply->starts_with("(error)")) {
        const std::lock_guard lock(mutex_);
        surprise_ = *reply;
        continue;
      }
      if (!writes && *reply != "(null)") operation.value = *reply;
      ++good_count_;
      histories_.add(key, operation);
    }
  }

  TestCluster& cluster_;
  Histories histories_;
  std::atomic<bool> stops_{false};
  std::atomic<std::uint64_t> count_{0};
  std::atomic<std::uint64_t> good_count_{0};
  std::atomic<std::uint64_t> unknown_count_{0};
  std::atomic<std::uint64_t> down_count_{0};
  std::mutex mutex_;
  std::string surprise_;
  std::string last_down_;
  std::vector<std::jthread> threads_;
};

void expect_progress(Load& load) {
  const std::uint64_t before = load.good_count();
  const std::string state = load.state();
  EXPECT_TRUE(wait_until([&] { return load.good_count() > before + 500; }))
      << "before: " << state << "\nafter: " << load.state();
}

void expect_linear(Load& load) {
  load.stop();
  EXPECT_EQ(load.histories().faults(), std::vector<std::string>{});
  EXPECT_EQ(load.surprise(), "");
  EXPECT_GT(load.histories().count(), 1000u);
}

// Waits until a command for a key of `about` is answered by that node again.
void expect_back(const TestCluster& cluster, std::size_t through, std::size_t about) {
  EXPECT_TRUE(wait_until([&] { return cluster.request(through, "EXISTS " + cluster.key_of(about)) == "0"; }))
      << cluster.request(through, "EXISTS " + cluster.key_of(about)) << cluster.log(through);
}

// Shows that a killed node's keys are answered by an error that names it, while the others' keys and nodes go
// on; and that it is taken back. Its data is where it was, in memory.
TEST(ClusterFaults, AKilledNodeIsNamedAndTakenBack) {
  TestCluster cluster({3, false, {"--cluster-timeout", "1"}});
  EXPECT_EQ(cluster.request(0, "SET " + cluster.key_of(1, 5) + " kept"), "OK");
  for (int round = 0; round < 2; ++round) {
    cluster.kill_node(1);
    for (const std::size_t other :
         {std::size_t{0},
          std::size_t{2}}) {  // each finds out by itself; a write that it sent before may have run
      EXPECT_TRUE(wait_until([&] { return is_down(cluster.request(other, "GET " + cluster.key_of(1))); }));
    }
    const std::string reply = cluster.request(2, "SET " + cluster.key_of(1) + " x");
    EXPECT_TRUE(is_down(reply)) << reply;
    EXPECT_NE(reply.find("node1 (127.0.0.1:" + std::to_string(cluster.port(1)) + ")"), std::string::npos)
        << reply;
    EXPECT_EQ(cluster.request(0, "SET " + cluster.key_of(2) + " x"), "OK");
    EXPECT_EQ(cluster.request(2, "GET " + cluster.key_of(2)), "x");
    EXPECT_TRUE(is_down(cluster.request(0, "COUNT")));
    EXPECT_EQ(cluster.request(0, "PUBLISH nobody x"), "0");
    cluster.start(1);
    expect_back(cluster, 0, 1);
    expect_back(cluster, 2, 1);
    EXPECT_EQ(cluster.request(0, "GET " + cluster.key_of(1, 5)), "kept");
  }
}

// Shows that a killed bus is replaced, that commands for local keys never notice, and that links come back.
TEST(ClusterFaults, AKilledBusIsReplaced) {
  TestCluster cluster;
  Load load(cluster, 2);
  for (int round = 0; round < 3 * rounds(); ++round) {
    const std::size_t node = static_cast<std::size_t>(round) % 3;
    expect_progress(load);
    const pid_t bus = cluster.bus(node);
    Client local = cluster.connect(node);
    kill(bus, SIGKILL);
    EXPECT_EQ(*local.request("SET " + cluster.key_of(node, 20) + " x"), "OK");
    EXPECT_TRUE(wait_until([&] { return cluster.bus(node) != bus; }));
    expect_back(cluster, node, (node + 1) % 3);
    expect_back(cluster, (node + 1) % 3, node);
  }
  expect_linear(load);
}

// Shows that killed workers lose nobody's answers but their own clients', and that links and other workers go
// on.
TEST(ClusterFaults, KilledWorkersAreReplaced) {
  TestCluster cluster;
  Load load(cluster, 3);
  for (int round = 0; round < 5 * rounds(); ++round) {
    expect_progress(load);
    const std::vector<pid_t> processes = cluster.processes(static_cast<std::size_t>(round) % 3);
    const pid_t bus = cluster.bus(static_cast<std::size_t>(round) % 3);
    for (const pid_t process : processes) {
      if (process != processes[0] && process != bus) kill(process, SIGKILL);
    }
  }
  expect_progress(load);
  expect_linear(load);
}

// Shows that whole nodes may be killed under load, and no acknowledged write is lost or done twice.
TEST(ClusterFaults, KilledNodesUnderLoad) {
  TestCluster cluster({3, false, {"--cluster-timeout", "1"}});
  Load load(cluster, 2);
  for (int round = 0; round < rounds(); ++round) {
    const std::size_t node = static_cast<std::size_t>(round) % 3;
    expect_progress(load);
    cluster.kill_node(node);
    expect_progress(load);
    const std::size_t formed_count = cluster.log_count(node, kFormed);
    cluster.start(node);
    expect_back(cluster, (node + 1) % 3, node);
    // A node that starts serves when it has seen all others once: the next may be killed then.
    EXPECT_TRUE(wait_until([&] { return cluster.log_count(node, kFormed) > formed_count; }));
  }
  expect_linear(load);
}

// Shows that a stopped node is found out by its silence, within the time limit; that what was sent to it is
// answered as unknown; and that it goes on when it is continued.
TEST(ClusterFaults, AStoppedNodeIsFoundOut) {
  TestCluster cluster({3, false, {"--cluster-timeout", "1"}});
  Load load(cluster, 2);
  int unknown_count = 0;  // of the writes here: the load may have none on its way just then
  for (int round = 0; round < rounds(); ++round) {
    const std::size_t node = static_cast<std::size_t>(round + 1) % 3;
    const std::size_t other = (node + 1) % 3;
    expect_progress(load);
    cluster.signal_all(node, SIGSTOP);
    const std::string write = cluster.request(other, "SET " + cluster.key_of(node, 30) + " x");
    EXPECT_TRUE(is_unknown(write) || is_down(write)) << write;
    if (is_unknown(write)) ++unknown_count;
    EXPECT_NE(write.find(TestCluster::name(node)), std::string::npos) << write;
    const std::string read = cluster.request(other, "GET " + cluster.key_of(node, 30));
    EXPECT_TRUE(is_down(read)) << read;
    EXPECT_EQ(cluster.request(other, "SET " + cluster.key_of(other, 30) + " x"), "OK");
    cluster.signal_all(node, SIGCONT);
    expect_back(cluster, other, node);
  }
  expect_linear(load);
  EXPECT_GT(unknown_count, 0);
}

// Shows that a node that takes nothing does not fill the others' memory, nor block their own keys.
TEST(ClusterFaults, AStoppedNodeFillsNobodysMemory) {
  TestCluster cluster({2, false, {"--cluster-timeout", "60", "--workers", "1"}});
  const auto resident_kib = [&] {
    long sum = 0;
    for (const pid_t process : cluster.processes(0)) {
      const std::string status = read_file("/proc/" + std::to_string(process) + "/status");
      const std::size_t at = status.find("RssAnon:");
      if (at != std::string::npos) sum += std::atol(status.c_str() + at + 8);
    }
    return sum;
  };
  const long before = resident_kib();
  kill(cluster.bus(1), SIGSTOP);
  const std::string line = "SET " + cluster.key_of(1) + " " + std::string(100'000, 'x');
  std::vector<std::jthread> writers;
  for (int i = 0; i < 20; ++i) {
    writers.emplace_back([&] {
      Client client = cluster.connect(0);
      for (int k = 0; k < 200; ++k) {
        if (!client.send_line(line)) return;
      }
      for (int k = 0; k < 200; ++k) {
        const Result<std::string> reply = client.read_reply();
        ASSERT_TRUE(reply);
        ASSERT_EQ(*reply, "OK");
      }
    });
  }
  Client local = cluster.connect(0);
  const std::int64_t end_ns = monotonic_time_ns() + 1500 * kNsPerMs;
  while (monotonic_time_ns() < end_ns) ASSERT_EQ(*local.request("SET " + cluster.key_of(0) + " x"), "OK");
  EXPECT_LT(resident_kib() - before, 100 * 1024) << "400 MB were sent";
  kill(cluster.bus(1), SIGCONT);
  writers.clear();
  EXPECT_EQ(cluster.request(0, "STRLEN " + cluster.key_of(1)), "100000");
}

// Shows that replies that are not taken do not pile up: not at the owner of the keys, nor at the client's
// node.
TEST(ClusterFaults, RepliesThatAreNotTakenFillNobodysMemory) {
  TestCluster cluster({2, false, {"--workers", "1"}});
  const std::string key = cluster.key_of(1);
  ASSERT_EQ(cluster.request(0, "SET " + key + " " + std::string(1 << 20, 'x')), "OK");
  const auto most_kib = [&] {
    long sum = 0;
    for (const std::size_t node : {0, 1}) {
      for (const pid_t process : cluster.processes(node)) {
        const std::string status = read_file("/proc/" + std::to_string(process) + "/status");
        const std::size_t at = status.find("RssAnon:");
        if (at != std::string::npos) sum = std::max(sum, std::atol(status.c_str() + at + 8));
      }
    }
    return sum;
  };
  constexpr int kReplies = 200;
  std::vector<Client> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(cluster.connect(0));
    for (int k = 0; k < kReplies; ++k) ASSERT_TRUE(clients.back().send_line("GET " + key));
  }
  Client local = cluster.connect(0);
  const std::int64_t end_ns = monotonic_time_ns() + 1000 * kNsPerMs;
  while (monotonic_time_ns() < end_ns) {
    ASSERT_EQ(*local.request("SET " + cluster.key_of(0) + " x"), "OK");
    ASSERT_LT(most_kib(), 400 * 1024) << "800 MiB were asked for";
  }
  for (Client& client : clients) {
    for (int k = 0; k < kReplies; ++k) {
      const Result<std::string> reply = client.read_reply();
      ASSERT_TRUE(reply);
      ASSERT_EQ(reply->size(), std::size_t{1} << 20) << reply->substr(0, 100);
    }
  }
}

// Shows that a cut network is told from both sides, that each side serves its own keys, and that it heals;
// linear all along.
TEST(ClusterFaults, ACutNetworkHeals) {
  if (!TestCluster::can_have_namespaces()) GTEST_SKIP() << "network namespaces and nft need root";
  TestCluster cluster({3, true, {"--cluster-timeout", "1"}});
  Load load(cluster, 2);
  for (int round = 0; round < rounds(); ++round) {
    const std::size_t node = static_cast<std::size_t>(round) % 3;
    const std::size_t other = (node + 1) % 3;
    expect_progress(load);
    cluster.cut(node);
    EXPECT_TRUE(wait_until([&] { return is_down(cluster.request(other, "GET " + cluster.key_of(node))); }));
    EXPECT_TRUE(wait_until([&] { return is_down(cluster.request(node, "GET " + cluster.key_of(other))); }));
    EXPECT_EQ(cluster.request(node, "EXISTS " + cluster.key_of(node)), "0");
    EXPECT_EQ(cluster.request(other, "EXISTS " + cluster.key_of((other + 1) % 3)), "0");
    cluster.heal(node);
    expect_back(cluster, other, node);
    expect_back(cluster, node, other);
  }
  expect_linear(load);
}

}  // namespace
}  // namespace memento::testing
