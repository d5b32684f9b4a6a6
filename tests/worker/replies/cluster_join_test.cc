// One reply out of several nodes' parts, in each protocol.
#include "worker/replies/cluster_join.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>

namespace memento {
namespace {

class ClusterJoinTest : public ::testing::Test {
 protected:
  ClusterJoinTest() {
    state_->node_count = 3;
    for (std::uint32_t i = 0; i < 3; ++i) {
      NodeState& node = state_->nodes[i];
      std::strcpy(node.name.data(), ("n" + std::to_string(i)).c_str());
      std::strcpy(node.address.data(), "10.0.0.1");
      node.port = 7000 + i;
      node.end_slot = SlotId{8192 * (i + 1) / 3};
    }
  }
  std::string join(JoinKind kind, std::vector<std::string> replies, Protocol protocol = Protocol::kResp2) {
    join_.kind = kind;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (join_.parts.size() <= i) join_.parts.push_back(JoinPart{NodeId(static_cast<std::uint8_t>(i))});
      join_.parts[i].reply = replies[i];
    }
    ByteBuffer output;
    ReplyWriter writer(output, protocol);
    finish_join(join_, *state_, writer);
    return std::string(output.view());
  }

  std::unique_ptr<ClusterState> state_ = std::make_unique<ClusterState>();
  Join join_;
};

TEST_F(ClusterJoinTest, Sums) {
  EXPECT_EQ(join(JoinKind::kSum, {":2\r\n", ":0\r\n", ":40\r\n"}), ":42\r\n");
  EXPECT_EQ(join(JoinKind::kSum, {":2\r\n", ":0\r\n", ":40\r\n"}, Protocol::kText), "42\r\n");
  EXPECT_EQ(join(JoinKind::kAllOk, {"+OK\r\n", "+OK\r\n", "+OK\r\n"}), "+OK\r\n");
  EXPECT_EQ(join(JoinKind::kSame, {"$3\r\nlib\r\n", "$3\r\nlib\r\n"}), "$3\r\nlib\r\n");
  EXPECT_EQ(join(JoinKind::kSame, {"$3\r\nlib\r\n", "-ERR no\r\n"}), "-ERR no\r\n");
}

// Values with line ends in them, nil, and places in another order than the parts.
TEST_F(ClusterJoinTest, ElementsFindTheirPlaces) {
  join_.element_count = 4;
  join_.parts = {JoinPart{NodeId{0}, Failure::kNone, "", {3, 0}},
                 JoinPart{NodeId{1}, Failure::kNone, "", {1, 2}}};
  const std::vector<std::string> replies = {"*2\r\n$4\r\na\r\nb\r\n$0\r\n\r\n", "*2\r\n$-1\r\n$1\r\nx\r\n"};
  EXPECT_EQ(join(JoinKind::kElements, replies), "*4\r\n$0\r\n\r\n$-1\r\n$1\r\nx\r\n$4\r\na\r\nb\r\n");
  EXPECT_EQ(join(JoinKind::kElements, replies, Protocol::kResp3),
            "*4\r\n$0\r\n\r\n_\r\n$1\r\nx\r\n$4\r\na\r\nb\r\n");
}

TEST_F(ClusterJoinTest, ListsAndFields) {
  EXPECT_EQ(join(JoinKind::kLists, {"*1\r\n$1\r\na\r\n", "*0\r\n", "*2\r\n$1\r\nb\r\n$1\r\nc\r\n"}),
            "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
  const std::string fields = "*4\r\n$4\r\nkeys\r\n:2\r\n$5\r\nbytes\r\n:10\r\n";
  EXPECT_EQ(join(JoinKind::kFields, {fields, fields, fields}, Protocol::kText), "keys: 6\nbytes: 30\r\n");
}

// Shows that of the nodes' keys each has the same chance, so a node's grows with how many it has.
TEST_F(ClusterJoinTest, AnyKeyIsDrawnByTheNodesCounts) {
  const auto part = [](int count, const std::string& key) {
    return "*2\r\n:" + std::to_string(count) + "\r\n" + (key.empty() ? "$-1\r\n" : "$1\r\n" + key + "\r\n");
  };
  EXPECT_EQ(join(JoinKind::kAny, {part(0, ""), part(1, "k"), part(0, "")}), "$1\r\nk\r\n");
  EXPECT_EQ(join(JoinKind::kAny, {part(0, ""), part(0, ""), part(0, "")}), "$-1\r\n");
  EXPECT_EQ(join(JoinKind::kAny, {part(9, ""), part(1, "k"), part(0, "")}), "$1\r\nk\r\n") << "all expired";
  std::map<std::string, int> drawn;
  constexpr int kDraws = 40'000;
  for (int i = 0; i < kDraws; ++i) ++drawn[join(JoinKind::kAny, {part(1, "a"), part(1, "b"), part(6, "c")})];
  const double deviation = std::sqrt(kDraws * 0.125 * 0.875);
  EXPECT_NEAR(drawn["$1\r\na\r\n"], kDraws / 8, 6 * deviation);
  EXPECT_NEAR(drawn["$1\r\nb\r\n"], kDraws / 8, 6 * deviation);
  EXPECT_EQ(drawn.size(), 3u);
}

// A walk that ends at one node goes on at the next one, and ends at the last.
TEST_F(ClusterJoinTest, ScansGoOnAtTheNextNode) {
  const std::string page = "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n";
  join_.parts = {JoinPart{NodeId{0}}};
  const std::string next = std::to_string(static_cast<std::uint64_t>(2730) << 40);
  EXPECT_EQ(join(JoinKind::kScan, {page}), "*2\r\n$16\r\n" + next + "\r\n*1\r\n$1\r\nk\r\n");
  join_.parts[0].node = NodeId{2};
  EXPECT_EQ(join(JoinKind::kScan, {page}), page);
}

// A fault names its node; what may have happened is told before what has not; PUBLISH counts those that
// answered.
TEST_F(ClusterJoinTest, FaultsAreTold) {
  join_.parts = {JoinPart{NodeId{0}}, JoinPart{NodeId{1}, Failure::kDown}, JoinPart{NodeId{2}}};
  EXPECT_EQ(join(JoinKind::kSum, {":1\r\n", "", ":2\r\n"}),
            "-CLUSTERDOWN node n1 (10.0.0.1:7001) cannot be reached\r\n");
  EXPECT_EQ(join(JoinKind::kSumOfSome, {":1\r\n", "", ":2\r\n"}), ":3\r\n");
  join_.parts[2].failure = Failure::kUnknown;
  EXPECT_TRUE(
      join(JoinKind::kAllOk, {"+OK\r\n", "", ""}).starts_with("-ERR outcome unknown: the link to node n2 "));
  join_.parts = {JoinPart{NodeId{0}}, JoinPart{NodeId{1}}};
  EXPECT_EQ(join(JoinKind::kAllOk, {"+OK\r\n", "-OOM no memory\r\n"}, Protocol::kText),
            "(Out of memory)\r\n");
  EXPECT_EQ(join(JoinKind::kSum, {":1\r\n", "-ERR bad\r\n"}, Protocol::kText), "(error) bad\r\n");
}

// What a node of another build may send breaks nothing.
TEST_F(ClusterJoinTest, NonsenseIsSurvived) {
  for (const std::string nonsense : {"", "*", "*2\r\n", "$5\r\nab", "*-1\r\n", ":x\r\n"}) {
    for (const JoinKind kind : {JoinKind::kSum, JoinKind::kElements, JoinKind::kFields, JoinKind::kAny}) {
      join_ = Join{};
      join_.element_count = 1;
      join_.parts = {JoinPart{NodeId{0}, Failure::kNone, "", {0}}};
      EXPECT_NE(join(kind, {nonsense}), "");
    }
  }
}

}  // namespace
}  // namespace memento
