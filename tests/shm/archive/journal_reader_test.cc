// The journal's files: what comes back of them after any loss and any damage. Nothing that was not written,
// nothing behind a gap, no part of a group; and what was synced, or the word that it is missing.
#include "shm/archive/journal_reader.h"

#include <gtest/gtest.h>

#include "tests/shm/archive/disk_faults.h"
#include "tests/shm/archive/journal_fixture.h"

namespace memento::testing {
namespace {

using Kind = JournalEnd::Kind;

// A group of three frames, which are short: a ring's gaps begin frames.
void put_group(TestJournal& journal, const std::string& name) {
  journal.builder().begin_group();
  for (int i = 0; i < 3; ++i) {
    journal.put(name + std::to_string(i), "grouped");
    journal.tail(1) += 8;
  }
  journal.builder().end_group();
  journal.write();
}

// Shows that frames come back in order over several files, and where they end.
TEST(JournalReader, SeveralFiles) {
  TestJournal journal;
  for (int file = 0; file < 3; ++file) {
    journal.begin_file();
    for (int i = 0; i < 5; ++i) journal.put_alone("key" + std::to_string(i), std::string(1000, 'v'));
    journal.sync();
  }
  const ReadJournal read = journal.read();
  EXPECT_EQ(read.first_number, 1u);
  EXPECT_EQ(read.frames, journal.written());
  EXPECT_EQ(read.frames.size(), 15u);
  EXPECT_EQ(read.end.kind, Kind::kWhole) << read.end.text;
  EXPECT_EQ(read.end.file, 3u);
  EXPECT_EQ(read.end.offset, journal.offset());
}

// Shows that a journal without files, and one whose first file has no frame, end at their first frame.
TEST(JournalReader, Empty) {
  TestJournal journal;
  EXPECT_EQ(journal.read().end.kind, Kind::kWhole);
  journal.begin_file();
  const ReadJournal read = journal.read();
  EXPECT_TRUE(read.frames.empty());
  EXPECT_EQ(read.end.kind, Kind::kWhole) << read.end.text;
  EXPECT_EQ(read.end.frame, 1u);
}

// Shows which frames are to be written again before a journal goes on behind them, and which file what comes
// then follows: no frame that a later frame or file says to be on disk; and no file that has no such frame.
TEST(JournalReader, FramesThatMayNotBeOnDisk) {
  TestJournal journal;
  const auto unsure_frames = [&] {
    Result<JournalReader> reader = journal.reader();
    read_all(*reader);
    return std::move(*reader->unsure_frames());
  };
  const auto expect_unsure = [&](std::uint64_t former_file, std::uint64_t former_end, std::uint64_t file,
                                 std::uint64_t begin, std::uint64_t end) {
    const UnsureFrames unsure = unsure_frames();
    EXPECT_EQ(unsure.former_file, former_file);
    EXPECT_EQ(unsure.former_end, former_end);
    const std::string bytes = bytes_of_file(journal.folder().path_of(file));
    EXPECT_EQ(unsure.bytes, bytes.substr(begin, end - begin));
  };
  journal.begin_file();
  expect_unsure(1, 0, 1, 0, 0);
  journal.put_alone("first", "one");
  expect_unsure(1, 0, 1, kJournalHeadBytes, journal.offset());
  journal.sync();
  const std::uint64_t second = journal.offset();
  journal.put_alone("second", "two");
  journal.put_alone("third", "three");
  expect_unsure(1, 1, 1, second, journal.offset());
  EXPECT_EQ(unsure_frames().memory_id, TestJournal::kMemoryId);
  journal.sync();
  journal.begin_file();
  expect_unsure(1, 3, 2, 0, 0);
  journal.put_alone("fourth", "four");
  expect_unsure(1, 3, 2, kJournalHeadBytes, journal.offset());
  journal.sync();
  const std::uint64_t fifth = journal.offset();
  journal.put_alone("fifth", "five");
  expect_unsure(2, 4, 2, fifth, journal.offset());
}

// Shows for a file that ends at every byte of its last frames, a group among them, that what is read is what
// was written in front of that, in whole groups. Nothing of it was known to be synced.
TEST(JournalReader, CutAtEveryByte) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("first", "one");
  journal.sync();
  const std::uint64_t begin = journal.offset();
  journal.put_alone("second", "two");
  put_group(journal, "g");
  journal.put_alone("last", "one");
  const std::string whole = bytes_of_file(journal.file_path());
  std::size_t most = 0;
  for (std::uint64_t size = begin; size <= journal.offset(); ++size) {
    write_file(journal.file_path(), whole.substr(0, size));
    const ReadJournal read = journal.read();
    SCOPED_TRACE(size);
    expect_prefix(read, journal);
    EXPECT_GE(read.frames.size(), most);
    most = read.frames.size();
  }
  EXPECT_EQ(most, 6u);
}

// Shows for every byte of a small journal in two files, flipped: that what is read was written, in front of
// the damage; and that damage of what was synced is corruption, which says file, offset and frame. Only the
// last frames were not known to be synced.
TEST(JournalReader, EveryByteFlipped) {
  TestJournal journal(8192);
  journal.begin_file();
  journal.put_alone("first", "one");
  put_group(journal, "g");
  journal.sync();
  const std::uint64_t first_end = journal.offset();
  journal.begin_file();
  journal.put_alone("second", "two");
  journal.sync();
  const std::uint64_t synced_end = journal.offset();
  journal.put_alone("third", "three");
  journal.put_alone("last", "four");
  const std::uint64_t known_by_last = 5;
  for (const std::uint64_t number : {1u, 2u}) {
    const std::string path = journal.folder().path_of(number);
    const std::string whole = bytes_of_file(path);
    const std::uint64_t end = number == 1 ? first_end : journal.offset();
    for (std::uint64_t at = 0; at < end; ++at) {
      if (at == sizeof(JournalHead)) at = kJournalHeadBytes;
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
      write_file(path, damaged);
      const ReadJournal read = journal.read();
      SCOPED_TRACE(path + " at " + std::to_string(at) + ": " + read.end.text);
      ASSERT_LE(read.frames.size(), journal.written().size());
      EXPECT_TRUE(std::equal(read.frames.begin(), read.frames.end(), journal.written().begin()));
      const bool was_synced = number == 1 || at < synced_end;
      EXPECT_EQ(read.end.is_corrupt(), was_synced);
      if (was_synced) {
        EXPECT_LE(read.end.frame, known_by_last);
        EXPECT_NE(read.end.text.find(read.frames.empty() ? "journal-" : path), std::string::npos);
      }
    }
    write_file(path, whole);
  }
  EXPECT_EQ(journal.read().frames, journal.written());
}

// Shows what a corrupt journal is told to have lost, and that cutting it keeps what is in front of the
// damage.
TEST(JournalReader, SaysWhatIsLostAndCuts) {
  TestJournal journal;
  journal.begin_file();
  for (int i = 0; i < 10; ++i) {
    journal.put_alone("key" + std::to_string(i), std::string(40, 'v'));
    journal.sync();
  }
  const std::uint64_t frame_bytes = (journal.offset() - kJournalHeadBytes) / 10;
  const std::uint64_t offset = kJournalHeadBytes + 3 * frame_bytes;
  std::string bytes = bytes_of_file(journal.file_path());
  bytes[offset + 60] ^= 1;
  write_file(journal.file_path(), bytes);
  Result<JournalReader> reader = journal.reader();
  ASSERT_TRUE(reader);
  const ReadJournal read = read_all(*reader);
  EXPECT_EQ(read.frames.size(), 3u);
  EXPECT_EQ(read.end.kind, Kind::kCorrupt);
  EXPECT_EQ(read.end.file, 1u);
  EXPECT_EQ(read.end.offset, offset);
  EXPECT_EQ(read.end.frame, 4u);
  EXPECT_EQ(read.end.lost_frames, 7u);
  EXPECT_EQ(read.end.lost_bytes, 7 * frame_bytes);
  EXPECT_EQ(read.end.text,
            journal.file_path() + ", offset " + std::to_string(offset) +
                ", frame 4: it is missing or damaged: a later frame says that frame 9 was on disk");
  ASSERT_TRUE(reader->cut());
  EXPECT_EQ(bytes_of_file(journal.file_path()).size(), offset);
  EXPECT_EQ(journal.read().frames.size(), 3u);
  EXPECT_EQ(journal.read().end.kind, Kind::kWhole);
}

// Shows that a missing frame is a torn end when a later one is there that does not say it was synced.
TEST(JournalReader, LaterFrameAloneIsNoCorruption) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("first", "one");
  journal.sync();
  const std::uint64_t offset = journal.offset();
  journal.put_alone("second", "two");
  journal.put_alone("third", "three");
  std::string bytes = bytes_of_file(journal.file_path());
  bytes[offset] ^= 1;
  write_file(journal.file_path(), bytes);
  const ReadJournal read = journal.read();
  EXPECT_EQ(read.end.kind, Kind::kTorn) << read.end.text;
  EXPECT_EQ(read.end.lost_frames, 2u);
  expect_prefix(read, journal);
}

