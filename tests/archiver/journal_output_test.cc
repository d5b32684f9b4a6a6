// The archiver's files: what is in them behind errors and deaths is what was put there, once.
#include "archiver/journal_output.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "shm/archive/frame_bytes.h"
#include "shm/archive/journal_reader.h"
#include "shm/segment.h"
#include "tests/integration/test_server.h"
#include "tests/shm/archive/disk_faults.h"

namespace memento {
namespace {

using testing::DiskFault;

constexpr std::uint64_t kSegmentBytes = 32 << 20;

class JournalOutputTest : public ::testing::Test {
 protected:
  JournalOutputTest() {
    AttachReport report;
    segment_ = std::move(*Segment::create_or_attach({outer_.path() + "/memory", kSegmentBytes}, &report));
    begin();
  }

  /// As an archiver begins; what the former one had in its own memory is gone.
  void begin() {
    output_.reset();
    unsynced_.emplace(std::move(*UnsyncedFrames::open(segment_->path(), disk())));
    output_.emplace(folder_, state_, *unsynced_, segment_->header());
    ASSERT_TRUE(output_->begin_file(0, 0));
  }

  DiskState& disk() { return segment_->header().disk; }

  /// A frame with one record, which is new to the journal.
  std::span<char> frame() {
    RecordHeader header{};
    header.bytes = static_cast<std::uint32_t>(record_bytes(8, 0));
    header.kind = RecordKind::kErase;
    header.position = ++position_;
    header.created_and_key = RecordHeader::created_and_key_of(0, 8);
    header.value_and_origin = RecordHeader::value_and_origin_of(0, 0, 1);
    std::string record(header.bytes, 'k');
    std::memcpy(record.data(), &header, sizeof header);
    frames_.clear();
    frames_.add(record, position_ * header.bytes);
    return frames_.frames();
  }
  void write() {
    const std::span<char> frames = frame();
    ASSERT_TRUE(output_->keep(frames));
    ASSERT_TRUE(output_->write_kept(frames));
  }
  void sync() {
    output_->begin_sync();
    ASSERT_TRUE(output_->file()->sync());
    output_->end_sync();
  }

  /// Shows that the journal holds the records 1 to `count` in order, and ends there.
  void expect_records(std::uint64_t count) {
    Result<JournalReader> reader = JournalReader::open(folder_.fd(), folder_.path(), {});
    ASSERT_TRUE(reader);
    std::uint64_t next = 1;
    for (;;) {
      const Result<const JournalFrame*> frame = reader->next();
      ASSERT_TRUE(frame);
      if (*frame == nullptr) break;
      for (const FrameRecord& at : (*frame)->records) EXPECT_EQ(at.record.header.position, next++);
    }
    EXPECT_EQ(next, count + 1);
    EXPECT_FALSE(reader->end().is_corrupt()) << reader->end().text;
  }

