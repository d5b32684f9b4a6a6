// MANIFEST: the newest whole block counts, whatever happens to a write.
#include "shm/archive/manifest_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/shm/archive/disk_faults.h"
#include "tests/shm/archive/hex.h"
#include "tests/shm/archive/journal_fixture.h"

namespace memento::testing {
namespace {

Manifest manifest_of(std::uint64_t binding) {
  Manifest manifest;
  manifest.state = ManifestState::kValid;
  manifest.policy = SyncPolicy::kAlways;
  manifest.is_exact = 1;
  manifest.is_clean = 1;
  manifest.data_id = {1, 2};
  manifest.cluster_id = {3, 4};
  manifest.uuid = {5, 6};
  manifest.binding = binding;
  manifest.detached_ms = 7;
  manifest.snapshot = 8;
  manifest.first_file = 9;
  manifest.first_seed = 10;
  manifest.first_frame = 11;
  manifest.add_ancestor({12, 13});
  manifest.add_ancestor({14, 15});
  return manifest;
}

class ManifestFileTest : public ::testing::Test {
 protected:
  ManifestFile open() {
    Result<ManifestFile> file = ManifestFile::open(folder_->fd(), folder_->path());
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
  }
  std::uint64_t newest_binding() {
    const ManifestFile file = open();
    return file.newest() ? file.newest()->binding : 0;
  }

  std::uint64_t file_number() const {
    struct stat status {};
    EXPECT_EQ(stat(path_.c_str(), &status), 0);
    return status.st_ino;
  }

