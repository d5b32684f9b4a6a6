// Whether a group waits for more, by what groups had before.
#include "archiver/group_commit.h"

#include <gtest/gtest.h>

namespace memento {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

// Shows that nobody waits who is alone, or as many as usual, and that others wait, for a sync's time at most.
TEST(GroupCommit, WaitsForAsManyAsUsual) {
  GroupCommit groups;
  EXPECT_FALSE(groups.is_to_wait(100, 0));
  for (int i = 0; i < 100; ++i) groups.note(100, kNsPerMs);
  EXPECT_FALSE(groups.is_to_wait(100, 0));
  for (int i = 0; i < 100; ++i) groups.note(5000, kNsPerMs);
  EXPECT_FALSE(groups.is_to_wait(5000, 0));
  EXPECT_FALSE(groups.is_to_wait(4500, 0));
  EXPECT_TRUE(groups.is_to_wait(4000, 0));
  EXPECT_TRUE(groups.is_to_wait(100, kNsPerMs / 2));
  EXPECT_FALSE(groups.is_to_wait(100, kNsPerMs));
}

// Shows that it is forgotten soon that there were more, and that a slow disk makes nobody wait for long.
TEST(GroupCommit, ForgetsWhatWasUsual) {
  GroupCommit groups;
  for (int i = 0; i < 100; ++i) groups.note(5000, 100 * kNsPerMs);
  EXPECT_TRUE(groups.is_to_wait(100, kNsPerMs));
  EXPECT_FALSE(groups.is_to_wait(100, 2 * kNsPerMs));
  for (int i = 0; i < 40; ++i) groups.note(100, 100 * kNsPerMs);
  EXPECT_FALSE(groups.is_to_wait(100, 0));
}

}  // namespace
}  // namespace memento
