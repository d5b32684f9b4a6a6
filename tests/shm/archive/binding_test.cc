// The state folder's bindings and newest file.
#include "shm/archive/binding.h"

#include <gtest/gtest.h>

#include "shm/format/binding.h"
#include "tests/shm/archive/disk_faults.h"
#include "tests/shm/archive/hex.h"
#include "tests/shm/archive/journal_fixture.h"

namespace memento::testing {
namespace {

using Numbers = std::vector<std::uint64_t>;

class StateFolderTest : public ::testing::Test {
 protected:
  Numbers bindings() {
    const Result<std::optional<Numbers>> list = state_->bindings();
    EXPECT_TRUE(list) << list.error().message;
    return list && *list ? **list : Numbers{};
  }

  const TemporaryFolder outer_;
  Result<StateFolder> state_ = StateFolder::open(outer_.path() + "/state");
};

// Shows that lists have the bytes of the header's worked examples, and that no damaged one is read.
TEST(NumberList, HasTheBytesOfTheExample) {
  const std::string bindings = number_list_bytes(NumberListHeader::kBindingsMagic, {0x77, 0x78});
  EXPECT_EQ(bindings, from_hex("6d 65 6d 62 69 6e 64 73  01 00 00 00 02 00 00 00  77 00 00 00 00 00 00 00"
                               "78 00 00 00 00 00 00 00  c2 0a 03 33 f0 5c dc 61"));
  EXPECT_EQ(number_list_bytes(NumberListHeader::kNewestMagic, {12}),
            from_hex("6d 65 6d 6e 65 77 73 74  01 00 00 00 01 00 00 00  0c 00 00 00 00 00 00 00  d3 35 5b 11 "
                     "c9 21 ab e3"));
  EXPECT_EQ(read_number_list(NumberListHeader::kBindingsMagic, bindings), (Numbers{0x77, 0x78}));
  EXPECT_FALSE(read_number_list(NumberListHeader::kNewestMagic, bindings));
  for (std::size_t i = 0; i < bindings.size(); ++i) {
    EXPECT_FALSE(read_number_list(NumberListHeader::kBindingsMagic, bindings.substr(0, i)));
    std::string flipped = bindings;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_FALSE(read_number_list(NumberListHeader::kBindingsMagic, flipped)) << i;
  }
}

// Shows that starts that ended half way are all in the list, and that one that came to its end is alone.
TEST_F(StateFolderTest, BindingsOfAllStarts) {
  const Result<std::optional<Numbers>> none = state_->bindings();
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  for (const std::uint64_t binding : {5u, 6u, 7u}) ASSERT_TRUE(state_->add_binding(binding));
  EXPECT_EQ(bindings(), (Numbers{5, 6, 7}));
  ASSERT_TRUE(state_->set_binding(7));
  EXPECT_EQ(bindings(), Numbers{7});
}

// Shows that a folder is of no use before its own name is on disk.
TEST(StateFolder, HasItsNameOnDisk) {
  const TemporaryFolder outer;
  const DiskFault fault(DiskCall::kSyncAll, EIO);
  EXPECT_FALSE(StateFolder::open(outer.path() + "/state"));
  EXPECT_TRUE(StateFolder::open(outer.path() + "/state/"));
}

// Shows that the newest file's number comes back.
TEST_F(StateFolderTest, NewestFile) {
  const Result<std::optional<std::uint64_t>> none = state_->newest_file();
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  ASSERT_TRUE(state_->write_newest_file(12));
  ASSERT_TRUE(state_->write_newest_file(13));
  const Result<std::optional<std::uint64_t>> newest = state_->newest_file();
  ASSERT_TRUE(newest);
  EXPECT_EQ(*newest, 13u);
}

// Shows that a write that fails at any step in front of its rename leaves the former list, and that the next
// one succeeds.
TEST_F(StateFolderTest, FailedWriteLeavesTheFormer) {
  ASSERT_TRUE(state_->set_binding(1));
  for (const DiskCall call : {DiskCall::kWrite, DiskCall::kSyncAll, DiskCall::kRename}) {
    {
      const DiskFault fault(call, ENOSPC);
      const Outcome failed = state_->add_binding(2);
      ASSERT_FALSE(failed);
      EXPECT_EQ(failed.error().error_number, ENOSPC);
    }
    EXPECT_EQ(bindings(), Numbers{1});
  }
  ASSERT_TRUE(state_->add_binding(2));
  EXPECT_EQ(bindings(), (Numbers{1, 2}));
}

// Shows that a damaged list is an error, not an empty one.
TEST_F(StateFolderTest, DamagedList) {
  ASSERT_TRUE(state_->set_binding(1));
  const std::string path = outer_.path() + "/state/bindings";
  write_file(path, bytes_of_file(path).substr(1));
  const Result<std::optional<Numbers>> list = state_->bindings();
  ASSERT_FALSE(list);
  EXPECT_TRUE(list.error().message.starts_with(path + " is damaged, or of another version"))
      << list.error().message;
  EXPECT_FALSE(state_->add_binding(2));
}

}  // namespace
}  // namespace memento::testing