  const TemporaryFolder outer_;
  Result<JournalFolder> folder_ = JournalFolder::open(outer_.path() + "/data");
  const std::string path_ = outer_.path() + "/data/MANIFEST";
};

// Shows that a block has the bytes of the header's worked example.
TEST(Manifest, HasTheBytesOfTheExample) {
  Manifest manifest;
  manifest.state = ManifestState::kValid;
  manifest.policy = SyncPolicy::kAlways;
  manifest.is_exact = 1;
  manifest.generation = 3;
  manifest.data_id = {1, 2};
  manifest.binding = 0x77;
  manifest.first_file = 12;
  manifest.first_seed = 0x1234;
  manifest.first_frame = 5;
  manifest.time_base_ms = 0x99;
  manifest.add_ancestor({8, 9});
  const std::string bytes = manifest_block(manifest);
  ASSERT_EQ(bytes.size(), kManifestBlockBytes);
  const std::string front = from_hex(
      "6d 65 6d 6d 61 6e 69 66  01 00 00 00 02 02 01 00  03 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00"
      "02 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00"
      "00 00 00 00 00 00 00 00  77 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00"
      "0c 00 00 00 00 00 00 00  34 12 00 00 00 00 00 00  05 00 00 00 00 00 00 00  99 00 00 00 00 00 00 00"
      "01 00 00 00 00 00 00 00  08 00 00 00 00 00 00 00  09 00 00 00 00 00 00 00");
  EXPECT_EQ(bytes.substr(0, front.size()), front);
  EXPECT_EQ(bytes.substr(264, 8), from_hex("06 97 44 8e a2 f3 08 9a"));
  EXPECT_EQ(bytes.find_first_not_of('\0', 272), std::string::npos);
}

// Shows that the ninth ancestor takes the oldest one's place.
TEST(Manifest, KeepsTheNewestAncestors) {
  Manifest manifest;
  for (std::uint64_t i = 1; i <= 9; ++i) manifest.add_ancestor({i, i});
  EXPECT_EQ(manifest.ancestor_count, 8u);
  EXPECT_EQ(manifest.ancestors.front(), (Identity{9, 9}));
  EXPECT_EQ(manifest.ancestors.back(), (Identity{2, 2}));
}

// Shows that without a file there is nothing, and that every field of the last write comes back.
TEST_F(ManifestFileTest, ComesBack) {
  {
    ManifestFile file = open();
    EXPECT_FALSE(file.newest());
    for (const std::uint64_t binding : {1u, 2u, 3u}) ASSERT_TRUE(file.write(manifest_of(binding)));
  }
  const ManifestFile file = open();
  ASSERT_TRUE(file.newest());
  Manifest expected = manifest_of(3);
  expected.generation = 3;
  EXPECT_EQ(manifest_block(*file.newest()), manifest_block(expected));
}

// Shows for a write that was torn at every byte, and for every byte of the block flipped, that the generation
// before it counts; and that the next write goes on behind that.
TEST_F(ManifestFileTest, TornAtEveryByte) {
  ManifestFile first = open();
  for (const std::uint64_t binding : {1u, 2u}) ASSERT_TRUE(first.write(manifest_of(binding)));
  const std::string before = bytes_of_file(path_);
  ASSERT_TRUE(first.write(manifest_of(3)));
  const std::string after = bytes_of_file(path_);
  EXPECT_EQ(newest_binding(), 3u);
  const std::size_t block = kManifestBlockBytes;  // generation 3
  std::size_t differing = 0;
  for (std::size_t i = 0; i < sizeof(Manifest); ++i) {
    std::string torn = after.substr(0, block + i) + before.substr(block + i);
    if (torn == after) break;
    ++differing;
    write_file(path_, torn);
    EXPECT_EQ(newest_binding(), 2u) << i;
    std::string flipped = after;
    flipped[block + i] = static_cast<char>(flipped[block + i] ^ 1);
    write_file(path_, flipped);
    EXPECT_EQ(newest_binding(), 2u) << i;
  }
  EXPECT_GT(differing, 100u);
  ManifestFile file = open();
  ASSERT_TRUE(file.write(manifest_of(4)));
  EXPECT_EQ(newest_binding(), 4u);
}

// Shows that two damaged blocks, and a version that is not ours, are errors that say what to do or expect.
TEST_F(ManifestFileTest, Refused) {
  write_file(path_, std::string(2 * kManifestBlockBytes, 'x'));
  std::filesystem::permissions(path_, std::filesystem::perms(0600));
  Result<ManifestFile> file = ManifestFile::open(folder_->fd(), folder_->path());
  ASSERT_FALSE(file);
  EXPECT_TRUE(file.error().message.starts_with(path_ + " is damaged: neither of its two blocks is whole."))
      << file.error().message;
  Manifest other = manifest_of(1);
  other.version = 2;
  write_file(path_, manifest_block(other) + std::string(kManifestBlockBytes, '\0'));
  file = ManifestFile::open(folder_->fd(), folder_->path());
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message, path_ + " is of version 2; this program reads version 1");
}

// Shows that what is found is not taken for what is on disk: the first write makes a new file, whatever a
// process before this one has left of the old one's blocks.
TEST_F(ManifestFileTest, WhatIsFoundMayNotBeOnDisk) {
  ManifestFile former = open();
  for (const std::uint64_t binding : {1u, 2u}) ASSERT_TRUE(former.write(manifest_of(binding)));
  EXPECT_TRUE(former.is_on_disk());
  const std::uint64_t found_file = file_number();
  ManifestFile file = open();
  EXPECT_FALSE(file.is_on_disk());
  ASSERT_TRUE(file.write(*file.newest()));
  EXPECT_TRUE(file.is_on_disk());
  EXPECT_NE(file_number(), found_file);
  EXPECT_EQ(newest_binding(), 2u);
}

// Shows that after a failed write or sync the next write makes a new file, of a higher generation.
TEST_F(ManifestFileTest, FailedWrite) {
  for (const DiskCall call : {DiskCall::kWrite, DiskCall::kSyncData}) {
    ManifestFile file = open();
    ASSERT_TRUE(file.write(manifest_of(1)));
    {
      const DiskFault fault(call, EIO);
      const Outcome failed = file.write(manifest_of(2));
      ASSERT_FALSE(failed);
      EXPECT_EQ(failed.error().error_number, EIO);
    }
    EXPECT_EQ(file.newest()->binding, 1u);
    const std::uint64_t found = newest_binding();
    EXPECT_TRUE(found == 1 || found == 2) << found;
    const std::uint64_t failed_file = file_number();
    ASSERT_TRUE(file.write(manifest_of(3)));
    EXPECT_NE(file_number(), failed_file);
    EXPECT_EQ(newest_binding(), 3u);
    ASSERT_TRUE(file.write(manifest_of(4)));
    EXPECT_EQ(newest_binding(), 4u);
  }
}

}  // namespace
}  // namespace memento::testing
