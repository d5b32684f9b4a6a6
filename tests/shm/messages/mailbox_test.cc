// Rings of messages: what comes, in order and whole; states that a publisher and its readers come to by dying
// or by being late, in which no piece of a message is taken for one; and the memory of what was read.
#include "shm/messages/mailbox.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "shm/messages/mailbox_file.h"
#include "tests/shm/messages/no_mailbox_memory.h"

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

  /// False: some were lost, which all who may miss them are told.
  bool receive(std::uint32_t process, std::vector<std::string>* messages) {
    const bool has_all =
        ring(process).receive([&](std::string_view bytes) { messages->emplace_back(bytes); });
    ring(process).forget_loss();
    return has_all;
  }

  std::unique_ptr<Segment> segment_;
  std::vector<std::unique_ptr<MessageRing>> rings_;
};

// Shows that who begins to listen gets what is sent from then on, and who stops nothing.
TEST_F(MailboxTest, ListensFromNowOn) {
  std::vector<std::string> early;
  std::vector<std::string> late;
  ring(2).listen();
  EXPECT_TRUE(ring(1).send({"first"}, {}));
  ring(3).listen();
  EXPECT_TRUE(ring(1).send({"sec", "ond"}, {}));
  EXPECT_TRUE(receive(2, &early));
  EXPECT_TRUE(receive(3, &late));
  EXPECT_EQ(early, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(late, std::vector<std::string>{"second"});
  ring(3).stop_listening();
  EXPECT_TRUE(ring(1).send({"third"}, {}));
  EXPECT_TRUE(receive(3, &late));
  EXPECT_EQ(late.size(), 1u);
}

// Shows with random sizes, several times around the ring, that messages arrive whole and in order, and that
// the memory of what both readers have read is given back, also while they read at different speeds.
TEST_F(MailboxTest, AroundTheRing) {
  std::mt19937_64 random(7);
  ring(2).listen();
  ring(3).listen();
  std::deque<std::string> expected[2];
  std::uint64_t largest = 0;
  const auto read = [&](std::uint32_t process) {
    std::vector<std::string> messages;
    ASSERT_TRUE(receive(process, &messages));
    for (const std::string& message : messages) {
      ASSERT_TRUE(message == expected[process - 2].front());
      expected[process - 2].pop_front();
    }
  };
  for (std::uint64_t sent = 0, round = 0; sent < 4 * kRingBytes; ++round) {
    std::string message(random() % (random() % 8 == 0 ? 3'000'000 : 3'000),
                        static_cast<char>('a' + round % 26));
    if (message.size() > 8) message.replace(0, 8, reinterpret_cast<const char*>(&round), 8);
    sent += message.size();
    ASSERT_TRUE(ring(1).send({message}, {}));
    for (auto& queue : expected) queue.push_back(message);
    if (round % 4 == 0) read(2);
    if (round % 32 == 0) {
      while (!expected[1].empty()) read(3);
    }
    ring(1).receive([](std::string_view) {});
    largest = std::max(largest, segment_->mailboxes().memory_bytes(1));
  }
  EXPECT_GT(largest, 4u << 20);
  for (const std::uint32_t process : {2u, 3u}) {
    while (!expected[process - 2].empty()) read(process);
  }
  for (int i = 0; i < 2; ++i) ring(1).receive([](std::string_view) {});
  EXPECT_LE(segment_->mailboxes().memory_bytes(1), 4096u);
}

// Shows that a writer overwrites what was not read, that the reader notices and goes on with what comes then,
// and that the other reader, which has read, loses nothing.
TEST_F(MailboxTest, LateReader) {
  const std::string message(1 << 20, 'x');
  ring(2).listen();
  ring(3).listen();
  std::vector<std::string> late;
  std::vector<std::string> timely;
  for (std::uint64_t sent = 0; sent <= kRingBytes; sent += message.size()) {
    ASSERT_TRUE(ring(1).send({message}, {}));
    ASSERT_TRUE(receive(3, &timely));
    timely.clear();
  }
  EXPECT_FALSE(receive(2, &late));
  EXPECT_TRUE(late.empty());
  EXPECT_TRUE(ring(1).send({"next"}, {}));
  EXPECT_TRUE(receive(2, &late));
  EXPECT_TRUE(receive(3, &timely));
  EXPECT_EQ(late, std::vector<std::string>{"next"});
  EXPECT_EQ(timely, late);
}

// Shows that a reader that is behind notices what a writer overwrote before it died, also when the next
// one has begun: the state is the one between the writer's copy and its store of the tail.
TEST_F(MailboxTest, WriterThatDiedWhileItOverwrote) {
  const std::string message((1 << 20) - 8, 'x');
  ring(2).listen();
  for (std::uint64_t sent = 0; sent < kRingBytes; sent += 1 << 20) EXPECT_TRUE(ring(1).send({message}, {}));
  Mailbox& mailbox = segment_->process(1).mailbox;
  ASSERT_EQ(mailbox.tail.load(), kRingBytes);
  mailbox.reserved.store(kRingBytes + 4096);
  const std::string other(4096, 'y');
  ASSERT_TRUE(segment_->mailboxes().write(1, kRingBytes + 8, other.data(), other.size() - 8));
  rings_[0] = std::make_unique<MessageRing>(*segment_, 1);
  std::vector<std::string> messages;
  EXPECT_FALSE(receive(2, &messages));
  EXPECT_TRUE(messages.empty());
  EXPECT_TRUE(ring(1).send({"next"}, {}));
  EXPECT_TRUE(receive(2, &messages));
  EXPECT_EQ(messages, std::vector<std::string>{"next"});
}

// Shows that a message that cannot be written leaves the ring as it was, and that lose() tells who listens.
TEST_F(MailboxTest, NoMemory) {
  ring(2).listen();
  EXPECT_TRUE(ring(1).send({"before"}, {}));
  std::vector<std::string> messages;
  {
    const testing::NoMailboxMemory none;
    EXPECT_FALSE(ring(1).send({std::string(100, 'x')}, {}));
  }
  EXPECT_TRUE(ring(1).send({"after"}, {}));
  EXPECT_TRUE(receive(2, &messages));
  EXPECT_EQ(messages, (std::vector<std::string>{"before", "after"}));
  ring(1).lose();
  EXPECT_TRUE(ring(1).send({"behind"}, {}));
  EXPECT_FALSE(receive(2, &messages));
  EXPECT_EQ(messages.size(), 2u);
  EXPECT_TRUE(ring(1).send({"next"}, {}));
  EXPECT_TRUE(receive(2, &messages));
  EXPECT_EQ(messages.back(), "next");
}

// Shows that a message for which its taker has no memory is a loss, that those behind it come all the same,
// and that a loss is reported until those who may miss something were told.
TEST_F(MailboxTest, NoMemoryToTakeAMessage) {
  ring(2).listen();
  for (const char* const message : {"first", "second", "third"}) EXPECT_TRUE(ring(1).send({message}, {}));
  std::vector<std::string> messages;
  const auto take = [&](std::string_view bytes) {
    if (bytes == "second") throw std::bad_alloc();
    messages.emplace_back(bytes);
  };
  EXPECT_FALSE(ring(2).receive(take));
  EXPECT_EQ(messages, (std::vector<std::string>{"first", "third"}));
  EXPECT_FALSE(ring(2).receive(take));
  ring(2).forget_loss();
  EXPECT_TRUE(ring(2).receive(take));
}

}  // namespace
}  // namespace memento
