// Leases: what a node makes of a grant, and whom a leader grants. Who would answer for a slot in whole
// histories is the simulator's (tests/simulator).
#include <gtest/gtest.h>

#include "bus/core/lease_granter.h"
#include "bus/core/lease_holder.h"
#include "tests/bus/core/sample_document.h"

namespace memento::bus {
namespace {

constexpr TimeNs kSecond = 1000 * kMillisecondNs;
constexpr TimeNs kLease = 3 * kSecond;
constexpr DocumentKey kTable{1, 5};

// Shows that a lease counts from the question, by the clock of who asked, and never becomes shorter.
TEST(BusLeaseHolder, CountsFromTheQuestion) {
  LeaseHolder holder(4, 77, 0, 10 * kSecond);
  EXPECT_FALSE(holder.ask({}, 10 * kSecond));  // nobody is followed
  const std::optional<LeaseRequest> request = holder.ask({sample_uuid(1), 3, 9}, 10 * kSecond);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->term, 3U);
  EXPECT_EQ(request->number, 9U);
  EXPECT_FALSE(holder.is_confirmed());
  EXPECT_TRUE(holder.take({4, request->asked_at, kLease, kTable}, kTable, 12 * kSecond));
  EXPECT_EQ(holder.until(), 13 * kSecond);
  EXPECT_TRUE(holder.is_confirmed());
  EXPECT_FALSE(holder.take({4, 9 * kSecond, kLease, kTable}, kTable, 12 * kSecond));
  EXPECT_EQ(holder.until(), 13 * kSecond);
}

// Shows that a grant waits for the document that it names, while the former lease goes on, and that one to an
// earlier bus is dropped.
TEST(BusLeaseHolder, DocumentAndGeneration) {
  LeaseHolder holder(4, 77, 11 * kSecond, 10 * kSecond);
  EXPECT_EQ(holder.until(), 11 * kSecond);
  EXPECT_FALSE(holder.take({4, 10 * kSecond, kLease, {1, 6}}, kTable, 10 * kSecond));
  EXPECT_FALSE(holder.is_confirmed());
  EXPECT_FALSE(holder.note_table({1, 5}));
  EXPECT_TRUE(holder.note_table({2, 1}));
  EXPECT_EQ(holder.until(), 13 * kSecond);
  EXPECT_FALSE(holder.take({3, 5000 * kSecond, kLease, kTable}, {2, 1}, 10 * kSecond));
  EXPECT_EQ(holder.until(), 13 * kSecond);
}

/// A leader of one member, with another member that asks.
class BusLeaseGranter : public testing::Test {
 protected:
  BusLeaseGranter() {
    Document document = sample_document(2, 1);
    for (Member& member : document.members) member.memory_id = 7;
    writer_.emplace(StoredState{sample_uuid(1), {}, 0, std::make_shared<const Document>(document), 1});
    agreement_.emplace(*writer_, document.key, timing_, Random(1), now_);
    now_ += 2 * kSecond;
    perform(agreement_->on_tick(now_));
    // What is written while it is not answered waits: the term, then the first document.
    for (SaveTicket ticket = 1; ticket <= 2; ++ticket) perform(agreement_->on_persisted(ticket, now_));
    perform(agreement_->on_tick(now_));
    granter_.emplace(*agreement_, timing_);
  }

  void perform(Actions actions) { static_cast<void>(actions); }
  LeaseRequest request(std::uint64_t generation = 1, std::uint64_t memory_id = 7) const {
    return {agreement_->term(), 2, 100 * kSecond, generation, memory_id};
  }

  Timing timing_;
  TimeNs now_ = kSecond;
  std::optional<StateWriter> writer_;
  std::optional<Agreement> agreement_;
  std::optional<LeaseGranter> granter_;
};

// Shows a grant: the time of the question comes back, for no longer than the leader's authority, and names
// the newest document that was published.
TEST_F(BusLeaseGranter, Grants) {
  ASSERT_TRUE(agreement_->is_leader() && agreement_->leadership()->committed);
  const std::optional<Grant> grant = granter_->answer(sample_uuid(2), request(), now_ + kSecond / 2);
  ASSERT_TRUE(grant);
  EXPECT_EQ(grant->asked_at, 100 * kSecond);
  EXPECT_EQ(grant->duration_ns, kLease - kSecond / 2);
  EXPECT_EQ(grant->wanted, agreement_->accepted()->key);
}

// Shows who gets none: strangers, another term's, an older bus, another memory, who heard nothing of late.
TEST_F(BusLeaseGranter, Refuses) {
  EXPECT_FALSE(granter_->answer(sample_uuid(9), request(), now_));
  LeaseRequest other = request();
  other.term += 1;
  EXPECT_FALSE(granter_->answer(sample_uuid(2), other, now_));
  EXPECT_FALSE(
      granter_->answer(sample_uuid(2), request(), now_ + 2 * kSecond));  // number 2 was sent too long ago
  EXPECT_FALSE(granter_->answer(sample_uuid(2), request(1, 8), now_));
  EXPECT_TRUE(granter_->answer(sample_uuid(2), request(3), now_));
  EXPECT_FALSE(granter_->answer(sample_uuid(2), request(2), now_));
}

// Shows that roles are taken no earlier than a lease and 3 % behind election and last request, and that a
// member that loses some is granted nothing until that is committed.
TEST_F(BusLeaseGranter, Takes) {
  const TimeNs elected = agreement_->leadership()->since();
  EXPECT_FALSE(granter_->may_take_from(sample_uuid(2), elected + kLease));
  EXPECT_TRUE(granter_->may_take_from(sample_uuid(2), elected + kLease * 103 / 100));
  ASSERT_TRUE(granter_->answer(sample_uuid(2), request(), now_ + kSecond / 2));
  EXPECT_FALSE(granter_->may_take_from(sample_uuid(2), elected + kLease * 103 / 100));
  EXPECT_TRUE(granter_->may_take_from(sample_uuid(2), now_ + kSecond / 2 + kLease * 103 / 100));

  Document next = *agreement_->accepted();
  next.key.version += 1;
  granter_->note_taking(sample_uuid(2), next.key);
  EXPECT_FALSE(granter_->answer(sample_uuid(2), request(), now_));
  granter_->note_committed(next, *agreement_->accepted(), now_);
  EXPECT_TRUE(granter_->answer(sample_uuid(2), request(), now_));
}

// Shows that another memory ends a member's reigns with new epochs, that the first one that is heard of ends
// none, and that what an earlier bus has said does not count.
TEST(BusMemories, EndReigns) {
  Document document = sample_document(2, 1);
  std::map<Uuid, LeaseGranter::Told> told = {{sample_uuid(2), {3, 50}}};
  std::optional<Document> next = with_memories(document, told);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->members[1].memory_id, 50U);
  EXPECT_EQ(next->slots, document.slots);
  EXPECT_FALSE(with_memories(*next, told));

  told[sample_uuid(2)] = {2, 40};
  EXPECT_FALSE(with_memories(*next, told));
  told[sample_uuid(2)] = {4, 60};
  const std::optional<Document> last = with_memories(*next, told);
  ASSERT_TRUE(last);
  for (std::size_t slot = 0; slot < document.slots.size(); ++slot)
    EXPECT_EQ(last->slots[slot].epoch, document.slots[slot].primary == 1 ? 2U : 1U) << slot;
}

}  // namespace
}  // namespace memento::bus
