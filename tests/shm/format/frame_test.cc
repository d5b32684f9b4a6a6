// The bytes of frames and heads that the header's comment shows.
#include "shm/format/frame.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include "shm/archive/snapshot_file.h"
#include "tests/shm/archive/hex.h"
#include "tests/shm/archive/journal_fixture.h"

namespace memento::testing {
namespace {

// Shows that a sealed frame has the bytes of the worked example, and is read back from them.
TEST(Frame, HasTheBytesOfTheExample) {
  std::string record = record_of(RecordKind::kPut, 2, "ab", "xyz");
  RecordHeader header;
  std::memcpy(&header, record.data(), sizeof header);
  header.position = position_of(3, 12);
  header.stamp = 0x1122;
  std::memcpy(record.data(), &header, sizeof header);
  FrameBuilder builder;
  builder.add(record, 112);
  const std::span<char> frames = builder.frames();
  EXPECT_EQ(seal_frames(frames, {5, 4, 0x99, 0x1234}), 1u);
  const std::string expected = from_hex(
      "6d 6a 6e 6c 38 00 00 00  05 00 00 00 00 00 00 00  04 00 00 00 00 00 00 00  99 00 00 00 00 00 00 00"
      "5a ca 0d db 43 50 3a 49  00 00 00 00 01 00 00 00  70 00 00 00 00 00 00 02"
      "38 00 00 00 01 00 07 00  0c 00 00 00 00 30 00 00  22 11 00 00 00 00 00 00  01 00 00 00 00 02 00 00"
      "03 00 00 00 00 00 02 01  ff ff ff ff ff ff ff ff  61 62 78 79 7a 00 00 00");
  EXPECT_EQ(std::string(frames.data(), frames.size()), expected);
  const std::string bytes = expected + "what follows";  // which the view is of
  const std::optional<FrameView> read = read_frame(bytes, 0x1234);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->header.number, 5u);
  EXPECT_EQ(read->header.synced, 4u);
  EXPECT_EQ(read->records, record);
  EXPECT_FALSE(read_frame(expected, 0x1235));
}

// Shows the same of a file's head.
TEST(Frame, HeadHasTheBytesOfTheExample) {
  JournalHead head;
  head.number = 12;
  head.seed = 0x1234;
  head.data_id = {1, 2};
  head.former_file = 11;
  head.former_end = 4;
  const std::string bytes = journal_head_bytes(head);
  const std::string expected = from_hex(
      "6d 6a 6e 6c 68 65 61 64  01 00 00 00 00 00 00 00  0c 00 00 00 00 00 00 00  34 12 00 00 00 00 00 00"
      "01 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00  0b 00 00 00 00 00 00 00  04 00 00 00 00 00 00 00"
      "f0 12 ba cc 87 0d 7f 45");
  EXPECT_EQ(bytes, expected + std::string(kJournalHeadBytes - sizeof head, '\0'));
  const std::optional<JournalHead> read = read_journal_head(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->number, 12u);
  EXPECT_EQ(read->data_id, (Identity{1, 2}));
}

// Shows the same of a snapshot's footer, whose index is empty.
TEST(Frame, SnapshotFooterHasTheBytesOfTheExample) {
  SnapshotFooter footer;
  footer.index_offset = kSnapshotHeadBytes;
  footer.last_frame = 5;
  footer.index_checksum = XXH3_64bits_withSeed(nullptr, 0, 0x1234);
  EXPECT_EQ(snapshot_footer_bytes(footer, 0x1234),
            from_hex("6d 73 6e 70 66 6f 6f 74  00 00 00 00 00 00 00 00  00 10 00 00 00 00 00 00"
                     "00 00 00 00 00 00 00 00  05 00 00 00 00 00 00 00  f0 be 3f ec 4a bc 71 da"
                     "69 9a 18 0b 09 85 24 eb"));
}

}  // namespace
}  // namespace memento::testing