// Shows that frames written again to a new file behind a failed sync count there, and only there: also when
// the new file has lost them and the former one seems to have them.
TEST(JournalReader, FramesWithOneNumberInTwoFiles) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("first", "one");
  journal.sync();
  journal.put_alone("second", "two");
  journal.put_alone("third", "three");
  journal.begin_file();
  journal.put_alone("fourth", "four");
  EXPECT_EQ(journal.read().frames, journal.written());
  std::string bytes = bytes_of_file(journal.file_path());
  bytes[kJournalHeadBytes + 60] ^= 1;
  write_file(journal.file_path(), bytes);
  const ReadJournal read = journal.read();
  EXPECT_EQ(read.frames.size(), 1u);
  EXPECT_EQ(read.end.file, 2u);
  EXPECT_EQ(read.end.frame, 2u);
  expect_prefix(read, journal);
}

// Shows that a group goes that lacks its last frame, with those of its frames that were synced, in the file
// that they began in; and that cutting there leaves a journal that goes on behind it.
TEST(JournalReader, OpenGroupOverTwoFiles) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("first", "one");
  journal.builder().begin_group();
  journal.put_alone("g0", "grouped");
  const std::uint64_t second_group_frame = journal.offset();
  journal.put_alone("g1", "grouped");
  journal.sync();
  journal.begin_file();
  journal.put_alone("g2", "grouped");
  journal.sync();
  Result<JournalReader> reader = journal.reader();
  ASSERT_TRUE(reader);
  const ReadJournal read = read_all(*reader);
  EXPECT_EQ(read.frames.size(), 1u);
  EXPECT_EQ(read.end.kind, Kind::kOpenGroup) << read.end.text;
  EXPECT_EQ(read.end.file, 1u);
  EXPECT_EQ(read.end.frame, 2u);
  EXPECT_LT(read.end.offset, second_group_frame);
  ASSERT_TRUE(reader->cut());
  const ReadJournal again = journal.read();
  EXPECT_EQ(again.frames, read.frames);
  EXPECT_EQ(again.end.kind, Kind::kWhole) << again.end.text;
  journal.go_on_behind(again.end);
  journal.begin_file();
  journal.put_alone("fifth", "five");
  EXPECT_EQ(journal.read().frames, journal.written());
}

