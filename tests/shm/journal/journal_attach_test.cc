// Starts on a segment with a journal that has yet to be read: with fewer workers, with other rings, behind a
// death.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "tests/shm/journal/journal_fixture.h"

namespace memento {
namespace {

using testing::kStartMs;
using testing::name_of;
using testing::replay;

class JournalAttach : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::unique_ptr<Segment> attach(std::uint32_t workers, AttachReport* report) {
    auto segment = Segment::create_or_attach({folder_, 64ull << 20, workers}, report);
    EXPECT_TRUE(segment);
    return std::move(*segment);
  }
  char folder_[40] = "/dev/shm/memento-journal-XXXXXX";
};

TEST_F(JournalAttach, FewerWorkersAndUnreadRecords) {
  AttachReport report;
  {
    auto segment = attach(2, &report);
    ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, 1 << 20)));
    Keyspace one(*segment, 1);
    one.set_now_ms(kStartMs);
    one.set(one.hash("key"), "1");
    Keyspace two(*segment, 2);
    two.set_now_ms(kStartMs);
    two.set(two.hash("key"), "2");
  }
  auto segment = attach(1, &report);
  EXPECT_TRUE(report.attached) << report.set_aside_message;
  EXPECT_EQ(report.key_count, 1u);
}

TEST_F(JournalAttach, FewerWorkersAndAnUnreadRun) {
  AttachReport report;
  {
    auto segment = attach(2, &report);
    ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, 1 << 20)));
    Keyspace two(*segment, 2);
    two.set_now_ms(kStartMs);
    two.set(two.hash("key"), std::string(50'000, 'x'));
    two.set(two.hash("key"), "2");
  }
  auto segment = attach(1, &report);
  EXPECT_TRUE(report.attached) << report.set_aside_message;
  EXPECT_EQ(report.key_count, 1u);
}

TEST_F(JournalAttach, AllDieInPublish) {
  AttachReport report;
  {
    auto segment = attach(2, &report);
    ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, 1 << 20)));
    Keyspace one(*segment, 1);
    one.set_now_ms(kStartMs);
    one.set(one.hash("key"), "1");
    Keyspace two(*segment, 2);
    two.set_now_ms(kStartMs);
    two.set(two.hash("key"), "2");
    RingMerger merger(*segment, 0);
    merger.pass([](const RingMerger::Taken&) { return true; });
    testing::begin_publishing(*segment, merger);
  }
  auto segment = attach(2, &report);
  EXPECT_TRUE(report.attached) << report.set_aside_message;
}

TEST_F(JournalAttach, LongerRings) {
  AttachReport report;
  {
    auto segment = attach(2, &report);
    ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, 64 << 10)));
  }
  auto segment = attach(2, &report);
  EXPECT_TRUE(report.attached) << report.set_aside_message;
  segment->open_process(1);
  ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, 4 << 20)));
  testing::expect_long_rings(*segment);
}

TEST_F(JournalAttach, RecordOpenedBehindTheConsumer) {
  AttachReport report;
  {
    auto segment = attach(2, &report);
    ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, 64 << 10)));
    Keyspace two(*segment, 2);
    two.set_now_ms(kStartMs);
    RingMerger merger(*segment, 0);
    ReplayModel model;
    for (int i = 0; i < 30; ++i) {
      two.set(two.hash(name_of(i)), std::string(9'000, 'x'));
      replay(merger, &model);
    }
  }
  auto segment = attach(1, &report);
  ASSERT_TRUE(report.attached) << report.set_aside_message;
  RingMerger merger(*segment, 0);
  ASSERT_TRUE(segment->open_process(2));
  Keyspace two(*segment, 2);
  two.set_now_ms(kStartMs);
  two.set(two.hash("new"), "1");
  int count = 0;
  EXPECT_TRUE(merger.pass([&](const RingMerger::Taken&) { return ++count, true; })) << merger.error();
  EXPECT_EQ(count, 1);
}

TEST_F(JournalAttach, FinishesWithAFullRing) {
  AttachReport report;
  {
    auto segment = attach(2, &report);
    ASSERT_TRUE(static_cast<bool>(segment->begin_journal(kJournalForDisk, 64 << 10)));
    Keyspace one(*segment, 1);
    one.set_now_ms(kStartMs);
    one.set(one.hash("key"), "1");
    RingMerger merger(*segment, 0);
    ReplayModel model;
    replay(merger, &model);
    // As often as needed a change was finished by the master, and nobody has read of it.
    segment->process(0).journal.tail.store(60 << 10);
    segment->header().database_change.store(1 | 1 << 8);
    segment->header().exclusive.store(1);
  }
  EXPECT_EXIT(
      {
        alarm(10);
        auto segment = attach(2, &report);
        _exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace memento
