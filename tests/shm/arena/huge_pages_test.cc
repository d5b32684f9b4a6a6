// Huge pages under a keyspace in use.
#include "shm/arena/huge_pages.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/shm/keyspace/keyspace_fixture.h"

namespace memento {
namespace {

using testing::expect_sound;
using testing::get;

/// A segment in a file on tmpfs, as a server's.
class ShmHugePages : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = "/dev/shm/memento-test-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    SegmentOptions options;
    options.directory = folder;
    options.size_bytes = 64ull << 20;
    AttachReport report;
    auto segment = Segment::create_or_attach(options, &report);
    ASSERT_TRUE(segment) << segment.error().message;
    segment_ = std::move(*segment);
  }
  void TearDown() override {
    segment_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::uint64_t used_bytes() const {
    struct stat status {};
    EXPECT_EQ(fstat(segment_->descriptor(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  std::string folder_;
  std::unique_ptr<Segment> segment_;
};

// Shows that the committed part becomes huge pages, the keys stay what they were, no memory is taken for it,
// and that it goes on when more is committed.
TEST_F(ShmHugePages, FollowWhatIsCommitted) {
  Keyspace keyspace(*segment_, 1);
  HugePages pages(*segment_);
  std::uint64_t key_count = 0;
  std::uint64_t made_before = 0;
  for (const std::uint64_t wanted_bytes : {8ull << 20, 24ull << 20}) {
    for (; used_bytes() < wanted_bytes; ++key_count) {
      ASSERT_EQ(
          keyspace.set(keyspace.hash(std::to_string(key_count)), "value of " + std::to_string(key_count)),
          WriteStatus::kDone);
    }
    const std::uint64_t used = used_bytes();
    while (pages.advance()) {
    }
    if (pages.made_count() == 0) GTEST_SKIP() << "the kernel makes no huge pages here";
    EXPECT_GT(pages.made_count(), made_before);
    EXPECT_LE(pages.made_count() * Segment::kHugePageBytes, used);
    EXPECT_EQ(used_bytes(), used);
    made_before = pages.made_count();
    std::string value;
    for (std::uint64_t i = 0; i < key_count; ++i) {
      ASSERT_TRUE(get(keyspace, std::to_string(i), &value)) << i;
      ASSERT_EQ(value, "value of " + std::to_string(i));
    }
  }
  expect_sound(*segment_);
}

// Shows that nothing is done where nothing is committed.
TEST_F(ShmHugePages, NothingIsCommitted) {
  HugePages pages(*segment_);
  EXPECT_FALSE(pages.advance());
  EXPECT_EQ(pages.made_count(), 0u);
}

}  // namespace
}  // namespace memento