// Shows that a group that an archiver died in, and that its successor wrote anew behind something else, is
// given out once and whole: the frames that were not continued are left out, wherever the journal ends.
TEST(JournalReader, AbandonedGroup) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("first", "one");
  journal.builder().begin_group();
  journal.put_alone("g0", "grouped");
  journal.put_alone("g1", "grouped");
  journal.replace_builder();
  journal.put_alone("between", "two");
  journal.sync();
  const ReadJournal before = journal.read();
  EXPECT_EQ(before.frames, (std::vector{journal.written()[0], journal.written()[3]}));
  EXPECT_EQ(before.end.frame, 5u);
  EXPECT_EQ(before.end.kind, Kind::kWhole) << before.end.text;
  put_group(journal, "g");
  const ReadJournal read = journal.read();
  EXPECT_EQ(read.frames.size(), 5u);
  expect_prefix(read, journal);
  EXPECT_EQ(read.end.frame, 8u);
}

// Shows that a cut over two files may be stopped between its steps: what is left ends at the same frame, and
// is not taken for corruption.
TEST(JournalReader, CutOverTwoFilesInSteps) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("first", "one");
  journal.builder().begin_group();
  journal.put_alone("g0", "grouped");
  journal.sync();
  journal.begin_file();
  journal.put_alone("g1", "grouped");
  journal.sync();
  Result<JournalReader> reader = journal.reader();
  ASSERT_TRUE(reader);
  const ReadJournal before = read_all(*reader);
  {
    const DiskFault fault(DiskCall::kTruncate, EIO, 1);
    EXPECT_FALSE(reader->cut());
    EXPECT_TRUE(fault.has_happened());
  }
  const ReadJournal read = journal.read();
  EXPECT_EQ(read.frames, before.frames);
  EXPECT_EQ(read.end.kind, Kind::kOpenGroup) << read.end.text;
  EXPECT_EQ(read.end.frame, 2u);
}

