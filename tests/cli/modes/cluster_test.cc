// memento-cli's cluster commands against nodes that replay replies, and hostile servers.
#include "cli/modes/cluster.h"

#include <gtest/gtest.h>

#include <memory>

#include "cli/net/cluster_nodes.h"
#include "tests/cli/fake_server.h"
#include "tests/integration/test_server.h"

namespace memento::cli {
namespace {

using testing::bulk;
using testing::FakeServer;
using testing::Finished;
using testing::read_file;
using testing::run_program;
using testing::TemporaryFolder;

TEST(CliCluster, NodesText) {
  const std::vector<ClusterNode> nodes = parse_cluster_nodes(
      "aaaa ::1:7000@7100,host myself,master - 0 0 1 connected 0-8191 9000\r\n"
      "bbbb 127.0.0.1:7001@7101 slave,fail? aaaa 0 0 1 disconnected\nnonsense\n"
      "cccc 127.0.0.1:7002@7102 master - 0 0 1 connected 16383-99999 5-4 [7->-aaaa] x 9001-9002\n");
  ASSERT_EQ(nodes.size(), 3U);
  const std::optional<Address> address = nodes[0].endpoint();
  ASSERT_TRUE(address);
  EXPECT_EQ(address->to_string(), "[::1]:7000");
  EXPECT_TRUE(nodes[0].is_myself);
  EXPECT_EQ(nodes[0].slot_count(), 8193U);
  EXPECT_TRUE(nodes[1].is_replica);
  EXPECT_TRUE(nodes[1].is_failed());
  EXPECT_EQ(slots_text(nodes[2].slots), "9001-9002");
  EXPECT_EQ(slots_text(unserved_slots(nodes)), "8192-8999,9003-16383");
  EXPECT_EQ(slot_ring(nodes, 4), "AA..");
}

/// Nodes of a cluster whose replies a test may change. Node i has slots i*8192 to i*8192+8191.
class CliClusterTools : public ::testing::Test {
 protected:
  CliClusterTools() {
    for (std::size_t i = 0; i < 2; ++i) {
      servers_.push_back(
          std::make_unique<FakeServer>([this, i](const std::string& request) { return answer(i, request); }));
    }
  }

  std::string nodes_text(std::size_t asked) const {
    std::string text;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      text += std::string(40, static_cast<char>('a' + i)) +
              " 127.0.0.1:" + std::to_string(servers_[i]->port()) + "@1 " + (i == asked ? "myself," : "") +
              "master - 0 0 1 connected " + slots_[asked == disagreeing_ ? 1 - i : i] + "\n";
    }
    return text;
  }

  std::string answer(std::size_t node, const std::string& request) const {
    if (request.starts_with("HELLO")) return "-ERR unknown command\r\n";
    if (request == "CLUSTER NODES") return bulk(nodes_text(node));
    if (request == "CLUSTER INFO") return bulk("cluster_state:ok\r\n");
    if (request == "DBSIZE") return ":" + std::to_string(100 + node) + "\r\n";
    if (request == "ECHO HELLO") return "+HELLO\r\n";
    return "-ERR unknown command\r\n";
  }

  Finished run(std::vector<std::string> words) const {
    words.insert(words.begin(), {"-p", std::to_string(servers_[0]->port()), "cluster"});
    return run_program("memento-cli", words);
  }