  const testing::TemporaryFolder outer_;
  JournalFolder folder_ = std::move(*JournalFolder::open(outer_.path() + "/data"));
  StateFolder state_ = std::move(*StateFolder::open(outer_.path() + "/state"));
  std::unique_ptr<Segment> segment_;
  std::optional<UnsyncedFrames> unsynced_;
  std::optional<JournalOutput> output_;
  FrameBuilder frames_;
  std::uint64_t position_ = 0;
};

// Shows that frames are unsynced until a sync that began behind them has succeeded.
TEST_F(JournalOutputTest, ForgetsWhatIsOnDisk) {
  write();
  output_->begin_sync();
  write();
  ASSERT_TRUE(output_->file()->sync());
  EXPECT_EQ(output_->end_sync(), 1u);
  EXPECT_EQ(output_->known_frame(), 1u);
  EXPECT_GT(output_->unsynced_bytes(), 0u);
  sync();
  EXPECT_EQ(output_->known_frame(), 2u);
  EXPECT_EQ(output_->unsynced_bytes(), 0u);
  expect_records(2);
}

// Shows that a write or a sync that fails loses nothing: what is unsynced is in the next file, once.
TEST_F(JournalOutputTest, WritesAgainWhatAFailedFileMayLack) {
  write();
  sync();
  write();
  output_->begin_sync();
  write();
  {
    const DiskFault fault(testing::DiskCall::kSyncData, EIO);
    EXPECT_FALSE(output_->file()->sync());
  }
  ASSERT_TRUE(output_->begin_file(0, 0));
  EXPECT_EQ(output_->known_frame(), 3u);
  expect_records(3);
  const std::span<char> frames = frame();
  ASSERT_TRUE(output_->keep(frames));
  {
    const DiskFault fault(testing::DiskCall::kWrite, ENOSPC);
    EXPECT_FALSE(output_->write_kept(frames));
  }
  EXPECT_FALSE(output_->write_kept(frames)) << "a file that failed is not written to";
  ASSERT_TRUE(output_->begin_file(0, 0));
  write();
  sync();
  expect_records(5);
}

// Shows that each step of beginning a file may fail, and that what was unsynced is not lost by that.
TEST_F(JournalOutputTest, SurvivesFailuresOfNewFiles) {
  for (const auto call :
       {testing::DiskCall::kWrite, testing::DiskCall::kSyncData, testing::DiskCall::kSyncAll,
        testing::DiskCall::kReserve, testing::DiskCall::kRename}) {
    for (int passed = 0; passed < 4; ++passed) {
      write();
      const DiskFault fault(call, EIO, passed);
      const bool begun = static_cast<bool>(output_->begin_file(0, 0));
      EXPECT_TRUE(begun || fault.has_happened());
      if (!begun) {
        ASSERT_TRUE(output_->begin_file(0, 0));
      }
      expect_records(position_);
    }
  }
}

// Shows that a file that was begun in vain is followed by nobody: neither by the next one, nor, when the
// archiver dies while it begins that, by its successor's.
TEST_F(JournalOutputTest, NobodyFollowsAFileBegunInVain) {
  write();
  sync();
  write();
  {
    const DiskFault fault(testing::DiskCall::kSyncData, EIO);
    EXPECT_FALSE(output_->begin_file(0, 0));
    EXPECT_TRUE(fault.has_happened());
  }
  {
    constexpr int kFileAndFolder = 2;  // then it is begun, and not noted
    const DiskFault fault(testing::DiskCall::kSyncAll, EIO, kFileAndFolder);
    EXPECT_FALSE(output_->begin_file(0, 0));
    EXPECT_TRUE(fault.has_happened());
  }
  begin();
  expect_records(2);
  write();
  sync();
  expect_records(3);
}

// Shows that a successor goes on where an archiver died: behind keeping, writing, and in the midst of a sync,
// and when that was known and not forgotten yet.
TEST_F(JournalOutputTest, GoesOnBehindADeath) {
  ASSERT_TRUE(output_->keep(frame()));
  begin();
  expect_records(1);
  write();
  begin();
  expect_records(2);
  write();
  output_->begin_sync();
  write();
  begin();
  expect_records(4);
  write();
  write();
  output_->begin_sync();
  ASSERT_TRUE(output_->file()->sync());
  disk().known_frame.store(output_->last_frame());
  begin();
  EXPECT_EQ(output_->unsynced_bytes(), 0u);
  expect_records(6);
  write();
  sync();
  expect_records(7);
}

// Shows that the files of archivers that died do not keep what they had reserved.
TEST_F(JournalOutputTest, GivesBackWhatWasReserved) {
  for (int i = 0; i < 5; ++i) {
    write();
    begin();
  }
  const std::vector<std::uint64_t> numbers = *folder_.numbers();
  for (const std::uint64_t number : numbers) {
    if (number == numbers.back()) continue;
    EXPECT_LT(testing::read_file(folder_.path_of(number)).size(), 2 * kJournalHeadBytes);
  }
  expect_records(5);
}

}  // namespace
}  // namespace memento
