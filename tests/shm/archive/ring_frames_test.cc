// From rings to frames: what stands in the frames makes the keyspace that the records came from.
#include "shm/archive/ring_frames.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/shm/journal/journal_fixture.h"

namespace memento {
namespace {

constexpr std::uint64_t kSeed = 77;

// The frames as recovery reads them; how many of them were open.
std::uint64_t replay_frames(RingFrames& rings, std::uint64_t limit_bytes, ReplayModel* model) {
  FrameBuilder frames;
  EXPECT_TRUE(rings.fill(limit_bytes, &frames)) << rings.merger().error();
  const std::span<char> bytes = frames.frames();
  seal_frames(bytes, {1, 0, 99, kSeed});
  std::uint64_t open_count = 0;
  std::vector<FrameRecord> records;
  for (std::string_view left(bytes.data(), bytes.size()); !left.empty();) {
    const auto frame = read_frame(left, kSeed);
    EXPECT_TRUE(frame.has_value());
    if (!frame) break;
    EXPECT_EQ(read_frame_records(*frame, records), "");
    for (const FrameRecord& at : records) EXPECT_EQ(model->apply_frame_record(at.record), "");
    open_count += frame->header.is_open() ? 1 : 0;
    left.remove_prefix(frame->header.frame_bytes());
  }
  rings.merger().publish();
  return open_count;
}

// Shows that short and long values, in transactions and alone, come through, whatever a pass may take.
TEST(RingFrames, MakeTheKeyspace) {
  for (const std::uint64_t limit_bytes : {std::uint64_t{1}, std::uint64_t{1} << 20}) {
    auto segment = testing::make_journalled(96 << 20, 1 << 20);
    Keyspace keyspace(*segment, 1);
    keyspace.set_now_ms(1'800'000'000'000);
    RingFrames rings(*segment, testing::kDiskConsumer);
    ReplayModel model;
    std::mt19937_64 random(5);
    std::uint64_t open_count = 0;
    const auto value = [&] {
      const std::uint64_t kind = random() % 20;
      const std::size_t bytes = kind < 16   ? random() % 300
                                : kind < 19 ? random() % 60'000
                                            : random() % 700'000;
      return std::string(bytes, static_cast<char>('a' + random() % 26));
    };
    for (int i = 0; i < 3000; ++i) {
      const std::string name = "key:" + std::to_string(random() % 80);
      try {
        if (random() % 3 != 0) {
          keyspace.set(keyspace.hash(name), value());
        } else {
          std::vector<std::string> values;
          for (std::uint64_t n = random() % 40 + 1; n > 0; --n) values.push_back(value());
          keyspace.transact({}, [&] {
            for (std::size_t n = 0; n < values.size(); ++n)
              keyspace.set(keyspace.hash("key:" + std::to_string(n)), values[n]);
            keyspace.erase(keyspace.hash(name));
            return true;
          });
        }
      } catch (const JournalFull&) {
      }
      for (int pass = 0; pass < (limit_bytes == 1 ? 30 : 1); ++pass)
        open_count += replay_frames(rings, limit_bytes, &model);
    }
    while (rings.merger().waiting_bytes() > 0) open_count += replay_frames(rings, 1 << 20, &model);
    EXPECT_GT(open_count, 0u);
    testing::expect_same(*segment, keyspace, model);
  }
}

}  // namespace
}  // namespace memento
