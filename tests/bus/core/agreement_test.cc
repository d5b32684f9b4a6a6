// Agreement, rule by rule, with messages, disks and time in the test's hands. Whole histories are the
// simulator's (tests/simulator).
#include "bus/core/agreement.h"

#include <gtest/gtest.h>

#include <deque>

#include "tests/bus/core/sample_document.h"

namespace memento::bus {
namespace {

constexpr TimeNs kSecond = 1000 * kMillisecondNs;

/// Members that hear each other, unless cut off, and write at once, unless their disk is stopped.
class BusAgreement : public testing::Test {
 protected:
  struct Node {
    std::unique_ptr<StateWriter> writer;
    std::unique_ptr<Agreement> agreement;
    bool is_cut = false;
    bool is_disk_stopped = false;
    std::optional<SaveTicket> unwritten;
    std::vector<Send> sent;
    std::vector<DocumentPtr> committed;
    bool is_removed = false;
  };

  void make(std::size_t members, std::size_t voters) {
    first_ = std::make_shared<const Document>(sample_document(members, voters));
    nodes_.resize(members);
    for (std::size_t place = 0; place < members; ++place) start(place, first_);
  }

  void start(std::size_t place, DocumentPtr accepted, std::uint64_t term = 0) {
    Node& node = nodes_[place];
    node = Node{};
    node.writer = std::make_unique<StateWriter>(StoredState{sample_uuid(place + 1), {}, term, accepted, 1});
    node.agreement =
        std::make_unique<Agreement>(*node.writer, DocumentKey{0, 1}, Timing{}, Random(place), now_);
  }

  void perform(std::size_t place, Actions actions) {
    Node& node = nodes_[place];
    for (Action& action : actions) {
      if (auto* send = std::get_if<Send>(&action)) {
        node.sent.push_back(*send);
        if (!node.is_cut) messages_.push_back({place, *send});
      }
      if (auto* persist = std::get_if<Persist>(&action)) node.unwritten = persist->ticket;
      if (auto* committed = std::get_if<Committed>(&action)) node.committed.push_back(committed->document);
      node.is_removed |= std::holds_alternative<Removed>(action);
    }
    if (!node.is_disk_stopped) write(place);
  }

  void write(std::size_t place) {
    Node& node = nodes_[place];
    if (const std::optional<SaveTicket> ticket = std::exchange(node.unwritten, std::nullopt))
      perform(place, node.agreement->on_persisted(*ticket, now_));
  }

  void deliver(std::size_t place, const Uuid& from, MessageBody body) {
    perform(place, nodes_[place].agreement->on_message({first_->cluster_id, from, std::move(body)}, now_));
  }

  void settle() {
    while (!messages_.empty()) {
      const auto [from, send] = messages_.front();
      messages_.pop_front();
      for (std::size_t place = 0; place < nodes_.size(); ++place)
        if (sample_uuid(place + 1) == send.to && !nodes_[place].is_cut)
          deliver(place, sample_uuid(from + 1), send.body);
    }
  }

  void pass(TimeNs duration) {
    for (const TimeNs end = now_ + duration; now_ < end; now_ += 10 * kMillisecondNs) {
      for (std::size_t place = 0; place < nodes_.size(); ++place)
        if (now_ >= at(place).deadline()) perform(place, nodes_[place].agreement->on_tick(now_));
      settle();
    }
  }

  Agreement& at(std::size_t place) { return *nodes_[place].agreement; }
  std::optional<std::size_t> leader() {
    for (std::size_t place = 0; place < nodes_.size(); ++place)
      if (at(place).is_leader() && !nodes_[place].is_cut) return place;
    return std::nullopt;
  }
  template <class Body>
  std::size_t count_sent(std::size_t place) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        nodes_[place].sent, [](const Send& send) { return std::holds_alternative<Body>(send.body); }));
  }

  TimeNs now_ = kSecond;
  DocumentPtr first_;
  std::vector<Node> nodes_;
  std::deque<std::pair<std::size_t, Send>> messages_;
};