// Shows that a file in the middle, or the first or the newest one, that is missing or has lost its head is
// corruption.
TEST(JournalReader, MissingFilesAndHeads) {
  for (const std::uint64_t damaged : {1u, 2u, 3u}) {
    for (const bool is_removed : {false, true}) {
      TestJournal journal;
      for (int file = 0; file < 3; ++file) {
        journal.begin_file();
        journal.put_alone("key", "value");
        journal.sync();
      }
      const std::string path = journal.folder().path_of(damaged);
      std::string bytes = bytes_of_file(path);
      bytes[20] ^= 1;
      write_file(path, bytes);
      if (is_removed) std::filesystem::remove(path);
      const ReadJournal read = journal.read();
      EXPECT_EQ(read.end.kind, Kind::kCorrupt) << damaged << read.end.text;
      EXPECT_EQ(read.frames.size(), damaged - 1);
    }
  }
}

// Shows that without the state folder's word, too, a newest file that has lost its head is found by its first
// frame.
TEST(JournalReader, HeadLostOfAFileWithFrames) {
  TestJournal journal;
  for (int file = 0; file < 2; ++file) {
    journal.begin_file();
    journal.put_alone("key", "value");
    journal.sync();
  }
  std::string bytes = bytes_of_file(journal.file_path());
  bytes[20] ^= 1;
  write_file(journal.file_path(), bytes);
  Result<JournalReader> reader = JournalReader::open(journal.folder().fd(), journal.folder().path(), {});
  ASSERT_TRUE(reader);
  const ReadJournal read = read_all(*reader);
  EXPECT_EQ(read.end.kind, Kind::kCorrupt);
  EXPECT_EQ(read.end.text, journal.folder().path_of(1) + ", offset " + std::to_string(read.end.offset) +
                               ", frame 2: it is missing or damaged: " + journal.file_path() +
                               " has no head, but begins with frame 2");
}

