// What a worker was given of another node's requests, and what its death makes of them.
#include "bus/core/lane_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace memento::bus {
namespace {

constexpr int kWhole = kFirstFragment | kLastFragment;

FragmentHeader fragment(std::uint32_t number, int flags, std::uint32_t link = 1) {
  FragmentHeader header{};
  header.number = number;
  header.flags = static_cast<std::uint8_t>(flags);
  header.link = link;
  return header;
}

// Each fragment takes 10 bytes of the ring.
class BusLaneQueue : public ::testing::Test {
 protected:
  void add(std::uint32_t number, int flags) {
    queue_.add(fragment(number, flags), position_, position_ + 10, note());
    position_ += 10;
  }
  // What the other node gets for it.
  void reply(std::uint32_t number, int flags = kWhole, std::uint64_t taken_over = 0) {
    if (queue_.on_reply(fragment(number, flags), taken_over, note()))
      answers_.push_back("reply " + std::to_string(number));
    queue_.give_failures(note());
  }
  LaneQueue::Fail note() {
    return [this](const FragmentHeader& request, Failure failure) {
      answers_.push_back((failure == Failure::kUnknown ? "unknown " : "down ") +
                         std::to_string(request.number));
    };
  }

  using Answers = std::vector<std::string>;
  Answers answers() { return std::exchange(answers_, {}); }

  LaneQueue queue_;
  std::uint64_t position_ = 100;
  Answers answers_;
};

// Shows that answers are expected in the order of the last fragments, and that what was not asked is not
// passed on.
TEST_F(BusLaneQueue, AnswersComeInOrder) {
  add(1, kFirstFragment);
  add(2, kWhole);
  add(1, kLastFragment);
  reply(1);
  reply(7);
  EXPECT_EQ(answers(), Answers{});
  reply(2, kFirstFragment);
  reply(2, kLastFragment);
  reply(1);
  EXPECT_EQ(answers(), (Answers{"reply 2", "reply 2", "reply 1"}));
  EXPECT_TRUE(queue_.empty());
}

// Shows that of what a dead worker had taken whole the writes are unknown and the rest was not executed, and
// that the next worker answers what was not taken.
TEST_F(BusLaneQueue, AWorkerDies) {
  add(1, kWhole | kMayWrite);
  add(2, kWhole | kMayWrite);
  add(3, kWhole);
  add(4, kFirstFragment | kMayWrite);
  add(5, kWhole | kMayWrite);
  add(4, kLastFragment | kMayWrite);
  reply(1);
  queue_.on_worker_lost(140, note());
  EXPECT_EQ(answers(), (Answers{"reply 1", "unknown 2", "down 3"}));
  reply(3);
  EXPECT_EQ(answers(), Answers{}) << "it has an answer";
  reply(5);
  EXPECT_EQ(answers(), (Answers{"reply 5", "down 4"})) << "in its turn";
  EXPECT_TRUE(queue_.empty());
}

// Shows that replies of the next worker may be seen before its beginning is.
TEST_F(BusLaneQueue, ANewWorkerIsKnownByItsReplies) {
  add(1, kWhole | kMayWrite);
  add(2, kWhole | kMayWrite);
  reply(2, kWhole, 110);
  EXPECT_EQ(answers(), (Answers{"unknown 1", "reply 2"}));
}

// Shows that a message whose front a dead worker has taken fails when its end comes, and that one without a
// worker leaves nothing.
TEST_F(BusLaneQueue, AWorkerDiesInALongMessage) {
  add(1, kFirstFragment | kMayWrite);
  queue_.on_worker_lost(110, note());
  EXPECT_EQ(answers(), Answers{});
  add(1, kLastFragment | kMayWrite);
  EXPECT_EQ(answers(), Answers{"down 1"});
  add(2, kWhole | kMayWrite);
  add(3, kWhole | kMayWrite);
  queue_.on_worker_gone(130, note());
  EXPECT_EQ(answers(), (Answers{"unknown 2", "down 3"}));
  EXPECT_TRUE(queue_.empty());
}

// Shows that a message of which a worker that has gone for good had the front does not keep the lane from the
// next worker, and fails in its turn, when its end comes.
TEST_F(BusLaneQueue, AWorkerGoesWithTheFrontOfAMessage) {
  add(1, kFirstFragment);
  EXPECT_TRUE(queue_.awaits_worker());
  queue_.on_worker_gone(110, note());
  EXPECT_FALSE(queue_.awaits_worker());
  EXPECT_EQ(answers(), Answers{});
  position_ = 20;  // the other ring
  add(2, kWhole);
  add(1, kLastFragment);
  add(3, kWhole);
  EXPECT_TRUE(queue_.awaits_worker());
  reply(2);
  reply(3);
  EXPECT_EQ(answers(), (Answers{"reply 2", "down 1", "reply 3"}));
  EXPECT_TRUE(queue_.empty());
}

// Shows that what a link asked is not answered on the next one, though the worker answers it.
TEST_F(BusLaneQueue, ALinkEnds) {
  add(1, kWhole);
  add(2, kFirstFragment);
  queue_.on_link_ended();
  queue_.add(fragment(1, kWhole, 2), 200, 210, note());
  reply(1);
  EXPECT_EQ(answers(), Answers{});
  EXPECT_TRUE(queue_.on_reply(fragment(1, kWhole, 2), 0, note()));
  EXPECT_TRUE(queue_.empty());
}

}  // namespace
}  // namespace memento::bus
