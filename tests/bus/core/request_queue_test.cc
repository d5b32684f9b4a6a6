// Requests on their way to a node: what a broken link makes of them.
#include "bus/core/request_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

namespace memento::bus {
namespace {

constexpr std::uint16_t kWorker = 3;

FragmentHeader fragment(std::uint32_t number, std::uint8_t flags, std::size_t bytes,
                        std::uint16_t process = kWorker) {
  FragmentHeader header{};
  header.payload_bytes = static_cast<std::uint32_t>(bytes);
  header.number = number;
  header.generation = 7;
  header.process = process;
  header.flags = flags;
  return header;
}

class BusRequestQueue : public ::testing::Test {
 protected:
  void add(std::uint32_t number, std::uint8_t flags, const std::string& payload = "p",
           std::uint16_t process = kWorker) {
    queue_->add(fragment(number, flags, payload.size(), process), payload);
  }
  // Numbers of the fragments that go out now.
  std::vector<std::uint32_t> send() {
    std::vector<std::uint32_t> numbers;
    for (const ByteBuffer& frame : queue_->take_frames(0)) {
      for_each_fragment(frame.view().substr(sizeof(FrameHeader)),
                        [&](const FragmentHeader& header, std::string_view) {
                          numbers.push_back(header.number);
                          return true;
                        });
    }
    return numbers;
  }
  RequestQueue::Fail note() {
    return [this](std::uint16_t, std::uint32_t generation, std::uint32_t number, Failure failure) {
      EXPECT_EQ(generation, 7u);
      EXPECT_TRUE(failed_.emplace(number, failure).second) << "told twice: " << number;
    };
  }

  static constexpr std::uint8_t kWhole = kFirstFragment | kLastFragment;
  static constexpr std::uint8_t kWrites = kWhole | kMayWrite;
  std::unique_ptr<RequestQueue> queue_ = std::make_unique<RequestQueue>();
  std::map<std::uint32_t, Failure> failed_;
};

// Shows that answers come in the order of sending, over processes.
TEST_F(BusRequestQueue, AnswersComeInOrder) {
  add(1, kWhole);
  add(2, kWrites, "", 4);
  EXPECT_EQ(queue_->next_answered(), nullptr);
  EXPECT_EQ(send(), (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(queue_->next_answered()->number, 1u);
  queue_->pop_answered();
  EXPECT_EQ(queue_->next_answered()->process, 4u);
  EXPECT_EQ(queue_->unsent_bytes(), 0u);
}

// Shows what becomes of each kind when the link breaks: sent writes are unknown, sent reads failed, what was
// not sent waits and goes out on the next link, and nothing that was sent goes out again.
TEST_F(BusRequestQueue, ABrokenLinkSendsNothingTwice) {
  add(1, kWrites);
  add(2, kWhole);
  send();
  add(3, kWrites);
  queue_->on_link_broken(note());
  EXPECT_EQ(failed_, (std::map<std::uint32_t, Failure>{{1, Failure::kUnknown}, {2, Failure::kDown}}));
  EXPECT_EQ(queue_->unanswered_count(), 0u);
  EXPECT_EQ(send(), std::vector<std::uint32_t>{3});
}

// Shows that a long request of which only a part was sent has not been executed: it is refused once, its
// other fragments are dropped, those that wait and those that come later, and the next request is not harmed.
TEST_F(BusRequestQueue, AHalfSentRequestIsDropped) {
  add(1, kFirstFragment | kMayWrite);
  add(1, kMayWrite);
  send();
  add(1, kMayWrite);
  queue_->on_link_broken(note());
  EXPECT_EQ(failed_, (std::map<std::uint32_t, Failure>{{1, Failure::kDown}}));
  add(1, kMayWrite);
  add(1, kLastFragment | kMayWrite);
  EXPECT_EQ(send(), std::vector<std::uint32_t>{});
  add(2, kWrites);
  EXPECT_EQ(send(), std::vector<std::uint32_t>{2});
}

// The same when all its fragments are here, and another long request has begun behind it: that one goes out
// whole.
TEST_F(BusRequestQueue, TheRequestBehindAHalfSentOneIsKept) {
  add(1, kFirstFragment);
  send();
  add(1, kLastFragment);
  add(2, kFirstFragment);
  queue_->on_link_broken(note());
  EXPECT_EQ(failed_, (std::map<std::uint32_t, Failure>{{1, Failure::kDown}}));
  add(2, kLastFragment);
  EXPECT_EQ(send(), (std::vector<std::uint32_t>{2, 2}));
  EXPECT_EQ(queue_->next_answered()->number, 2u);
}

// Shows that refusing what waits tells each once, a request that is still coming too, and drops its rest.
TEST_F(BusRequestQueue, RefusingTellsEachOnce) {
  add(1, kWrites);
  add(2, kFirstFragment, "x", 4);
  queue_->refuse_unsent(note());
  queue_->refuse_unsent(note());
  EXPECT_EQ(failed_, (std::map<std::uint32_t, Failure>{{1, Failure::kDown}, {2, Failure::kDown}}));
  add(2, kLastFragment, "x", 4);
  EXPECT_EQ(send(), std::vector<std::uint32_t>{});
}

// Shows that every byte that came is given back, whatever became of it: else a worker's window would shrink.
TEST_F(BusRequestQueue, EveryByteIsPassedOn) {
  std::uint64_t added = 0;
  std::uint64_t passed = 0;
  const auto count = [&] {
    queue_->take_passed([&](std::uint16_t, std::uint8_t, std::uint64_t bytes) { passed += bytes; });
  };
  const auto put = [&](std::uint32_t number, std::uint8_t flags, const std::string& payload) {
    added += fragment_bytes(payload.size());
    add(number, flags, payload);
  };
  put(1, kWhole, "12345");
  put(2, kFirstFragment, std::string(1000, 'x'));
  send();
  put(2, 0, std::string(2000, 'x'));
  queue_->on_link_broken(note());
  put(2, kLastFragment, "x");
  put(3, kWhole, "");
  queue_->refuse_unsent(note());
  count();
  EXPECT_EQ(passed, added);
}

}  // namespace
}  // namespace memento::bus