  std::vector<std::unique_ptr<FakeServer>> servers_;
  std::string slots_[2] = {"0-8191", "8192-16383"};
  std::size_t disagreeing_ = 9;
};

// Shows the table of nodes with slots, keys and links, and the ring.
TEST_F(CliClusterTools, InfoShowsNodes) {
  const Finished info = run({"info"});
  EXPECT_EQ(info.status, 0) << info.errors;
  EXPECT_NE(info.output.find("A*  aaaaaaaa  127.0.0.1:"), std::string::npos) << info.output;
  EXPECT_NE(info.output.find("8192         101  connected"), std::string::npos) << info.output;
  EXPECT_NE(info.output.find("0 |" + std::string(32, 'A') + std::string(32, 'B') + "| 16383"),
            std::string::npos);
}

TEST_F(CliClusterTools, CheckOfASoundCluster) {
  const Finished check = run({"check"});
  EXPECT_EQ(check.status, 0) << check.errors;
  EXPECT_EQ(check.output, "2 nodes agree on who owns what; all 16384 slots are served\n");
}

TEST_F(CliClusterTools, CheckFindsOpenSlots) {
  slots_[1] = "8192-16000 16383";
  const Finished check = run({"check"});
  EXPECT_EQ(check.status, 1);
  EXPECT_NE(check.errors.find("nobody serves the slots 16001-16382"), std::string::npos) << check.errors;
}

TEST_F(CliClusterTools, CheckFindsDisagreement) {
  disagreeing_ = 1;
  const Finished check = run({"check"});
  EXPECT_EQ(check.status, 1);
  EXPECT_NE(check.errors.find("sees other nodes or other owners"), std::string::npos) << check.errors;
}

TEST_F(CliClusterTools, CallReachesEachNode) {
  const Finished call = run({"call", "ECHO", "hello"});
  EXPECT_EQ(call.status, 0) << call.errors;
  EXPECT_EQ(call.output, "127.0.0.1:" + std::to_string(servers_[0]->port()) +
                             "\nHELLO\n127.0.0.1:" + std::to_string(servers_[1]->port()) + "\nHELLO\n");
  EXPECT_EQ(run({"call", "NOSUCH"}).status, 1);
  EXPECT_EQ(run({"call"}).status, 2);
}

// Shows the files for the nodes, and that none is overwritten.
TEST(CliClusterCreate, WritesFilesOnce) {
  const TemporaryFolder folder;
  const std::vector<std::string> words{"cluster",    "create", "127.0.0.1:7000",
                                       "[::1]:7001", "--dir",  folder.path() + "/c"};
  const Finished created = run_program("memento-cli", words);
  EXPECT_EQ(created.status, 0) << created.errors;
  EXPECT_NE(created.output.find("memento -c -f " + folder.path() + "/c/node1.conf -a ::1 -p 7001\n"),
            std::string::npos);
  EXPECT_EQ(read_file(folder.path() + "/c/node1.conf"),
            "# ADDRESS PORT NAME SELF; PORT is the bus port, the listen port plus 100\n127.0.0.1 7100 node0 "
            "0\n::1 7101 node1 1\n");
  EXPECT_EQ(run_program("memento-cli", words).status, 2);
  EXPECT_EQ(run_program("memento-cli", {"cluster", "create", "127.0.0.1:65300"}).status, 2);
  EXPECT_EQ(run_program("memento-cli", {"cluster", "create", "a:1", "a:1"}).status, 2);
}

// Shows that servers that break off, talk another protocol or never stop are errors with a status, not
// crashes.
TEST(CliHostile, BrokenServers) {
  const struct {
    std::string reply;
    const char* error;
    int status;
  } cases[] = {
      {"$10\r\nabc", "no reply within", 5},
      {"*1000000000\r\n:1\r\n", "no reply within", 5},
      {"HTTP/1.1 400 Bad Request\r\n\r\n", "the byte 'H' where a reply should begin", 3},
      {"$99999999999999\r\n", "a string of 99999999999999 bytes", 3},
      {"", "connection closed by the server", 3},
  };
  for (const auto& one : cases) {
    const FakeServer server(
        [&](const std::string& request) { return request.starts_with("HELLO") ? "%0\r\n" : one.reply; });
    const Finished finished = run_program(
        "memento-cli", {"-p", std::to_string(server.port()), "--timeout", "0.5", "--json", "GET", "a"});
    EXPECT_EQ(finished.status, one.status) << one.reply << finished.errors;
    EXPECT_NE(finished.errors.find(one.error), std::string::npos) << finished.errors;
    EXPECT_EQ(finished.output, "");
  }
}

}  // namespace
}  // namespace memento::cli