// Shows an election: one leader, which publishes the document once more in its own term, changed in nothing
// but its key, and all learn that it is committed.
TEST_F(BusAgreement, ElectionAndFirstCommit) {
  make(3, 3);
  pass(2 * kSecond);
  ASSERT_TRUE(leader());
  const DocumentPtr committed = at(*leader()).committed();
  EXPECT_EQ(committed->key, (DocumentKey{at(*leader()).term(), 2}));
  Document same = *committed;
  same.key = first_->key;
  EXPECT_EQ(same, *first_);
  for (std::size_t place = 0; place < 3; ++place) {
    ASSERT_TRUE(at(place).committed());
    EXPECT_EQ(at(place).committed()->key, committed->key);
    EXPECT_EQ(at(place).followed().leader, sample_uuid(*leader() + 1));
  }
}

// Shows that another leader follows when the first is cut off, that the first gives up by itself within a
// second of silence, and that it follows once it is back.
TEST_F(BusAgreement, LeaderCutOff) {
  make(3, 3);
  pass(2 * kSecond);
  const std::size_t old = *leader();
  nodes_[old].is_cut = true;
  pass(3 * kSecond);
  EXPECT_FALSE(at(old).is_leader());
  ASSERT_TRUE(leader());
  EXPECT_NE(*leader(), old);
  nodes_[old].is_cut = false;
  pass(3 * kSecond);
  EXPECT_EQ(at(old).followed().leader, sample_uuid(*leader() + 1));
  EXPECT_EQ(at(old).committed()->key, at(*leader()).committed()->key);
}

// Shows that a vote leaves only when its term is on disk, and that there is one a term.
TEST_F(BusAgreement, OneVoteOnDisk) {
  make(3, 3);
  nodes_[0].is_disk_stopped = true;
  deliver(0, sample_uuid(2), StartTerm{5});
  EXPECT_EQ(count_sent<Vote>(0), 0U);
  deliver(0, sample_uuid(3), StartTerm{5});
  write(0);
  ASSERT_EQ(count_sent<Vote>(0), 1U);
  EXPECT_EQ(nodes_[0].sent.back().to, sample_uuid(2));
}

// Shows that a term which rose while the vote was on its way to the disk ends that vote.
TEST_F(BusAgreement, VoteOfATermThatIsOver) {
  make(3, 3);
  nodes_[0].is_disk_stopped = true;
  deliver(0, sample_uuid(2), StartTerm{5});
  deliver(0, sample_uuid(3), StartTerm{6});
  write(0);
  ASSERT_EQ(count_sent<Vote>(0), 1U);
  EXPECT_EQ(std::get<Vote>(nodes_[0].sent.back().body).term, 6U);
}

// Shows that heartbeats and publications of older terms are refused, that the leader is told of the newer
// one, but only of what is on disk, and that it then steps down.
TEST_F(BusAgreement, OlderTerms) {
  make(3, 3);
  nodes_[0].is_disk_stopped = true;
  deliver(0, sample_uuid(3), StartTerm{5});
  deliver(0, sample_uuid(2), Heartbeat{4, 1, {}});
  EXPECT_EQ(count_sent<NewerTerm>(0), 0U);
  write(0);
  deliver(0, sample_uuid(2), Heartbeat{4, 2, {}});
  EXPECT_EQ(count_sent<NewerTerm>(0), 1U);
  Document next = *first_;
  next.key = {4, 2};
  deliver(0, sample_uuid(2), Publish{4, 3, std::make_shared<const Document>(next)});
  EXPECT_EQ(count_sent<HeartbeatAnswer>(0) + count_sent<Accepted>(0), 0U);
  EXPECT_EQ(at(0).accepted()->key, first_->key);

  make(3, 3);
  pass(2 * kSecond);
  const std::size_t leads = *leader();
  deliver(leads, sample_uuid(1), NewerTerm{at(leads).term() + 3});
  EXPECT_FALSE(at(leads).is_leader());
}

// Shows that a heartbeat of a newer term is answered only when that term is on disk.
TEST_F(BusAgreement, AnswerOnDisk) {
  make(3, 3);
  nodes_[0].is_disk_stopped = true;
  deliver(0, sample_uuid(2), Heartbeat{7, 1, {}});
  EXPECT_EQ(count_sent<HeartbeatAnswer>(0), 0U);
  write(0);
  EXPECT_EQ(count_sent<HeartbeatAnswer>(0), 1U);
  EXPECT_EQ(at(0).term(), 7U);
}

