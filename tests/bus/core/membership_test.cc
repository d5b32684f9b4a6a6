// Who votes, and what requests make of a document.
#include "bus/core/membership.h"

#include <gtest/gtest.h>

#include "bus/core/voters.h"
#include "tests/bus/core/sample_document.h"

namespace memento::bus {
namespace {

const auto kAllLive = [](const Uuid&) { return true; };

Member newcomer(std::uint64_t number, const std::string& name) {
  Member member;
  member.uuid = sample_uuid(number);
  member.name = name;
  return member;
}

// Shows how many vote, and that a set that is right stays as it is.
TEST(BusVoters, Count) {
  for (const auto& [members, voters] :
       std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {2, 1}, {3, 3}, {4, 3}, {5, 5}, {9, 5}}) {
    const Document document = sample_document(members, voters);
    EXPECT_EQ(voter_count(members), voters);
    EXPECT_EQ(choose_voters(document, sample_uuid(1), kAllLive), document.voters_accepted);
  }
}

// Shows that a dead voter is replaced, one that leaves too, and that the leader votes if it can.
TEST(BusVoters, Replaced) {
  Document document = sample_document(4, 3);
  const auto without_second = [](const Uuid& uuid) { return uuid != sample_uuid(2); };
  EXPECT_EQ(choose_voters(document, sample_uuid(1), without_second),
            (VoterSet{sample_uuid(1), sample_uuid(3), sample_uuid(4)}));
  document.members[0].state = MemberState::kLeaving;
  EXPECT_EQ(choose_voters(document, sample_uuid(1), kAllLive),
            (VoterSet{sample_uuid(2), sample_uuid(3), sample_uuid(4)}));
}

// Shows that the set stays when too few live for a full one, and that zones are spread.
TEST(BusVoters, TooFewAndZones) {
  const Document document = sample_document(3, 3);
  const auto first_alone = [](const Uuid& uuid) { return uuid == sample_uuid(1); };
  EXPECT_EQ(choose_voters(document, sample_uuid(1), first_alone), document.voters_accepted);

  Document grown = sample_document(6, 1);
  for (std::size_t member = 0; member < 6; ++member) grown.members[member].zone = member < 4 ? "x" : "y";
  grown.members.pop_back();
  grown.members.pop_back();
  grown.members[3].zone = "z";  // four members, three of zone x
  for (SlotEntry& slot : grown.slots) slot = grown.slots[0];
  const VoterSet voters = choose_voters(grown, sample_uuid(1), kAllLive);
  EXPECT_TRUE(std::ranges::binary_search(voters, sample_uuid(4)));
}

// Shows a join: a number that was never given, no slots; asked twice it is one member.
TEST(BusMembership, Join) {
  const Document document = sample_document(3, 3);
  const Join join{newcomer(9, "x"), false};
  const std::optional<Document> next = with_requests(document, {join, join}, sample_uuid(1));
  ASSERT_TRUE(next);
  EXPECT_EQ(fault_of(*next), std::nullopt);
  ASSERT_EQ(next->members.size(), 4U);
  EXPECT_EQ(next->members[3].number, 3U);
  EXPECT_FALSE(next->owns(3));
  EXPECT_FALSE(with_requests(*next, {join}, sample_uuid(1)));
}

// Shows that a name that is taken is refused with a sentence, and that a replacement waits until its
// predecessor owns nothing and votes no more.
TEST(BusMembership, NamesAndReplacement) {
  const Document document = sample_document(3, 1);
  const MembershipRequest plain = Join{newcomer(9, "b"), false};
  const std::optional<std::string> objection = objection_to(document, plain);
  ASSERT_TRUE(objection);
  EXPECT_NE(objection->find("member b"), std::string::npos);
  EXPECT_FALSE(with_requests(document, {plain}, sample_uuid(1)));

  const MembershipRequest replacement = Join{newcomer(9, "b"), true};
  std::optional<Document> next = with_requests(document, {replacement}, sample_uuid(1));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->members[1].state, MemberState::kLeaving);
  EXPECT_FALSE(with_requests(*next, {replacement}, sample_uuid(1)));  // it owns slots
  for (SlotEntry& slot : next->slots)
    if (slot.names(1)) slot = next->slots[0];
  const std::optional<Document> last = with_requests(*next, {replacement}, sample_uuid(1));
  ASSERT_TRUE(last);
  EXPECT_EQ(last->member(sample_uuid(2)), nullptr);
  EXPECT_EQ(last->member(sample_uuid(9))->number, 3U);
}

// Shows that what cannot be is refused: a description that is out of bounds, the last owner's leave, settings
// that contradict each other.
TEST(BusMembership, Refused) {
  const Document document = sample_document(2, 1);
  EXPECT_TRUE(objection_to(document, Join{newcomer(9, ""), false}));
  EXPECT_TRUE(objection_to(document, Join{newcomer(9, std::string(64, 'x')), false}));
  EXPECT_TRUE(objection_to(document, Leave{sample_uuid(9)}));
  EXPECT_FALSE(objection_to(document, Leave{sample_uuid(2)}));
  const Document one = sample_document(1, 1);
  EXPECT_TRUE(objection_to(one, Leave{sample_uuid(1)}));
  Settings settings;
  settings.min_copies = 2;
  EXPECT_TRUE(objection_to(document, ChangeSettings{settings}));
  settings.replicas = 1;
  EXPECT_FALSE(objection_to(document, ChangeSettings{settings}));
}

// Shows that a leaving member goes once it owns nothing, but not the leader, who could not publish that.
TEST(BusMembership, Leave) {
  Document document = sample_document(3, 1);
  for (SlotEntry& slot : document.slots) slot = document.slots[0];
  const std::optional<Document> next = with_requests(document, {Leave{sample_uuid(3)}}, sample_uuid(1));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->members[2].state, MemberState::kLeaving);
  const std::optional<Document> last = with_requests(*next, {}, sample_uuid(1));
  ASSERT_TRUE(last);
  EXPECT_EQ(last->members.size(), 2U);
  EXPECT_FALSE(with_requests(*next, {}, sample_uuid(3)));
}

}  // namespace
}  // namespace memento::bus
