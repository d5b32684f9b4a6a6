// Frames in memory: how records are put into them, and that nothing else is taken for one.
#include "shm/archive/frame_bytes.h"

#include <gtest/gtest.h>

#include "shm/archive/duplicates.h"
#include "tests/shm/archive/journal_fixture.h"

namespace memento::testing {
namespace {

constexpr std::uint64_t kSeed = 77;

std::vector<FrameView> frames_of(FrameBuilder& builder) {
  const std::span<char> bytes = builder.frames();
  EXPECT_EQ(seal_frames(bytes, {1, 0, 9, kSeed}), builder.frame_count());
  std::vector<FrameView> frames;
  for (std::string_view left(bytes.data(), bytes.size()); !left.empty();) {
    const std::optional<FrameView> frame = read_frame(left, kSeed);
    if (!frame) {
      ADD_FAILURE() << "frame " << frames.size() + 1;
      break;
    }
    frames.push_back(*frame);
    left.remove_prefix(frame->header.frame_bytes());
  }
  return frames;
}

std::vector<std::uint64_t> positions_of(const FrameView& frame) {
  std::vector<FrameRecord> records;
  EXPECT_EQ(read_frame_records(frame, records), "");
  std::vector<std::uint64_t> positions;
  for (const FrameRecord& one : records) positions.push_back(one.ring_position);
  return positions;
}

// Shows that records of several rings share a frame, and that each one's ring position comes back.
TEST(FrameBytes, RecordsKnowTheirPlaceInTheRing) {
  FrameBuilder builder;
  const std::string short_one = record_of(RecordKind::kPut, 1, "k", "v");
  const std::string long_one = record_of(RecordKind::kPut, 2, "k", std::string(100, 'v'));
  builder.add(short_one, 0);
  builder.add(long_one, 4096);
  builder.add(short_one, short_one.size());
  builder.add(long_one, 4096 + long_one.size());
  const std::vector<FrameView> frames = frames_of(builder);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].header.ring_count, 2u);
  EXPECT_EQ(positions_of(frames[0]),
            (std::vector<std::uint64_t>{0, 4096, short_one.size(), 4096 + long_one.size()}));
}

// Shows that a record that does not follow the ring's former one begins a frame, and that a piece, which says
// where its record was, does not.
TEST(FrameBytes, GapInARingBeginsAFrame) {
  FrameBuilder builder;
  const std::string put = record_of(RecordKind::kPut, 1, "k", "v");
  const std::string piece =
      record_of(RecordKind::kPiece, 1, "k", word_bytes(put.size()) + word_bytes(0) + word_bytes(4) + "long");
  builder.add(put, 0);
  builder.add_piece(piece);
  builder.add(put, put.size() + 56);
  const std::vector<FrameView> frames = frames_of(builder);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(positions_of(frames[0]), (std::vector<std::uint64_t>{0, put.size()}));
  EXPECT_EQ(positions_of(frames[1]), (std::vector<std::uint64_t>{put.size() + 56}));
}

// Shows that a frame takes up to its limit and the next record begins another.
TEST(FrameBytes, FullFrameBeginsAnother) {
  FrameBuilder builder;
  const std::string put = record_of(RecordKind::kPut, 1, "k", std::string((256 << 10) - 56, 'v'));
  ASSERT_EQ(put.size(), 256u << 10);
  for (std::uint64_t i = 0; i < 9; ++i) builder.add(put, i * put.size());
  const std::vector<FrameView> frames = frames_of(builder);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].header.payload_bytes, kFramePayloadLimit);
  EXPECT_EQ(frames[2].header.payload_bytes, put.size());
  EXPECT_EQ(positions_of(frames[1]).front(), 4 * put.size());
}

// Shows that a group begins a frame, that all of its frames but the last are open, also over frames that were
// taken out in between, and that what follows is not part of it.
TEST(FrameBytes, GroupIsOpenUpToItsLastFrame) {
  FrameBuilder builder;
  const std::string half = record_of(RecordKind::kPut, 1, "k", std::string(600 << 10, 'v'));
  const std::string put = record_of(RecordKind::kPut, 2, "k", "v");
  builder.add(put, 0);
  builder.begin_group();
  builder.add(half, 0);
  builder.add(half, half.size());
  std::vector<FrameView> frames = frames_of(builder);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_FALSE(frames[0].header.is_open());
  EXPECT_TRUE(frames[1].header.is_open());
  EXPECT_TRUE(frames[2].header.is_open());
  builder.clear();
  builder.add(half, 2 * half.size());
  builder.end_group();
  builder.add(half, 3 * half.size());
  frames = frames_of(builder);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_FALSE(frames[0].header.is_open());
  EXPECT_FALSE(frames[1].header.is_open());
}

// Shows that a group that fits one frame is not open.
TEST(FrameBytes, ShortGroupIsOneFrame) {
  FrameBuilder builder;
  const std::string put = record_of(RecordKind::kPut, 1, "k", "v");
  builder.add(put, 0);
  builder.begin_group();
  builder.add(put, put.size());
  builder.add(put, 2 * put.size());
  builder.end_group();
  const std::vector<FrameView> frames = frames_of(builder);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_FALSE(frames[1].header.is_open());
  EXPECT_EQ(positions_of(frames[1]).size(), 2u);
}

