// The file helpers: all of it or a failure.
#include "shm/os/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <string>

#include "shm/os/fd.h"

namespace memento::testing {
namespace {

class OsFile : public ::testing::Test {
 protected:
  std::uint64_t memory_bytes() const {
    struct stat status {};
    fstat(file_.get(), &status);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  const Fd file_{memfd_create("file test", MFD_CLOEXEC)};
};

// Shows that reserving a range makes its memory there, and nothing before it.
TEST_F(OsFile, ReservesWhatItWasAskedTo) {
  ASSERT_TRUE(reserve_range(file_.get(), 8192, 16384));
  EXPECT_EQ(file_size_bytes(file_.get()), 16384u);
  EXPECT_EQ(memory_bytes(), 8192u);
}

// Shows that a hole gives memory back, reads as zero, and leaves the length and the bytes beside it.
TEST_F(OsFile, PunchesAHole) {
  const std::string text(16384, 't');
  ASSERT_TRUE(write_at(file_.get(), 0, text.data(), text.size()));
  ASSERT_TRUE(punch_hole(file_.get(), 4096, 16384));
  EXPECT_EQ(file_size_bytes(file_.get()), 16384u);
  EXPECT_EQ(memory_bytes(), 4096u);
  char bytes[2] = {};
  ASSERT_TRUE(read_at(file_.get(), 4095, bytes, 2));
  EXPECT_EQ(bytes[0], 't');
  EXPECT_EQ(bytes[1], '\0');
}

// Shows that bytes are written and read at their offset, and that a file that ends before them is a failure
// without errno.
TEST_F(OsFile, ReadsAllOrFails) {
  ASSERT_TRUE(write_at(file_.get(), 100, "abcdef", 6));
  char bytes[6] = {};
  ASSERT_TRUE(read_at(file_.get(), 100, bytes, 6));
  EXPECT_EQ(std::string(bytes, 6), "abcdef");
  errno = EIO;
  EXPECT_FALSE(read_at(file_.get(), 101, bytes, 6));
  EXPECT_EQ(errno, 0);
}

// Shows that a file that is not open fails everywhere, with its errno.
TEST_F(OsFile, FailsWithoutAFile) {
  char byte = 0;
  EXPECT_FALSE(reserve_range(-1, 0, 1) || punch_hole(-1, 0, 1) || read_at(-1, 0, &byte, 1) ||
               write_at(-1, 0, &byte, 1));
  EXPECT_EQ(errno, EBADF);
  EXPECT_FALSE(file_size_bytes(-1).has_value());
}

}  // namespace
}  // namespace memento::testing
