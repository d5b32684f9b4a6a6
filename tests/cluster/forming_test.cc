// How a cluster comes together, and who is kept out.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>

#include "bus/core/frame.h"
#include "conf/cluster_file.h"
#include "tests/cluster/test_cluster.h"

namespace memento::testing {
namespace {

// Shows that before all nodes are there data commands say who is missing, and others are answered.
TEST(ClusterForming, WaitsForAll) {
  TestCluster cluster({3, false, {}, false});
  cluster.start(0);
  cluster.start(2);
  EXPECT_TRUE(wait_until([&] {
    return cluster.request(0, "GET a") == "(error) CLUSTERDOWN the cluster is forming; missing: node1";
  }));
  EXPECT_EQ(cluster.request(0, "SET a 1").substr(0, 19), "(error) CLUSTERDOWN");
  EXPECT_EQ(cluster.request(0, "COUNT").substr(0, 19), "(error) CLUSTERDOWN");
  EXPECT_EQ(cluster.request(0, "ECHO x"), "x");
  EXPECT_NE(cluster.request(0, "INFO cluster").find("cluster_formed:0"), std::string::npos);
  EXPECT_NE(cluster.request(0, "CLUSTERINFO").find("node1 127.0.0.1:" + std::to_string(cluster.port(1))),
            std::string::npos);
  EXPECT_EQ(cluster.log_count(0, "Cluster successfully formed"), 0u);
  cluster.start(1);
  EXPECT_TRUE(cluster.wait_until_formed());
  for (std::size_t node = 0; node < 3; ++node) EXPECT_EQ(cluster.request(node, "SET a 1"), "OK");
}

// Shows that a node with another file is refused with the same reason in both logs, and let in once it has
// the right one.
TEST(ClusterForming, AnotherFileIsRefused) {
  TestCluster cluster({2, false, {}, false});
  const std::string right = read_file(cluster.conf_path(1));
  std::ofstream(cluster.conf_path(1), std::ios::app) << "127.0.0.1 6999 node9 0\n";
  cluster.start(0);
  cluster.start(1);
  EXPECT_TRUE(wait_until([&] {
    return cluster.log_count(0, "name other members") > 0 && cluster.log_count(1, "name other members") > 0;
  })) << cluster.log(0)
      << cluster.log(1);
  EXPECT_TRUE(wait_until([&] { return cluster.request(0, "GET a").ends_with("missing: node1 (refused)"); }))
      << cluster.request(0, "GET a");
  cluster.kill_node(1);
  std::ofstream(cluster.conf_path(1)) << right;
  cluster.start(1);
  EXPECT_TRUE(cluster.wait_until_formed());
}

// Shows that garbage, a frame cut off, one too long, and a recorded frame end their connection with a log
// line, and hurt nothing else.
TEST(ClusterForming, GarbageHurtsNobody) {
  TestCluster cluster({2});
  bus::FrameHeader oversized{
      bus::kFrameMagic, bus::FrameType::kHello, {}, bus::kFramePayloadLimitBytes + 1, 0, 0, 0};
  bus::FrameSender sender;
  const std::string hello = sender.frame(bus::FrameType::kHello, std::string(192, 'x'));
  const std::vector<std::string> attacks = {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(100, 'x'),
      std::string(4096, '\0'),
      std::string(reinterpret_cast<const char*>(&oversized), sizeof oversized),
      sender.frame(bus::FrameType::kRequests, std::string(64, 'x')),
      bus::FrameSender().frame(bus::FrameType::kRequests, std::string(64, 'x')),
      hello + hello,
  };
  for (std::size_t i = 0; i < attacks.size(); ++i) {
    Result<Fd> socket = connect_tcp({"127.0.0.1", static_cast<std::uint16_t>(cluster.port(0) + 100)});
    ASSERT_TRUE(socket);
    ASSERT_GT(::send(socket->get(), attacks[i].data(), attacks[i].size(), MSG_NOSIGNAL), 0);
    char bytes[1024];
    ssize_t got = 0;
    while ((got = ::recv(socket->get(), bytes, sizeof bytes, 0)) > 0) {
    }
    EXPECT_LE(got, 0) << "the other side has ended it";
    EXPECT_EQ(cluster.request(0, "SET " + cluster.key_of(1) + " " + std::to_string(i)), "OK");
    EXPECT_TRUE(wait_until([&] {
      return cluster.log_count(0, "to the bus is closed") + cluster.log_count(0, "is refused") == i + 1;
    })) << i
        << cluster.log(0);
  }
  // One that says nothing, or half of something, is ended too.
  Result<Fd> silent = connect_tcp({"127.0.0.1", static_cast<std::uint16_t>(cluster.port(0) + 100)});
  ASSERT_TRUE(silent);
  ASSERT_GT(::send(silent->get(), hello.data(), 20, MSG_NOSIGNAL), 0);
  char byte = 0;
  EXPECT_EQ(::recv(silent->get(), &byte, 1, 0), 0);
  EXPECT_EQ(cluster.log_count(0, "the link to node1 is down"), 0u);
  EXPECT_EQ(cluster.log_count(0, "the link of node1 has ended"), 0u);
}

// Shows that a bus that would listen beyond this machine wants a secret.
TEST(ClusterForming, BeyondThisMachineASecretIsNeeded) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/nodes") << "10.1.2.3 6837 a 1\n10.1.2.4 6837 b 0\n";
  const Finished finished = run_program("memento", {"-t", "-c", "-f", folder.path() + "/nodes"});
  EXPECT_EQ(finished.status, 78);
  EXPECT_NE(finished.errors.find("--cluster-secret-file"), std::string::npos) << finished.errors;
  std::ofstream(folder.path() + "/secret") << "s\n";
  EXPECT_EQ(run_program("memento", {"-t", "-c", "-f", folder.path() + "/nodes", "--cluster-secret-file",
                                    folder.path() + "/secret"})
                .status,
            0);
}

// Shows that a password for clients needs a secret for the bus, which would serve anybody without one: at the
// start, on HUP and for CONFIG SET.
TEST(ClusterForming, APasswordNeedsASecret) {
  const TemporaryFolder folder;
  const ReservedPort port({kBusPortOffset, kRedirectPortOffset});
  const std::string path = folder.path() + "/";
  std::ofstream(path + "nodes") << "127.0.0.1 " << port.number() + kBusPortOffset << " a 1\n";
  std::ofstream(path + "secret") << "s\n";
  std::ofstream(path + "conf") << "requirepass pw\n";
  const std::vector<std::string> node = {"-c",    "-f",          path + "nodes", "-C",  path + "conf",
                                         "--dir", path + "data", "-m",           "64m", "-w",
                                         "1",     "-P",          path + "pid",   "-l",  path + "log"};
  const auto run_node = [&](std::vector<std::string> more) {
    more.insert(more.end(), node.begin(), node.end());
    return run_program("memento", more);
  };
  for (const char* mode : {"-t", "-d"}) {
    const Finished refused = run_node({mode});
    EXPECT_EQ(refused.status, 78) << mode;
    EXPECT_NE(refused.errors.find("--cluster-secret-file"), std::string::npos) << refused.errors;
  }
  EXPECT_EQ(run_node({"-t", "--cluster-secret-file", path + "secret"}).status, 0);

  std::ofstream(path + "conf") << "";
  const Finished started = run_node({"-d"});
  ASSERT_EQ(started.status, 0) << started.errors;
  const pid_t master = std::atoi(read_file(path + "pid").c_str());
  Result<Client> client = Client::connect({"127.0.0.1", port.number()});
  ASSERT_TRUE(client);
  const Result<std::string> set = client->request("CONFIG SET requirepass pw");
  EXPECT_TRUE(set && set->find("cluster-secret-file") != std::string::npos) << *set;
  std::ofstream(path + "conf") << "requirepass pw\n";
  kill(master, SIGHUP);
  EXPECT_TRUE(wait_until(
      [&] { return read_file(path + "log").find("configuration not changed: ") != std::string::npos; }));
  EXPECT_EQ(*client->request("ECHO x"), "x");
  kill(master, SIGTERM);
  EXPECT_TRUE(wait_until([&] { return kill(master, 0) != 0; }));
}

// Shows that an upgrade of a node keeps clients, links come back, and the new bus answers for the old workers
// too.
TEST(ClusterForming, ANodeCanBeUpgraded) {
  TestCluster cluster({2});
  Client client = cluster.connect(0);
  EXPECT_EQ(*client.request("SET " + cluster.key_of(1) + " a"), "OK");
  const pid_t bus = cluster.bus(0);
  kill(cluster.master(0), SIGUSR2);
  EXPECT_TRUE(wait_until([&] {
    return cluster.log_count(0, "Upgraded to version") == 1 && cluster.bus(0) != bus;
  })) << cluster.log(0);
  // The connection is an old worker's, which the new bus serves too.
  const auto old_reply = [&] {
    const Result<std::string> reply = client.request("GET " + cluster.key_of(1));
    return reply ? *reply : reply.error().message;
  };
  EXPECT_TRUE(wait_until([&] { return old_reply() == "a"; })) << old_reply();
  EXPECT_TRUE(wait_until([&] { return cluster.request(0, "GET " + cluster.key_of(1)) == "a"; }));
  EXPECT_TRUE(wait_until([&] { return cluster.request(1, "EXISTS " + cluster.key_of(0)) == "0"; }));
}

}  // namespace
}  // namespace memento::testing
