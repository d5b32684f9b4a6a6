// Placement of slots and their copies: nodes join one by one up to 64 and leave again, and what moves, how
// even it is, and how many ranges the table has are compared with the least and the best there can be.
#include "bus/core/placement.h"

#include <gtest/gtest.h>

#include <numeric>

#include "bus/core/formation.h"
#include "bus/core/random.h"
#include "tests/bus/core/sample_document.h"

namespace memento::bus {
namespace {

constexpr std::size_t kMost = 64;

/// A cluster whose slots are placed anew whenever members change.
class Cluster {
 public:
  explicit Cluster(std::size_t members, std::uint8_t replicas = 0, std::size_t zones = 0) : zones_(zones) {
    std::vector<ClusterNode> nodes;
    std::vector<Uuid> uuids;
    for (std::size_t place = 0; place < members; ++place) {
      nodes.push_back({"10.0.0.1", 6837, name(place)});
      uuids.push_back(sample_uuid(place + 1));
    }
    document_ = first_document(nodes, uuids, kSlotCount);
    document_.settings.replicas = replicas;
    for (std::size_t place = 0; place < members; ++place) document_.members[place].zone = zone(place);
    place_all();
  }

  void join(std::uint32_t weight = 1) {
    Member member;
    member.number = document_.next_number++;
    member.uuid = sample_uuid(member.number + 1);
    member.name = name(member.number);
    member.zone = zone(member.number);
    member.weight = weight;
    document_.members.push_back(member);
    place_all();
  }

  /// What it had.
  std::size_t leave(std::size_t place) {
    std::size_t had = 0;
    for (const SlotEntry& slot : document_.slots) had += slot.names(static_cast<MemberIndex>(place));
    document_.members[place].state = MemberState::kLeaving;
    if (document_.is_voter(document_.members[place].uuid)) {
      document_.voters_accepted = {document_.members[place == 0 ? 1 : 0].uuid};
      document_.voters_committed = document_.voters_accepted;
    }
    place_all();
    document_.remove_member(static_cast<MemberIndex>(place));
    return had;
  }

  std::size_t size() const { return document_.members.size(); }
  std::size_t moved() const { return moved_; }
  const Document& document() const { return document_; }

  std::vector<std::size_t> owned() const {
    std::vector<std::size_t> counts(size());
    for (const SlotEntry& slot : document_.slots) ++counts[slot.primary];
    return counts;
  }
  std::vector<std::size_t> held() const {
    std::vector<std::size_t> counts(size());
    for (const SlotEntry& slot : document_.slots)
      for (const InSyncCopy& copy : slot.in_sync)
        if (copy.member != kNoMember) ++counts[copy.member];
    return counts;
  }
  std::size_t ranges() const {
    std::size_t count = 1;
    for (std::size_t slot = 1; slot < document_.slots.size(); ++slot)
      count += document_.slots[slot].primary != document_.slots[slot - 1].primary;
    return count;
  }
  std::size_t zone_faults() const {
    std::size_t faults = 0;
    for (const SlotEntry& slot : document_.slots)
      for (std::size_t place = 0; place < kCopyLimit; ++place)
        for (std::size_t other = 0; other < place; ++other)
          faults += slot.in_sync[place].member != kNoMember &&
                    document_.members[slot.in_sync[place].member].zone ==
                        document_.members[slot.in_sync[other].member].zone;
    return faults;
  }

 private:
  static std::string name(std::size_t place) { return "n" + std::to_string(100 + place); }
  std::string zone(std::size_t place) const {
    return zones_ == 0 ? "" : "z" + std::to_string(place % zones_);
  }

  /// As if all had moved. Counts the copies that were not where they are now.
  void place_all() {
    const std::vector<MemberIndex> owners = place_owners(document_);
    const std::vector<std::vector<MemberIndex>> copies = place_copies(document_, owners);
    moved_ = 0;
    for (std::size_t slot = 0; slot < document_.slots.size(); ++slot) {
      SlotEntry& entry = document_.slots[slot];
      const SlotEntry before = entry;
      entry.primary = owners[slot];
      entry.in_sync = {};
      entry.targets.fill(kNoMember);
      for (std::size_t place = 0; place < copies[slot].size(); ++place) {
        entry.in_sync[place].member = entry.targets[place] = copies[slot][place];
        moved_ += !before.names(copies[slot][place]);
      }
    }
    ASSERT_EQ(fault_of(document_), std::nullopt);
  }