// Shows that a document is accepted only when it is on disk, and only the newest.
TEST_F(BusAgreement, AcceptedOnDisk) {
  make(3, 3);
  nodes_[0].is_disk_stopped = true;
  const auto publish = [&](std::uint64_t version) {
    Document next = *first_;
    next.key = {7, version};
    deliver(0, sample_uuid(2), Publish{7, version, std::make_shared<const Document>(next)});
  };
  publish(2);
  EXPECT_EQ(count_sent<Accepted>(0), 0U);
  publish(3);
  write(0);
  ASSERT_EQ(count_sent<Accepted>(0), 1U);
  EXPECT_EQ(std::get<Accepted>(nodes_[0].sent.back().body).key, (DocumentKey{7, 3}));
  publish(2);
  EXPECT_EQ(count_sent<Accepted>(0), 1U);
}

// Shows that pre-votes are refused while a leader is heard, and to whoever has an older document, and that
// the latter is told of a newer one that is committed.
TEST_F(BusAgreement, PreVotes) {
  make(3, 3);
  deliver(0, sample_uuid(2), PreVote{{0, 1}});
  EXPECT_EQ(count_sent<PreVoteYes>(0), 1U);
  deliver(0, sample_uuid(2), PreVote{{0, 0}});
  EXPECT_EQ(count_sent<PreVoteYes>(0), 1U);
  EXPECT_EQ(count_sent<Commit>(0), 1U);
  deliver(0, sample_uuid(3), Heartbeat{1, 1, {}});
  deliver(0, sample_uuid(2), PreVote{{5, 5}});
  EXPECT_EQ(count_sent<PreVoteYes>(0), 1U);
}

// Shows that a candidate counts no vote of a node with a newer document: it may be committed.
TEST_F(BusAgreement, VoteOfWhoKnowsMore) {
  make(3, 3);
  now_ += 2 * kSecond;
  perform(0, at(0).on_tick(now_));
  for (const std::uint64_t other : {2, 3}) deliver(0, sample_uuid(other), PreVoteYes{0});
  ASSERT_TRUE(at(0).is_candidate());
  deliver(0, sample_uuid(2), Vote{1, {0, 9}});
  deliver(0, sample_uuid(3), Vote{1, {0, 9}});
  EXPECT_FALSE(at(0).is_leader());
  deliver(0, sample_uuid(3), Vote{1, {0, 1}});
  EXPECT_TRUE(at(0).is_leader());
}

// Shows Raft's figure 8: a document of an older term is not committed by being counted, whoever has accepted
// it. The new leader publishes it again in its own term.
TEST_F(BusAgreement, OlderDocumentsAreNotCounted) {
  make(3, 3);
  Document older = *first_;
  older.key = {1, 2};
  start(0, std::make_shared<const Document>(older), 1);
  now_ += 2 * kSecond;
  perform(0, at(0).on_tick(now_));
  for (const std::uint64_t other : {2, 3}) deliver(0, sample_uuid(other), PreVoteYes{1});
  deliver(0, sample_uuid(3), Vote{2, {0, 1}});
  ASSERT_TRUE(at(0).is_leader());
  EXPECT_EQ(at(0).accepted()->key, (DocumentKey{2, 3}));
  deliver(0, sample_uuid(2), Accepted{2, 1, {1, 2}});
  deliver(0, sample_uuid(3), Accepted{2, 1, {1, 2}});
  EXPECT_TRUE(nodes_[0].committed.empty());
  deliver(0, sample_uuid(2), Accepted{2, 1, {2, 3}});
  ASSERT_EQ(nodes_[0].committed.size(), 1U);
  EXPECT_EQ(nodes_[0].committed[0]->key, (DocumentKey{2, 3}));
}

