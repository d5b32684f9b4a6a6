// How the nodes of a file become a cluster, round by round.
#include "bus/core/formation.h"

#include <gtest/gtest.h>

#include "tests/bus/core/sample_document.h"

namespace memento::bus {
namespace {

constexpr std::uint32_t kSlots = 16;

ClusterFile file_of(std::size_t count, std::size_t self) {
  ClusterFile file;
  for (std::size_t place = 0; place < count; ++place)
    file.nodes.push_back(
        {"10.0.0." + std::to_string(place + 1), 6837, std::string(1, static_cast<char>('a' + place))});
  file.self = self;
  return file;
}

struct Node {
  Node(std::size_t count, std::size_t place, const Uuid& uuid)
      : writer(StoredState{uuid, {}, 0, nullptr, 1}), formation(writer, file_of(count, place), kSlots) {}
  void be_ready() { formation.note_ready_on_disk(*formation.wanted()); }

  StateWriter writer;
  Formation formation;
};

// Shows the two rounds: nobody forms before all have said that they are ready for the same set, and then all
// compute the same document, in which every slot has an owner and no owner more than its share.
TEST(BusFormation, TwoRounds) {
  std::vector<std::unique_ptr<Node>> nodes;
  for (std::size_t place = 0; place < 3; ++place)
    nodes.push_back(std::make_unique<Node>(3, place, sample_uuid(place + 1)));
  const auto talk = [&] {
    for (const auto& one : nodes)
      for (const auto& other : nodes)
        if (one != other) {
          EXPECT_TRUE(other->formation.hear(one->writer.state().uuid, one->formation.word()));
        }
  };
  EXPECT_FALSE(nodes[0]->formation.wanted());
  talk();
  for (const auto& node : nodes) {
    ASSERT_TRUE(node->formation.wanted());
    EXPECT_FALSE(node->formation.formed());
  }
  nodes[0]->be_ready();
  nodes[1]->be_ready();
  talk();
  EXPECT_FALSE(nodes[0]->formation.formed());  // the third has not said it
  nodes[2]->be_ready();
  talk();
  for (const auto& node : nodes) {
    const DocumentPtr formed = node->formation.formed();
    ASSERT_TRUE(formed);
    EXPECT_EQ(*formed, *nodes[0]->formation.formed());
    EXPECT_EQ(fault_of(*formed), std::nullopt);
    EXPECT_EQ(formed->voters_accepted.size(), 3U);
  }
}

// Shows that a node which comes with another uuid in the second round changes the set, so that a set of which
// one member is no more does not form a cluster.
TEST(BusFormation, AnotherUuidInTheSecondRound) {
  Node one(2, 0, sample_uuid(1));
  one.formation.hear(sample_uuid(2), Fresh{"b", {}});
  one.be_ready();
  one.formation.hear(sample_uuid(3), Fresh{"b", {sample_uuid(1), sample_uuid(2)}});
  EXPECT_EQ(*one.formation.wanted(), (std::vector<Uuid>{sample_uuid(1), sample_uuid(3)}));
  EXPECT_FALSE(one.formation.formed());
  one.be_ready();
  EXPECT_FALSE(one.formation.formed());  // the other is ready for the former set
  one.formation.hear(sample_uuid(3), Fresh{"b", {sample_uuid(1), sample_uuid(3)}});
  EXPECT_TRUE(one.formation.formed());
}

// Shows that words of nodes that the file does not name, or in this node's own name, are not counted.
TEST(BusFormation, Strangers) {
  Node one(2, 0, sample_uuid(1));
  EXPECT_FALSE(one.formation.hear(sample_uuid(2), Fresh{"z", {}}));
  EXPECT_FALSE(one.formation.hear(sample_uuid(2), Fresh{"a", {}}));
  EXPECT_FALSE(one.formation.wanted());
}

// Shows that other uuids make another cluster, and that the owners are those that nodes' files have always
// given.
TEST(BusFormation, FirstDocument) {
  const std::vector<ClusterNode> nodes = file_of(3, 0).nodes;
  const std::vector<Uuid> uuids = {sample_uuid(1), sample_uuid(2), sample_uuid(3)};
  const Document document = first_document(nodes, uuids, kSlotCount);
  EXPECT_NE(document.cluster_id,
            first_document(nodes, {uuids[0], uuids[1], sample_uuid(4)}, kSlotCount).cluster_id);
  for (std::size_t member = 0; member < 3; ++member) {
    const std::size_t begin = member * kSlotCount / 3;
    const std::size_t end = (member + 1) * kSlotCount / 3;
    for (std::size_t slot = begin; slot < end; ++slot)
      ASSERT_EQ(document.slots[slot].primary, member) << slot;
  }
}

}  // namespace
}  // namespace memento::bus
