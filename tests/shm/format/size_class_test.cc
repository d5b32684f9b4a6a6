// Size classes: what the table that is computed at compile time promises for every size.
#include "shm/format/size_class.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace memento::testing {
namespace {

// Shows for every size that its class's blocks hold it and those of the class below do not.
TEST(SizeClass, IsTheSmallestThatHoldsTheSize) {
  for (std::uint64_t bytes = 1; bytes <= kLargestBlockBytes; ++bytes) {
    const std::uint32_t size_class = class_of_size(bytes);
    ASSERT_LT(size_class, kSizeClasses.count);
    ASSERT_GE(kSizeClasses.geometry[size_class].block_bytes, bytes);
    if (size_class > 0) {
      ASSERT_LT(kSizeClasses.geometry[size_class - 1].block_bytes, bytes);
    }
  }
}

// Shows for every class that its bitmap and its blocks fit a page, that blocks are made of whole words, and
// that a refill leaves the magazine a free place.
TEST(SizeClass, FitsAPage) {
  for (std::uint32_t size_class = 0; size_class < kSizeClasses.count; ++size_class) {
    const ClassGeometry& geometry = kSizeClasses.geometry[size_class];
    EXPECT_EQ(geometry.block_bytes % 8, 0u);
    EXPECT_GE(geometry.first_offset * 8, geometry.block_count);
    EXPECT_LE(geometry.first_offset + geometry.block_count * geometry.block_bytes, kPageBytes);
    EXPECT_GE(geometry.batch, 1u);
    EXPECT_LT(2 * geometry.batch, kMagazineLimit + 1);
  }
}

// Shows that for up to 4 KiB a block is never more than a quarter larger than what it was taken for, or 8
// bytes where that is more.
TEST(SizeClass, WastesLittle) {
  for (std::uint64_t bytes = kSmallestBlockBytes; bytes <= 4096; ++bytes) {
    const std::uint64_t block_bytes = kSizeClasses.geometry[class_of_size(bytes)].block_bytes;
    ASSERT_LE(block_bytes - bytes, std::max<std::uint64_t>(8, bytes / 4)) << bytes;
  }
}

}  // namespace
}  // namespace memento::testing
