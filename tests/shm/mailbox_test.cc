// Rings of messages in states that a publisher and its readers come to by dying or by being late: no piece of
// a message is taken for one.
#include "shm/mailbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace memento {
namespace {

class MailboxTest : public ::testing::Test {
 protected:
  MailboxTest() {
    segment_ = std::move(*Segment::create_anonymous({"", 64 << 20, 3}));
    for (const std::uint32_t process : {1u, 2u, 3u})
      rings_.push_back(std::make_unique<MessageRing>(*segment_, process));
  }

  MessageRing& ring(std::uint32_t process) { return *rings_[process - 1]; }

  /// False: some were lost.
  bool receive(std::uint32_t process, std::vector<std::string>* messages) {
    return ring(process).receive([&](std::string_view bytes) { messages->emplace_back(bytes); });
  }

  std::unique_ptr<Segment> segment_;
  std::vector<std::unique_ptr<MessageRing>> rings_;
};

// Shows that who begins to listen in the middle of a message gets the next one first.
TEST_F(MailboxTest, ListensInTheMiddleOfAMessage) {
  const std::string large(2 * kRingBytes, 'x');
  std::vector<std::string> early;
  std::vector<std::string> late;
  ring(2).listen();
  const auto meanwhile = [&] {  // the ring is full of the first half
    ring(3).listen();
    EXPECT_TRUE(receive(2, &early));
    EXPECT_TRUE(receive(3, &late));
  };
  EXPECT_TRUE(ring(1).send({large}, {}, meanwhile));
  EXPECT_TRUE(ring(1).send({"next"}, {}, meanwhile));
  EXPECT_TRUE(receive(2, &early));
  EXPECT_TRUE(receive(3, &late));
  EXPECT_TRUE((early == std::vector<std::string>{large, "next"}));
  EXPECT_EQ(late, std::vector<std::string>{"next"});
}

// Shows that a reader that was left behind notices what a writer overwrote before it died, also when the next
// one has begun: the state is the one between the writer's copy and its store of the tail.
TEST_F(MailboxTest, WriterThatDiedWhileItOverwrote) {
  const auto meanwhile = [] {};
  const std::string fragment(MessageRing::kFragmentBytes - 8, 'x');
  ring(2).listen();
  for (std::uint64_t sent = 0; sent < kRingBytes; sent += MessageRing::kFragmentBytes) {
    EXPECT_TRUE(ring(1).send({fragment}, {}, meanwhile));
  }
  Mailbox& mailbox = segment_->process(1).mailbox;
  ASSERT_EQ(mailbox.tail.load(), kRingBytes);
  mailbox.reserved.store(kRingBytes + 4096);
  const std::string other(4096, 'y');
  std::copy(other.begin(), other.end(), segment_->mailbox_memory(1) + 8);
  rings_[0] = std::make_unique<MessageRing>(*segment_, 1);
  std::vector<std::string> messages;
  EXPECT_FALSE(receive(2, &messages));
  EXPECT_TRUE(messages.empty());
  EXPECT_TRUE(ring(1).send({"next"}, {}, meanwhile));
  EXPECT_TRUE(receive(2, &messages));
  EXPECT_EQ(messages, std::vector<std::string>{"next"});
}

}  // namespace
}  // namespace memento
