// Who owns which slot, and which files are one cluster's.
#include "bus/core/members.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>

namespace memento::bus {
namespace {

ClusterFile file_of(std::size_t count, std::size_t self = 0) {
  ClusterFile file;
  for (std::size_t i = 0; i < count; ++i) {
    file.nodes.push_back({"127.0.0.1", static_cast<std::uint16_t>(7000 + i), "node" + std::to_string(i)});
  }
  file.self = self;
  return file;
}

// Shows that for any number of nodes the slots are divided without a gap, contiguous, none with more than its
// share.
TEST(BusMembers, EveryNumberOfNodesSharesAllSlots) {
  for (std::size_t count = 1; count <= kNodeLimit; ++count) {
    const Members members = Members::from(file_of(count));
    EXPECT_EQ(members.first_slot(NodeId{0}), SlotId{0});
    EXPECT_EQ(members.first_slot(members.end_node()), kSlotEnd);
    for (NodeId node; node < members.end_node(); ++node) {
      const std::uint32_t share = members.first_slot(node + 1) - members.first_slot(node);
      EXPECT_LE(share, (kSlotCount + count - 1) / count);
      EXPECT_GE(share, kSlotCount / count);
    }
  }
}

// Shows that the order of the file's lines changes neither table nor id, only who this node is.
TEST(BusMembers, TheOrderOfLinesDoesNotMatter) {
  std::mt19937 random(1);
  ClusterFile file = file_of(12);
  const Members first = Members::from(file);
  const auto state = std::make_unique<ClusterState>();
  first.write_to(*state);
  for (int round = 0; round < 20; ++round) {
    const std::string self = file.nodes[file.self].name;
    std::ranges::shuffle(file.nodes, random);
    file.self = static_cast<std::size_t>(std::ranges::find(file.nodes, self, &ClusterNode::name) -
                                         file.nodes.begin());
    const Members members = Members::from(file);
    EXPECT_EQ(members.nodes, first.nodes);
    EXPECT_EQ(members.id(), first.id());
    EXPECT_EQ(members.node(members.self).name, self);
    const auto other = std::make_unique<ClusterState>();
    members.write_to(*other);
    EXPECT_EQ(other->owners, state->owners);
  }
}

// Shows that each difference that matters makes another cluster.
TEST(BusMembers, AnyDifferenceIsAnotherCluster) {
  const ClusterFile file = file_of(3);
  std::set<ClusterId> ids{Members::from(file).id(), Members::from(file).id(kProtocolVersion + 1),
                          Members::from(file_of(4)).id()};
  ClusterFile other = file;
  other.nodes[1].bus_port = 7777;
  ids.insert(Members::from(other).id());
  other = file;
  other.nodes[1].name = "other";
  ids.insert(Members::from(other).id());
  other = file;
  other.nodes[1].address = "127.0.0.2";
  ids.insert(Members::from(other).id());
  EXPECT_EQ(ids.size(), 6u);
}

// Shows what a node's processes find: the tables agree with each other, ids have 40 hex digits and differ.
TEST(BusMembers, StateSaysTheSame) {
  const Members members = Members::from(file_of(7, 3));
  const auto state = std::make_unique<ClusterState>();
  members.write_to(*state);
  EXPECT_EQ(state->node_count, 7u);
  EXPECT_EQ(state->self_node().name_text(), "node3");
  std::set<std::string> ids;
  for (NodeId id; id < NodeId{7}; ++id) {
    const NodeState& node = state->node(id);
    EXPECT_EQ(node.port + 100, node.bus_port);
    for (SlotId slot = node.first_slot; slot < node.end_slot; ++slot) EXPECT_EQ(state->owner_of(slot), id);
    EXPECT_EQ(node.id_text().size(), 40u);
    EXPECT_EQ(node.id_text().find_first_not_of("0123456789abcdef"), std::string_view::npos);
    ids.emplace(node.id_text());
  }
  EXPECT_EQ(ids.size(), 7u);
  EXPECT_EQ(Members::of(*state).nodes, members.nodes);
  EXPECT_EQ(Members::of(*state).id(), members.id());
}

}  // namespace
}  // namespace memento::bus
