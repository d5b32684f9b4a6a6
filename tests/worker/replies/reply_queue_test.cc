// A connection's replies that other nodes have yet to give: their order, whatever order they come in.
#include "worker/replies/reply_queue.h"

#include <gtest/gtest.h>

namespace memento {
namespace {

class ReplyQueueTest : public ::testing::Test {
 protected:
  std::uint64_t ask() {
    queue_.push();
    return queue_.last_number();
  }
  void answer(std::uint64_t number, std::string_view reply, bool is_last = true) {
    queue_.add(number, *queue_.find(number), reply, is_last);
  }
  void write_behind(std::string_view bytes) {
    ByteBuffer output;
    output.append("sent;");
    output.append(bytes);
    queue_.take_behind(output, 5);
    EXPECT_EQ(output.view(), "sent;");
  }
  std::string ready() {
    std::string bytes(queue_.ready().view());
    queue_.ready().consume(bytes.size());
    return bytes;
  }

  ReplyQueue queue_;
};

// Shows that replies that come last first are given out first to last, with what belongs behind each.
TEST_F(ReplyQueueTest, KeepsTheOrder) {
  const std::uint64_t first = ask();
  write_behind("behind first;");
  const std::uint64_t second = ask();
  const std::uint64_t third = ask();
  write_behind("behind third;");
  answer(third, "third;");
  answer(second, "second;");
  EXPECT_EQ(ready(), "");
  answer(first, "first;");
  EXPECT_EQ(ready(), "first;behind first;second;third;behind third;");
  EXPECT_TRUE(queue_.empty());
}

// Shows that a reply in fragments is kept until it is whole, and that a failure takes the place of what came
// of it.
TEST_F(ReplyQueueTest, FragmentsAreKeptUntilWhole) {
  const std::uint64_t first = ask();
  const std::uint64_t second = ask();
  answer(first, "a", false);
  answer(second, "part of", false);
  EXPECT_EQ(ready(), "");
  answer(first, "b");
  EXPECT_EQ(ready(), "ab");
  queue_.replace(second, *queue_.find(second), "error");
  EXPECT_EQ(ready(), "error");
  EXPECT_EQ(queue_.find(second), nullptr);
}

// Shows that a reply that the client does not want leaves no trace.
TEST_F(ReplyQueueTest, UnwantedRepliesAreDropped) {
  queue_.push().is_dropped = true;
  const std::uint64_t first = queue_.last_number();
  write_behind("behind;");
  answer(first, "unwanted");
  EXPECT_EQ(ready(), "behind;");
}

// Shows that it is full by number when replies are short, and that long ones make the number small.
TEST_F(ReplyQueueTest, WindowFollowsTheRepliesLength) {
  std::size_t most = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::uint64_t> asked;
    while (!queue_.is_full()) asked.push_back(ask());
    most = std::max(most, asked.size());
    for (const std::uint64_t number : asked) answer(number, "short");
    ready();
  }
  EXPECT_EQ(most, 1024u);
  answer(ask(), std::string(1 << 20, 'x'));
  ready();
  std::size_t count = 0;
  for (; !queue_.is_full(); ++count) ask();
  EXPECT_LE(count, 4u);
}

// Shows that what is kept behind an awaited reply is limited.
TEST_F(ReplyQueueTest, KeptBytesAreLimited) {
  ask();
  EXPECT_TRUE(queue_.has_room());
  write_behind(std::string(1 << 20, 'x'));
  EXPECT_TRUE(queue_.is_full());
  EXPECT_FALSE(queue_.has_room());
}

}  // namespace
}  // namespace memento
