// Connections that are to be closed: when their time is over, which of too many go first, and that one which
// has left is not taken for another.
#include "worker/net/closing_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace memento {
namespace {

class ClosingQueueTest : public ::testing::Test {
 protected:
  Connection& connect(std::uint64_t client_id) {
    connections_.push_back(std::make_unique<Connection>(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC))));
    connections_.back()->session().client().id = client_id;
    return *connections_.back();
  }
  using Ids = std::vector<std::uint64_t>;
  static Ids close_due(ClosingQueue& queue, std::int64_t now_ms) {
    Ids closed;
    queue.close_due(now_ms, [&](const ClosingQueue::Entry& entry) { closed.push_back(entry.client_id); });
    return closed;
  }

  std::vector<std::unique_ptr<Connection>> connections_;
};

// Shows that each is closed when its time is over, not before, and once.
TEST_F(ClosingQueueTest, ClosesWhenTheTimeIsOver) {
  ClosingQueue queue(100);
  EXPECT_TRUE(queue.empty());
  queue.add(connect(1), 1000);
  queue.add(connect(2), 1050);
  EXPECT_EQ(close_due(queue, 1099), Ids{});
  EXPECT_EQ(close_due(queue, 1100), Ids{1});
  EXPECT_EQ(close_due(queue, 1149), Ids{});
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(close_due(queue, 2000), Ids{2});
  EXPECT_TRUE(queue.empty());
}

// Shows that of too many the oldest go at once, whatever time they have left.
TEST_F(ClosingQueueTest, ClosesTheOldestOfTooMany) {
  ClosingQueue queue(100, 2);
  for (std::uint64_t id = 1; id <= 4; ++id) queue.add(connect(id), 1000);
  EXPECT_EQ(close_due(queue, 1000), (Ids{1, 2}));
  EXPECT_EQ(close_due(queue, 1000), Ids{});
}

// Shows who is old enough to be told, oldest first, and that an entry keeps what a visit noted in it.
TEST_F(ClosingQueueTest, VisitsTheOlderOnes) {
  const Refusal refusal{};
  ClosingQueue queue(1000);
  queue.add(connect(1), 1000, &refusal);
  queue.add(connect(2), 1010);
  queue.add(connect(3), 1020);
  Ids seen;
  const auto tell = [&](ClosingQueue::Entry& entry) {
    if (!std::exchange(entry.is_told, true)) seen.push_back(entry.client_id);
    EXPECT_EQ(entry.refusal, entry.client_id == 1 ? &refusal : nullptr);
  };
  queue.for_each_older(50, 1049, tell);
  EXPECT_EQ(seen, Ids{});
  queue.for_each_older(50, 1060, tell);
  EXPECT_EQ(seen, (Ids{1, 2}));
  queue.for_each_older(50, 1070, tell);
  EXPECT_EQ(seen, (Ids{1, 2, 3}));
}

// Shows that an entry names its client, so that it does not close who has got the descriptor since.
TEST_F(ClosingQueueTest, AnEntryIsOfOneClient) {
  ConnectionTable table;
  ClosingQueue queue(100);
  auto first = std::make_unique<Connection>(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  const int descriptor = first->descriptor();
  first->session().client().id = 1;
  queue.add(table.add(std::move(first)), 1000);
  table.erase(*table.at(descriptor));
  auto second = std::make_unique<Connection>(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  ASSERT_EQ(second->descriptor(), descriptor);
  second->session().client().id = 2;
  table.add(std::move(second));
  int closed = 0;
  queue.close_due(1100, [&](const ClosingQueue::Entry& entry) {
    ++closed;
    EXPECT_EQ(entry.descriptor, descriptor);
    EXPECT_EQ(table.find(entry.descriptor, entry.client_id), nullptr);
  });
  EXPECT_EQ(closed, 1);
}

}  // namespace
}  // namespace memento
