// The page info word: fields that do not run into each other.
#include "shm/format/page_info.h"

#include <gtest/gtest.h>

#include "shm/format/size_class.h"

namespace memento::testing {
namespace {

// Shows that each field comes back as it was put in when all others have all their bits set, and all none.
TEST(PageInfo, FieldsAreApart) {
  const PageInfo full = PageInfo::make(255, 0xffff, 0xffff, PageInfo::kFlags);
  EXPECT_EQ(full.kind(), 255u);
  EXPECT_EQ(full.free(), 0xffffu);
  EXPECT_EQ(full.longest(), 0xffffu);
  EXPECT_EQ(full.flags(), PageInfo::kFlags);
  EXPECT_EQ(full.word >> 42, 0u);
  const PageInfo draining = PageInfo::make(0, 0, 0, PageInfo::kDraining);
  EXPECT_TRUE(draining.is_draining());
  EXPECT_FALSE(draining.is_main());
  EXPECT_EQ(draining.kind() + draining.free() + draining.longest(), 0u);
  EXPECT_EQ(PageInfo::make(0, 0, 0xffff).flags() + PageInfo::make(0, 0, 0xffff).free(), 0u);
  EXPECT_EQ(PageInfo::make(0, 0xffff).kind() + PageInfo::make(0, 0xffff).longest(), 0u);
}

// Shows that the three uses of a page are told apart, for every size class: units, blocks of the class,
// tables.
TEST(PageInfo, SaysWhatThePageIsUsedFor) {
  EXPECT_FALSE(PageInfo::make(0, 16).is_class_page());
  EXPECT_FALSE(PageInfo::make(kLinePage, kLinesPerPage).is_class_page());
  for (std::uint32_t size_class = 0; size_class < kSizeClasses.count; ++size_class) {
    const PageInfo page = PageInfo::make(size_class + 1, kSizeClasses.geometry[size_class].block_count);
    EXPECT_TRUE(page.is_class_page());
    EXPECT_EQ(page.size_class(), size_class);
    EXPECT_EQ(page.free(), kSizeClasses.geometry[size_class].block_count);
  }
}

}  // namespace
}  // namespace memento::testing
