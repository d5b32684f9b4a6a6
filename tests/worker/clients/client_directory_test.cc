// What a worker asks others about their clients: two directories on one segment, without sessions.
#include "worker/clients/client_directory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "worker/clients/message_hub.h"

namespace memento {
namespace {

class ClientDirectoryTest : public ::testing::Test {
 protected:
  ClientDirectoryTest() {
    segment_->header().process_count = 3;
    for (const std::uint32_t process : {1u, 2u})
      segment_->process(process).pid = static_cast<std::uint32_t>(getpid());
    for (ClientState* client : {&asker_, &second_}) add(own_, *client);
    add(other_, remote_);
  }
  ~ClientDirectoryTest() override {
    for (ClientState* client : {&asker_, &second_}) own_.remove(*client);
    other_.remove(remote_);
  }

  static void add(MessageHub& hub, ClientState& client) {
    client.id = hub.clients().next_id();
    hub.clients().add(client);
  }
  ClientDirectory& directory() { return own_.clients(); }
  void answer() {
    ASSERT_TRUE(other_.clients().is_asked());
    other_.clients().answer(0);
    own_.serve();
  }
  // Whose numbers the client was told.
  static std::vector<std::uint64_t> told(const ClientState& client) {
    std::vector<std::uint64_t> ids;
    if (client.others != nullptr)
      for (const ClientFacts& facts : client.others->clients) ids.push_back(facts.id);
    return ids;
  }

  std::unique_ptr<Segment> segment_ =
      std::move(*Segment::create_anonymous({"", 64 << 20, 2, 1 << 20, false}));
  Keyspace keyspace_{*segment_, 1};
  Keyspace other_keyspace_{*segment_, 2};
  MessageHub own_{*segment_, keyspace_, 1};
  MessageHub other_{*segment_, other_keyspace_, 2};
  ClientState asker_;
  ClientState second_;
  ClientState remote_;
};

// Shows that the asker waits for the others' answers and nobody else does, and that the question ends.
TEST_F(ClientDirectoryTest, AQuestionAndItsAnswer) {
  EXPECT_FALSE(directory().know_others(asker_));
  EXPECT_EQ(asker_.waits, ClientWait::kOthers);
  EXPECT_FALSE(directory().know_others(asker_)) << "it waits already";
  EXPECT_TRUE(directory().take_ready().empty());
  answer();
  EXPECT_EQ(directory().take_ready(), std::vector<ClientState*>{&asker_});
  EXPECT_EQ(asker_.waits, ClientWait::kNothing);
  EXPECT_TRUE(directory().know_others(asker_)) << "what it asked for is there";
  EXPECT_EQ(told(asker_), std::vector<std::uint64_t>{remote_.id});
  directory().close_question();
  EXPECT_FALSE(directory().is_asking());
  EXPECT_FALSE(other_.clients().is_asked());
}

// Shows that who comes while a question is open gets answers to a later one, since those may be too old.
TEST_F(ClientDirectoryTest, LaterRequestsGetLaterAnswers) {
  EXPECT_FALSE(directory().know_others(asker_));
  EXPECT_FALSE(directory().know_others(second_));
  ClientState newcomer;
  answer();
  add(other_, newcomer);
  EXPECT_EQ(directory().take_ready(), std::vector<ClientState*>{&asker_});
  directory().close_question();
  EXPECT_TRUE(directory().is_asking()) << "the next question is open at once";
  answer();
  EXPECT_EQ(directory().take_ready(), std::vector<ClientState*>{&second_});
  EXPECT_EQ(told(second_), (std::vector<std::uint64_t>{remote_.id, newcomer.id}));
  EXPECT_EQ(told(asker_), std::vector<std::uint64_t>{remote_.id});
  other_.remove(newcomer);
  directory().close_question();
}

// Shows that nobody waits for a worker that was replaced, or that has ended.
TEST_F(ClientDirectoryTest, DeadWorkersAreNotWaitedFor) {
  EXPECT_FALSE(directory().know_others(asker_));
  directory().tick();
  EXPECT_TRUE(directory().take_ready().empty());
  segment_->process(2).pid = 1;  // another process has its record now
  directory().tick();
  EXPECT_EQ(directory().take_ready(), std::vector<ClientState*>{&asker_});
  EXPECT_TRUE(told(asker_).empty());
  directory().close_question();

  segment_->process(2).pid = 0;
  EXPECT_TRUE(directory().know_others(second_)) << "there is nobody to ask";
}

// Shows that answers to a question that is over, and a second one of the same worker, say nothing.
TEST_F(ClientDirectoryTest, AnswersNobodyAskedFor) {
  EXPECT_FALSE(directory().know_others(asker_));
  const std::uint64_t question = segment_->process(1).mailbox.question.load();
  directory().on_answer(2, question + 1, "");
  directory().on_answer(0, question, "");
  directory().on_answer(kProcessLimit, question, "");
  EXPECT_TRUE(directory().take_ready().empty());
  answer();
  directory().on_answer(2, question, "");
  EXPECT_EQ(directory().take_ready(), std::vector<ClientState*>{&asker_}) << "once";
  EXPECT_EQ(told(asker_), std::vector<std::uint64_t>{remote_.id});
  directory().close_question();
}

// Shows that a client that leaves while it waits is not among those to serve.
TEST_F(ClientDirectoryTest, WhoLeavesWhileItWaits) {
  ClientState leaving;
  add(own_, leaving);
  EXPECT_FALSE(directory().know_others(leaving));
  own_.remove(leaving);
  answer();
  EXPECT_TRUE(directory().take_ready().empty());
  directory().close_question();
  EXPECT_FALSE(directory().is_asking());
}

// Shows that an order closes clients of both workers, and no others.
TEST_F(ClientDirectoryTest, AnOrderFindsItsClients) {
  EXPECT_FALSE(directory().know_others(asker_));
  answer();
  ASSERT_EQ(directory().take_ready(), std::vector<ClientState*>{&asker_});
  directory().close({second_.id, remote_.id, 12345});
  other_.serve();
  EXPECT_TRUE(second_.must_close);
  EXPECT_TRUE(remote_.must_close);
  EXPECT_FALSE(asker_.must_close);
  directory().close_question();
  EXPECT_TRUE(own_.clients().own_clients(0).size() == 1) << "who is to be closed is not listed";
}

}  // namespace
}  // namespace memento