// Shows that frames can be sealed again for another file: then they are that file's only.
TEST(FrameBytes, SealedAgain) {
  FrameBuilder builder;
  builder.add(record_of(RecordKind::kPut, 1, "k", "v"), 0);
  (void)frames_of(builder);
  const std::span<char> bytes = builder.frames();
  seal_frames(bytes, {8, 7, 9, kSeed + 1});
  const std::string_view sealed(bytes.data(), bytes.size());
  EXPECT_FALSE(read_frame(sealed, kSeed));
  ASSERT_TRUE(read_frame(sealed, kSeed + 1));
  EXPECT_EQ(read_frame(sealed, kSeed + 1)->header.number, 8u);
}

// Shows that a frame with any bit flipped, or cut off anywhere, is none.
TEST(FrameBytes, DamagedAnywhere) {
  FrameBuilder builder;
  builder.add(record_of(RecordKind::kPut, 1, "key", "value"), 8);
  (void)frames_of(builder);
  const std::string sealed(builder.frames().data(), builder.frames().size());
  for (std::size_t size = 0; size < sealed.size(); ++size)
    EXPECT_FALSE(read_frame(sealed.substr(0, size), kSeed));
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string damaged = sealed;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(read_frame(damaged, kSeed)) << bit;
  }
}

// Shows that a whole frame with a record of an unknown version is refused by both versions' numbers, and one
// of a ring that it does not name too.
TEST(FrameBytes, SaysWhyRecordsCannotBeRead) {
  const auto fault_of = [](auto&& change) {
    FrameBuilder builder;
    builder.add(record_of(RecordKind::kPut, 1, "k", "v"), 0);
    std::string bytes(builder.frames().data(), builder.frames().size());
    change(bytes);
    seal_frames(bytes, {1, 0, 9, kSeed});
    const std::optional<FrameView> frame = read_frame(bytes, kSeed);
    std::vector<FrameRecord> records;
    return frame ? read_frame_records(*frame, records) : "no frame";
  };
  const std::size_t record = sizeof(FrameHeader) + 8;
  EXPECT_EQ(fault_of([](std::string&) {}), "");
  EXPECT_EQ(
      fault_of([&](std::string& bytes) { bytes[record + 39] = 2; }),
      "the record at 56 of the frame is of kind 1, version 2; this program reads kinds 1 to 17, version 1");
  EXPECT_EQ(fault_of([&](std::string& bytes) { bytes[record] = 48; }),
            "the record at 56 of the frame has lengths that contradict each other (48 bytes, 56 bytes left)");
  EXPECT_EQ(fault_of([&](std::string& bytes) { bytes[record + 38] = 3; }),
            "the frame does not say where ring 3 was");
  EXPECT_EQ(fault_of([&](std::string& bytes) { bytes[40] = 5; }),
            "the frame has flags 5; this program knows 3");
}

class DuplicatesTest : public ::testing::Test {
 protected:
  bool has(RecordKind kind, std::uint64_t ring_position, std::uint32_t ring = 1, std::uint64_t memory_id = 9,
           std::uint8_t flags = 0) {
    const std::string bytes = record_of(kind, ring, "k", std::string(24, '\0'), flags);
    return duplicates_.has(memory_id, {*read_record(bytes), ring_position, 0});
  }
  Duplicates duplicates_;
};

// Shows that what a ring held before is a duplicate, whatever its kind and however far behind, and that rings
// and segments do not mix.
TEST_F(DuplicatesTest, ByPlaceInTheRing) {
  EXPECT_FALSE(has(RecordKind::kPart, 0));
  EXPECT_FALSE(has(RecordKind::kPut, 64));
  EXPECT_FALSE(has(RecordKind::kPut, 128));
  EXPECT_TRUE(has(RecordKind::kPut, 128));
  EXPECT_TRUE(has(RecordKind::kPart, 0));
  EXPECT_FALSE(has(RecordKind::kPut, 0, 2));
  EXPECT_FALSE(has(RecordKind::kPut, 0, 1, 10));
  EXPECT_FALSE(has(RecordKind::kPut, 192));
}

// Shows that the parts of a long group, which have one place, are none, unless something came behind them.
TEST_F(DuplicatesTest, PartsOfAGroup) {
  EXPECT_FALSE(has(RecordKind::kGroup, 64));
  EXPECT_FALSE(has(RecordKind::kGroup, 64));
  EXPECT_FALSE(has(RecordKind::kPut, 136));
  EXPECT_TRUE(has(RecordKind::kGroup, 64));
}

// Shows that a value's pieces are duplicates when its last one was there, not before, and not by what the
// ring held behind their record.
TEST_F(DuplicatesTest, PiecesOfAWholeValue) {
  EXPECT_FALSE(has(RecordKind::kPut, 128));
  EXPECT_FALSE(has(RecordKind::kPiece, 64));
  EXPECT_FALSE(has(RecordKind::kPiece, 64));
  EXPECT_FALSE(has(RecordKind::kPiece, 64, 1, 9, kRecordLastPiece));
  EXPECT_TRUE(has(RecordKind::kPiece, 64));
  EXPECT_TRUE(has(RecordKind::kPiece, 64, 1, 9, kRecordLastPiece));
  EXPECT_FALSE(has(RecordKind::kPiece, 72));
}

}  // namespace
}  // namespace memento::testing
