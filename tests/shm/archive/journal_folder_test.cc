// How the journal's files come to be, are recycled, and what a failed step leaves: a journal that reads as
// before, and no call made again on a file that has failed.
#include "shm/archive/journal_folder.h"

#include <gtest/gtest.h>

#include "tests/shm/archive/disk_faults.h"
#include "tests/shm/archive/journal_fixture.h"

namespace memento::testing {
namespace {

using Kind = JournalEnd::Kind;

JournalHead head_of(std::uint64_t number) {
  JournalHead head;
  head.number = number;
  head.seed = number;
  head.former_file = number - 1;
  return head;
}

// Shows that a number has one name, and no other name is a file's.
TEST(JournalFolder, Names) {
  EXPECT_EQ(journal_file_name(12), "journal-0000000012");
  EXPECT_EQ(journal_file_number("journal-0000000012"), 12u);
  EXPECT_EQ(journal_file_number(journal_file_name(12345678901)), 12345678901u);
  for (const char* name : {"journal-12", "journal-", "journal-next", "journal-000000001x",
                           "journal-00000000012", "snapshot-0000000012", "journal-0000000000"}) {
    EXPECT_EQ(journal_file_number(name), 0u) << name;
  }
}

// Shows that a second process is kept out, and let in when the first one has gone.
TEST(JournalFolder, LocksOthersOut) {
  const TemporaryFolder outer;
  const std::string path = outer.path() + "/data";
  {
    Result<JournalFolder> first = JournalFolder::open(path);
    Result<JournalFolder> second = JournalFolder::open(path);
    ASSERT_TRUE(first && second);
    ASSERT_TRUE(first->lock());
    const Outcome refused = second->lock();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message,
              path + " is in use by another process; stop the server whose data it is");
  }
  EXPECT_TRUE(JournalFolder::open(path)->lock());
}

// Shows that the folder is of no use before its own name is on disk.
TEST(JournalFolder, HasItsNameOnDisk) {
  const TemporaryFolder outer;
  const DiskFault fault(DiskCall::kSyncAll, EIO);
  EXPECT_FALSE(JournalFolder::open(outer.path() + "/data"));
  EXPECT_TRUE(JournalFolder::open(outer.path() + "/data"));
}

// Shows that a new file is made out of the oldest one that nobody needs, whose frames, which are still in it,
// are none of the new one.
TEST(JournalFolder, RecycledFileHasOldFramesBehind) {
  TestJournal journal;
  journal.begin_file();
  for (int i = 0; i < 20; ++i) journal.put_alone("old" + std::to_string(i), std::string(100, 'o'));
  journal.sync();
  journal.begin_file();
  journal.forget_before_this_file();
  journal.put_alone("kept", "kept");
  journal.sync();
  journal.begin_file(journal.bounds().first_file);
  EXPECT_EQ(*journal.folder().numbers(), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_NE(bytes_of_file(journal.file_path()).find("old19"), std::string::npos);
  journal.put_alone("new", std::string(100, 'n'));
  const ReadJournal read = journal.read();
  EXPECT_EQ(read.first_number, 21u);
  ASSERT_EQ(read.frames.size(), 2u);
  EXPECT_EQ(read.frames[1], journal.written().back());
  EXPECT_EQ(read.end.kind, Kind::kWhole) << read.end.text;
}

// Shows that a file that took its name and has no head yet, only its former life's, is none.
TEST(JournalFolder, RecycledFileWithoutItsHead) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("old", "old");
  journal.sync();
  journal.begin_file();
  journal.forget_before_this_file();
  journal.put_alone("kept", "kept");
  journal.sync();
  std::filesystem::rename(journal.folder().path_of(1), journal.folder().path_of(3));
  const ReadJournal read = journal.read();
  EXPECT_EQ(read.frames, std::vector{journal.written()[1]});
  EXPECT_EQ(read.end.kind, Kind::kWhole) << read.end.text;
}

// Shows for each step of beginning a file, failed: that it says so, that what was there reads as before, and
// that the next attempt takes the next number and goes on.
TEST(JournalFolder, EachStepOfBeginningFails) {
  struct Step {
    DiskCall call;
    int passed_count;
    const char* text;
  };
  for (const Step& step : {Step{DiskCall::kReserve, 0, "fallocate("}, Step{DiskCall::kRename, 0, "rename("},
                           Step{DiskCall::kWrite, 0, "pwrite("}, Step{DiskCall::kSyncAll, 0, "fsync("},
                           Step{DiskCall::kSyncAll, 1, "fsync("}}) {
    SCOPED_TRACE(step.text);
    TestJournal journal;
    journal.begin_file();
    journal.put_alone("first", "one");
    journal.sync();
    {
      const DiskFault fault(step.call, EIO, step.passed_count);
      JournalHead head = head_of(2);
      head.former_end = journal.known();
      const Result<JournalFile> file = journal.folder().begin(head, 64 << 10, 0);
      ASSERT_FALSE(file);
      EXPECT_TRUE(fault.has_happened());
      EXPECT_EQ(file.error().error_number, EIO);
      EXPECT_TRUE(file.error().message.starts_with(step.text)) << file.error().message;
    }
    EXPECT_EQ(journal.read().frames, journal.written());
    EXPECT_EQ(journal.read().end.kind, Kind::kWhole) << journal.read().end.text;
    journal.begin_file();
    journal.put_alone("second", "two");
    EXPECT_EQ(journal.read().frames, journal.written());
    EXPECT_EQ(journal.read().end.kind, Kind::kWhole) << journal.read().end.text;
  }
}

// Shows that a full disk is known when the next file is prepared, before it is needed, that the current one
// goes on, and that the attempt leaves nothing that takes room.
TEST(JournalFolder, FullDiskIsKnownEarly) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("first", "one");
  {
    const DiskFault fault(DiskCall::kReserve, ENOSPC);
    const Outcome prepared = journal.folder().prepare_next(64 << 10, 0);
    ASSERT_FALSE(prepared);
    EXPECT_EQ(prepared.error().error_number, ENOSPC);
    EXPECT_EQ(prepared.error().message,
              "fallocate(" + journal.folder().path() +
                  "/journal-next) of 65536 bytes; the disk needs that much room: No space left on device");
  }
  EXPECT_FALSE(std::filesystem::exists(journal.folder().path() + "/journal-next"));
  journal.put_alone("second", "two");
  journal.sync();
  ASSERT_TRUE(journal.folder().prepare_next(64 << 10, 0));
  const DiskFault full(DiskCall::kReserve, ENOSPC);
  journal.begin_file();
  EXPECT_FALSE(full.has_happened());
  journal.put_alone("third", "three");
  EXPECT_EQ(journal.read().frames, journal.written());
}

