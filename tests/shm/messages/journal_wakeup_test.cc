// The journal's writers and the archiver wake each other: who sleeps is woken once, nobody else is.
#include "shm/messages/journal_wakeup.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

class JournalWakeupTest : public ::testing::Test {
 protected:
  JournalWakeupTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "memento-wakeup-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~JournalWakeupTest() override { std::filesystem::remove_all(directory_); }

  WakeupFifo fifo_of(std::uint32_t process) { return {directory_ + "/segment", process}; }

  static bool is_readable(const WakeupFifo& fifo, int timeout_ms = 0) {
    pollfd event{fifo.descriptor(), POLLIN, 0};
    return poll(&event, 1, timeout_ms) == 1;
  }

  std::unique_ptr<Segment> segment_ = testing::make_segment(32 << 20);
  std::string directory_;
};

// Shows that the archiver wakes those who wait for the disk, each once, and not the others.
TEST_F(JournalWakeupTest, ArchiverWakesThoseWhoWait) {
  WakeupFifo archiver = fifo_of(5);
  WakeupFifo waiting = fifo_of(1);
  WakeupFifo busy = fifo_of(2);
  announce_sleep(segment_->process(1).journal.waits);
  wake_waiting(*segment_, archiver);
  EXPECT_TRUE(is_readable(waiting));
  EXPECT_FALSE(is_readable(busy));
  EXPECT_EQ(segment_->process(1).journal.waits.load(), 0u);
  waiting.drain();
  wake_waiting(*segment_, archiver);
  EXPECT_FALSE(is_readable(waiting));
}

// Shows that the archiver is woken when it sleeps, once, and that there may be none.
TEST_F(JournalWakeupTest, WritersWakeTheArchiver) {
  WakeupFifo archiver = fifo_of(5);
  WakeupFifo writer = fifo_of(1);
  DiskState& disk = segment_->header().disk;
  announce_sleep(disk.sleeps);
  wake_archiver(segment_->header(), writer);
  EXPECT_FALSE(is_readable(archiver));
  EXPECT_EQ(disk.sleeps.load(), 1u);
  disk.process.store(5);
  wake_archiver(segment_->header(), writer);
  EXPECT_TRUE(is_readable(archiver));
  EXPECT_EQ(disk.sleeps.load(), 0u);
  archiver.drain();
  wake_archiver(segment_->header(), writer);
  EXPECT_FALSE(is_readable(archiver));
}

// Shows that of two processes that tell each other something a hundred thousand times, none sleeps while the
// other has told it: none waits for its FIFO in vain.
TEST_F(JournalWakeupTest, NoWakeUpIsLost) {
  constexpr std::uint64_t kRounds = 100'000;
  Header& header = segment_->header();
  JournalState& ring = segment_->process(1).journal;
  header.disk.process.store(5);
  std::atomic<bool> is_lost = false;
  const auto sleep_until = [&](WakeupFifo& own, Word& word, Word& sleeps, std::uint64_t wanted) {
    while (word.load(std::memory_order_acquire) != wanted && !is_lost) {
      announce_sleep(sleeps);
      if (word.load() == wanted) return;
      if (!is_readable(own, 10'000)) is_lost = true;
      own.drain();
    }
  };
  std::thread archiver([&] {
    WakeupFifo own = fifo_of(5);
    for (std::uint64_t round = 1; round <= kRounds && !is_lost; ++round) {
      sleep_until(own, ring.tail, header.disk.sleeps, round);
      ring.durable.store(round, std::memory_order_release);
      wake_waiting(*segment_, own);
    }
  });
  WakeupFifo own = fifo_of(1);
  for (std::uint64_t round = 1; round <= kRounds && !is_lost; ++round) {
    ring.tail.store(round, std::memory_order_release);
    wake_archiver(header, own);
    sleep_until(own, ring.durable, ring.waits, round);
  }
  archiver.join();
  EXPECT_FALSE(is_lost);
}

}  // namespace
}  // namespace memento
