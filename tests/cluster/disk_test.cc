// Nodes with data folders whose replies wait for the disk (`fsync always`).
#include <gtest/gtest.h>

#include "tests/cluster/test_cluster.h"
#include "tests/data/stopped_archiver.h"

namespace memento::testing {
namespace {

std::string reply_of(Client& client) {
  const Result<std::string> reply = client.read_reply();
  return reply ? *reply : "(none)";
}

// Shows that while one node's archiver stands, writes of its keys wait at every node, and readers of what was
// written; that other nodes' keys are served meanwhile, also to clients of the node that waits; and that all
// replies come, in their order, when it goes on.
TEST(ClusterDisks, ANodeWaitsForItsDisk) {
  TestCluster cluster(
      {.node_count = 2, .arguments = {"--fsync", "always", "--workers", "1"}, .has_disks = true});
  const std::string own = cluster.key_of(0);
  const std::string other = cluster.key_of(1);
  ASSERT_EQ(cluster.request(1, "SET " + own + " 1"), "OK");
  ASSERT_EQ(cluster.request(0, "SET " + other + " 1"), "OK");
  Client near = cluster.connect(0);
  Client far = cluster.connect(1);
  const StoppedArchiver stopped(cluster.master(0));
  ASSERT_TRUE(near.send_line("INC " + own));
  EXPECT_TRUE(wait_until([&] {
    return cluster.request(0, "INFO persistence").find("journal_parked_replies:1") != std::string::npos;
  }));
  ASSERT_TRUE(far.send_line("INC " + own));
  ASSERT_TRUE(far.send_line("INC " + other));
  EXPECT_TRUE(wait_until([&] {
    return cluster.request(0, "INFO persistence").find("journal_parked_replies:2") != std::string::npos;
  }));
  EXPECT_EQ(cluster.request(1, "GET nothing{" + other + "}"), "(null)");
  EXPECT_EQ(cluster.request(0, "INC count{" + other + "}"), "1");
  stopped.go_on();
  EXPECT_EQ(reply_of(near), "2");
  EXPECT_EQ(reply_of(far), "3");
  EXPECT_EQ(reply_of(far), "2");
  EXPECT_EQ(cluster.request(1, "GET " + own), "3");
}

}  // namespace
}  // namespace memento::testing