// Shows that one document at a time is under way, and that a change of voters needs majorities of both sets
// and is followed by a document that has only the new one.
TEST_F(BusAgreement, VotersChange) {
  make(5, 3);
  pass(2 * kSecond);
  pass(2 * kSecond);
  const std::size_t leads = *leader();
  EXPECT_EQ(at(leads).committed()->voters_accepted.size(), 5U);
  EXPECT_FALSE(at(leads).committed()->voters_change());
  ASSERT_TRUE(at(leads).may_publish());
  Document next = *at(leads).committed();
  next.settings.replicas = 1;
  nodes_[leads].is_disk_stopped = true;
  perform(leads, at(leads).publish(next, now_));
  EXPECT_FALSE(at(leads).may_publish());
  settle();
  write(leads);
  EXPECT_TRUE(at(leads).may_publish());
  EXPECT_EQ(at(leads).committed()->settings.replicas, 1);
}

// Shows that two of five old voters, though a majority of the three new ones with the leader, do not commit.
TEST_F(BusAgreement, JointMajorities) {
  make(5, 5);
  Document joint = *first_;
  joint.key = {1, 2};
  joint.voters_accepted = {sample_uuid(1), sample_uuid(2), sample_uuid(3)};
  start(0, std::make_shared<const Document>(joint), 1);
  now_ += 2 * kSecond;
  perform(0, at(0).on_tick(now_));
  deliver(0, sample_uuid(2), PreVoteYes{1});
  EXPECT_FALSE(at(0).is_candidate());  // two of three, but two of five
  deliver(0, sample_uuid(1), PreVoteYes{1});
  deliver(0, sample_uuid(5), PreVoteYes{1});
  ASSERT_TRUE(at(0).is_candidate());
  deliver(0, sample_uuid(4), Vote{2, {0, 1}});
  deliver(0, sample_uuid(5), Vote{2, {0, 1}});
  EXPECT_FALSE(at(0).is_leader());  // three of five, but one of three
  deliver(0, sample_uuid(2), Vote{2, {0, 1}});
  EXPECT_TRUE(at(0).is_leader());
}

// Shows that a node whose disk has failed votes, accepts and stands no more, and that one whose disk hangs
// for longer than a lease steps down.
TEST_F(BusAgreement, Disks) {
  make(3, 3);
  perform(0, at(0).on_disk_failed(now_));
  deliver(0, sample_uuid(2), StartTerm{5});
  deliver(0, sample_uuid(2), PreVote{{5, 5}});
  EXPECT_TRUE(nodes_[0].sent.empty());
  EXPECT_EQ(at(0).deadline(), kNever);

  make(3, 3);
  pass(2 * kSecond);
  const std::size_t leads = *leader();
  nodes_[leads].is_disk_stopped = true;
  perform(leads, at(leads).publish(*at(leads).committed(), now_));
  pass(2 * kSecond);
  EXPECT_TRUE(at(leads).is_leader());
  pass(2 * kSecond);
  EXPECT_FALSE(at(leads).is_leader());
}

// Shows that a member is removed by a committed document without it, but not by one from before it joined.
TEST_F(BusAgreement, Removal) {
  make(3, 3);
  Document without = sample_document(2, 1);
  without.next_number = 3;
  without.key = {1, 2};
  Document joined = *first_;
  joined.key = {1, 3};
  deliver(2, sample_uuid(1), Publish{1, 1, std::make_shared<const Document>(joined)});
  deliver(2, sample_uuid(1), Fetched{std::make_shared<const Document>(without)});
  EXPECT_FALSE(nodes_[2].is_removed);
  without.key = {1, 4};
  deliver(2, sample_uuid(1), Fetched{std::make_shared<const Document>(without)});
  EXPECT_TRUE(nodes_[2].is_removed);
}

// Shows that who lacks what is committed fetches it, and has it on disk before it says so.
TEST_F(BusAgreement, Fetch) {
  make(3, 3);
  Document newer = *first_;
  newer.key = {2, 5};
  nodes_[2].is_disk_stopped = true;
  deliver(2, sample_uuid(1), Commit{{2, 5}});
  ASSERT_EQ(count_sent<Fetch>(2), 1U);
  deliver(2, sample_uuid(1), Fetched{std::make_shared<const Document>(newer)});
  EXPECT_TRUE(nodes_[2].committed.empty());
  write(2);
  ASSERT_EQ(nodes_[2].committed.size(), 1U);
  EXPECT_EQ(at(2).term(), 2U);
}

}  // namespace
}  // namespace memento::bus