// Shows that a MANIFEST of another journal is told by the first file's seed and frame.
TEST(JournalReader, OtherFirstFile) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("key", "value");
  for (const JournalBounds& wrong : {JournalBounds{1, journal.bounds().first_seed + 1, 1, 0, 0},
                                     JournalBounds{1, journal.bounds().first_seed, 2, 0, 0}}) {
    Result<JournalReader> reader = JournalReader::open(journal.folder().fd(), journal.folder().path(), wrong);
    ASSERT_TRUE(reader);
    const ReadJournal read = read_all(*reader);
    EXPECT_TRUE(read.frames.empty());
    EXPECT_EQ(read.end.kind, Kind::kCorrupt);
    EXPECT_EQ(read.end.text, "journal-0000000001 is not the file with which the journal began");
  }
}

// Shows that a journal, of which a segment knows what was on disk, is corrupt without that: also when nothing
// else tells. Its newest file is enough to find out.
TEST(JournalReader, WhatASegmentKnows) {
  TestJournal journal;
  for (int file = 0; file < 2; ++file) {
    journal.begin_file();
    for (int i = 0; i < 3; ++i) journal.put_alone("key", "value");
    journal.sync();
  }
  const auto end_with = [&](std::uint64_t synced_frame) {
    const JournalBounds bounds{2, 0, 0, 2, synced_frame};
    Result<JournalReader> reader = JournalReader::open(journal.folder().fd(), journal.path(), bounds);
    EXPECT_TRUE(reader);
    return read_all(*reader).end;
  };
  EXPECT_EQ(end_with(3).kind, Kind::kWhole);
  EXPECT_EQ(end_with(6).kind, Kind::kWhole);
  EXPECT_EQ(end_with(6).frame, 7u);
  EXPECT_EQ(end_with(7).kind, Kind::kCorrupt);
  std::string bytes = bytes_of_file(journal.file_path());
  bytes[journal.offset() - 1] ^= 1;
  write_file(journal.file_path(), bytes);
  EXPECT_EQ(end_with(5).kind, Kind::kTorn);
  EXPECT_EQ(end_with(6).kind, Kind::kCorrupt);
  EXPECT_NE(end_with(6).text.find("the server that wrote it knew that frame 6 was on disk"),
            std::string::npos);
}

// Shows that a frame that is whole, whose records this program does not know, is neither skipped nor a torn
// end.
TEST(JournalReader, RecordsOfAnotherVersion) {
  TestJournal journal;
  journal.begin_file();
  journal.put_alone("first", "one");
  const std::uint64_t offset = journal.offset();
  journal.put_alone("second", "two");
  std::string bytes = bytes_of_file(journal.file_path());
  bytes[offset + sizeof(FrameHeader) + 8 + 39] = 2;
  std::string frame = bytes.substr(offset, journal.offset() - offset);
  seal_frames(frame, {2, 0, TestJournal::kMemoryId, journal.file().head().seed});
  bytes.replace(offset, frame.size(), frame);
  write_file(journal.file_path(), bytes);
  const ReadJournal read = journal.read();
  EXPECT_EQ(read.frames.size(), 1u);
  EXPECT_EQ(read.end.kind, Kind::kCorrupt);
  EXPECT_NE(read.end.text.find("version 2; this program reads kinds 1 to 17, version 1"), std::string::npos)
      << read.end.text;
}

// Shows that one file can be read by itself.
TEST(JournalReader, OneFile) {
  TestJournal journal;
  for (int file = 0; file < 2; ++file) {
    journal.begin_file();
    journal.put_alone("key", "value" + std::to_string(file));
    journal.sync();
  }
  Result<JournalReader> reader = JournalReader::open_file(journal.file_path());
  ASSERT_TRUE(reader) << reader.error().message;
  const ReadJournal read = read_all(*reader);
  EXPECT_EQ(read.first_number, 2u);
  EXPECT_EQ(read.frames, std::vector{journal.written()[1]});
  EXPECT_EQ(read.end.kind, Kind::kWhole);
  EXPECT_FALSE(JournalReader::open_file(journal.folder().path() + "/none"));
}

}  // namespace
}  // namespace memento::testing