// Shows that a file whose sync or write has failed is not touched again, and that its frames, written again
// to a new file, are all there, also the one that was written half.
TEST(JournalFolder, NothingIsRetriedOnAFileThatFailed) {
  for (const DiskCall call : {DiskCall::kSyncData, DiskCall::kWrite}) {
    TestJournal journal;
    journal.begin_file();
    journal.put_alone("first", "one");
    journal.sync();
    journal.put_alone("second", "two");
    std::string frame(200, 'f');
    {
      const DiskFault fault(call, EIO);
      const Outcome failed =
          call == DiskCall::kWrite ? journal.file().write(journal.offset(), frame) : journal.file().sync();
      ASSERT_FALSE(failed);
      EXPECT_EQ(failed.error().error_number, EIO);
    }
    const std::string before = bytes_of_file(journal.file_path());
    for (const Outcome& again : {journal.file().sync(), journal.file().write(journal.offset(), frame)}) {
      ASSERT_FALSE(again);
      EXPECT_EQ(again.error().message,
                journal.file_path() + ": writing or syncing it has failed before; frames go to a new file");
    }
    EXPECT_EQ(bytes_of_file(journal.file_path()), before);
    journal.begin_file();
    journal.put_alone("third", "three");
    EXPECT_EQ(journal.read().frames, journal.written());
    EXPECT_EQ(journal.read().end.file, 2u);
  }
}

// Shows that files that nobody needs are removed, but for those that are kept to be recycled.
TEST(JournalFolder, RemovesWhatNobodyNeeds) {
  TestJournal journal;
  for (int i = 0; i < 6; ++i) journal.begin_file();
  ASSERT_TRUE(journal.folder().remove_before(5, 1));
  EXPECT_EQ(*journal.folder().numbers(), (std::vector<std::uint64_t>{4, 5, 6}));
  ASSERT_TRUE(journal.folder().remove_before(5, 0));
  EXPECT_EQ(*journal.folder().numbers(), (std::vector<std::uint64_t>{5, 6}));
}

}  // namespace
}  // namespace memento::testing