  std::size_t zones_;
  Document document_;
  std::size_t moved_ = 0;
};

std::size_t spread(const std::vector<std::size_t>& counts) {
  return *std::ranges::max_element(counts) - *std::ranges::min_element(counts);
}

// Shows that from 2 nodes to 64 and back each join moves just the joiner's share, each leave just what the
// leaver had, that any two nodes differ by at most one slot, and that the ranges stay few.
TEST(BusPlacement, JoinsAndLeaves) {
  Cluster cluster(2);
  std::size_t most_ranges = 0;
  while (cluster.size() < kMost) {
    cluster.join();
    const std::size_t count = cluster.owned().back();
    ASSERT_EQ(cluster.moved(), count) << cluster.size();
    ASSERT_TRUE(count == kSlotCount / cluster.size() || count == kSlotCount / cluster.size() + 1)
        << cluster.size();
    ASSERT_LE(spread(cluster.owned()), 1U) << cluster.size();
    most_ranges = std::max(most_ranges, cluster.ranges());
  }
  Random random(7);
  while (cluster.size() > 2) {
    const std::size_t had = cluster.leave(random.below(cluster.size()));
    ASSERT_EQ(cluster.moved(), had) << cluster.size();
    ASSERT_LE(spread(cluster.owned()), 1U) << cluster.size();
    most_ranges = std::max(most_ranges, cluster.ranges());
  }
  RecordProperty("most_ranges", static_cast<int>(most_ranges));
  EXPECT_LT(most_ranges, 3000U);
}

// Shows that nothing moves when nothing has changed, and that weights count.
TEST(BusPlacement, StaysAndWeighs) {
  Cluster cluster(5);
  const std::vector<MemberIndex> owners = place_owners(cluster.document());
  for (std::size_t slot = 0; slot < kSlotCount; ++slot)
    ASSERT_EQ(owners[slot], cluster.document().slots[slot].primary);
  Cluster weighed(2);
  weighed.join(2);
  const std::vector<std::size_t> owned = weighed.owned();
  EXPECT_EQ(owned[2], kSlotCount / 2);
  EXPECT_LE(spread({owned[0], owned[1]}), 1U);
}

// Shows that a witness owns nothing, nor who leaves, and that slots without an owner get one.
TEST(BusPlacement, WhoOwnsNothing) {
  Document document =
      first_document({{"10.0.0.1", 6837, "a"}, {"10.0.0.2", 6837, "b"}, {"10.0.0.3", 6837, "c"}},
                     {sample_uuid(1), sample_uuid(2), sample_uuid(3)}, kSlotCount);
  document.members[1].is_witness = true;
  document.members[2].state = MemberState::kLeaving;
  document.slots[5].primary = kNoMember;
  for (const MemberIndex owner : place_owners(document)) ASSERT_EQ(owner, 0);
  EXPECT_EQ(target_counts(document), (std::vector<std::uint32_t>{kSlotCount, 0, 0}));
}

// Shows that with copies a join moves roles where a copy is already, that no two copies share a zone while
// there are three, that everybody holds nearly the same, and that a death makes about as many copies as were
// lost.
TEST(BusPlacement, CopiesAndZones) {
  for (const int replicas : {1, 2}) {
    Cluster cluster(3, static_cast<std::uint8_t>(replicas), 3);
    ASSERT_EQ(cluster.zone_faults(), 0U);
    while (cluster.size() < 24) {
      cluster.join();
      ASSERT_EQ(cluster.zone_faults(), 0U) << cluster.size();
      ASSERT_LE(spread(cluster.owned()), 1U) << cluster.size();
    }
    const std::vector<std::size_t> held = cluster.held();
    const double mean = static_cast<double>(kSlotCount) * (replicas + 1) / 24;
    EXPECT_LT(static_cast<double>(*std::ranges::max_element(held)) / mean, 1.1);
    RecordProperty("fullest_of_mean_" + std::to_string(replicas),
                   std::to_string(static_cast<double>(*std::ranges::max_element(held)) / mean));
    const std::size_t had = cluster.leave(5);
    const double made = static_cast<double>(cluster.moved()) / static_cast<double>(had);
    EXPECT_LT(made, 1.3);
    RecordProperty("made_of_lost_" + std::to_string(replicas), std::to_string(made));
  }
}

}  // namespace
}  // namespace memento::bus
