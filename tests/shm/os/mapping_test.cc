// Mapping: who has the addresses, and when they are given back.
#include "shm/os/mapping.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "shm/os/fd.h"
#include "shm/os/file.h"

namespace memento::testing {
namespace {

constexpr std::size_t kPage = 4096;

bool is_mapped(const char* address) {
  unsigned char resident = 0;
  return mincore(const_cast<char*>(address), kPage, &resident) == 0;
}

// Shows that a mapping of a file reads and writes the file, and that its addresses are free once it ends.
TEST(Mapping, OfAFileIsTheFileUntilItEnds) {
  const Fd file(memfd_create("mapping test", MFD_CLOEXEC));
  ASSERT_TRUE(reserve_range(file.get(), 0, kPage));
  const char* address = nullptr;
  {
    const Result<Mapping> mapping = Mapping::of_file(file.get(), kPage, "the test's file");
    ASSERT_TRUE(mapping);
    address = mapping->data();
    mapping->data()[7] = 'x';
    EXPECT_TRUE(is_mapped(address));
  }
  EXPECT_FALSE(is_mapped(address));
  char byte = 0;
  ASSERT_TRUE(read_at(file.get(), 7, &byte, 1));
  EXPECT_EQ(byte, 'x');
}

// Shows that moving hands the addresses on: the one moved from is empty, and what the target had before is
// unmapped.
TEST(Mapping, IsMovedAndNotCopied) {
  Result<Mapping> first = Mapping::shared_memory(kPage, "the first");
  Result<Mapping> second = Mapping::shared_memory(kPage, "the second");
  ASSERT_TRUE(first && second);
  const char* const first_address = first->data();
  const char* const second_address = second->data();
  *second = std::move(*first);
  EXPECT_EQ(second->data(), first_address);
  EXPECT_FALSE(*first);
  EXPECT_EQ(first->size_bytes(), 0u);
  EXPECT_TRUE(is_mapped(first_address));
  EXPECT_FALSE(is_mapped(second_address));
}

// Shows that a child writes into the same memory, which mapping it as shared is for.
TEST(Mapping, SharedMemoryIsTheChildrensToo) {
  const Result<Mapping> memory = Mapping::shared_memory(kPage, "memory");
  ASSERT_TRUE(memory);
  const pid_t child = fork();
  if (child == 0) {
    memory->data()[0] = 'c';
    _exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(memory->data()[0], 'c');
}

// Shows that one page of a file, placed twice in a row, is read over its end as a ring is, and that a page
// that no file holds says so.
TEST(Mapping, PlacesAFileInReservedAddresses) {
  const Fd file(memfd_create("mapping test", MFD_CLOEXEC));
  ASSERT_TRUE(reserve_range(file.get(), 0, 2 * kPage));
  Result<Mapping> area = Mapping::addresses(3 * kPage, "addresses");
  ASSERT_TRUE(area);
  ASSERT_TRUE(area->place(kPage, file.get(), kPage, kPage));
  ASSERT_TRUE(area->place(2 * kPage, file.get(), kPage, kPage));
  area->data()[kPage] = 'r';
  EXPECT_EQ(area->data()[2 * kPage], 'r');
  EXPECT_FALSE(area->place(0, -1, 0, kPage));
}

// Shows that an error names the call, the object and the reason.
TEST(Mapping, SaysWhatItCouldNotMap) {
  const Result<Mapping> mapping = Mapping::of_file(-1, kPage, "/a/path");
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().message, "mmap(/a/path): Bad file descriptor");
}

}  // namespace
}  // namespace memento::testing
