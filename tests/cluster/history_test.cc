// The checker of histories, on histories that are known to be good or bad.
#include "tests/cluster/history.h"

#include <gtest/gtest.h>

namespace memento::testing {
namespace {

using Kind = Operation::Kind;

Operation write(const std::string& value, std::int64_t begin, std::int64_t end) { return {Kind::kWrite, value, begin, end}; }
Operation read(const std::string& value, std::int64_t begin, std::int64_t end) { return {Kind::kRead, value, begin, end}; }

TEST(ClusterHistory, GoodOnesPass) {
  EXPECT_TRUE(is_linear({}));
  EXPECT_TRUE(is_linear({read("", 0, 1), write("a", 2, 3), read("a", 4, 5), write("b", 6, 7), read("b", 8, 9)}));
  // A read beside a write may see it or not; then it stays seen.
  EXPECT_TRUE(is_linear({write("a", 0, 10), read("", 1, 2), read("a", 3, 4), read("a", 5, 6)}));
  // Two writes side by side, in either order.
  EXPECT_TRUE(is_linear({write("a", 0, 10), write("b", 0, 10), read("a", 11, 12)}));
  EXPECT_TRUE(is_linear({write("a", 0, 10), write("b", 0, 10), read("b", 11, 12)}));
  // A write of unknown outcome happened, never, or late.
  EXPECT_TRUE(is_linear({write("a", 0, kNever), read("a", 5, 6)}));
  EXPECT_TRUE(is_linear({write("a", 0, kNever), read("", 5, 6)}));
  EXPECT_TRUE(is_linear({write("a", 0, kNever), read("", 5, 6), write("b", 7, 8), read("b", 9, 10), read("a", 11, 12)}));
}

TEST(ClusterHistory, BadOnesAreFound) {
  EXPECT_FALSE(is_linear({read("a", 0, 1)})) << "nobody wrote it";
  EXPECT_FALSE(is_linear({write("a", 0, 1), read("", 2, 3)})) << "an acknowledged write was lost";
  EXPECT_FALSE(is_linear({write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)})) << "a stale read";
  EXPECT_FALSE(is_linear({write("a", 0, 10), read("a", 1, 2), read("", 3, 4)})) << "seen, and then not";
  EXPECT_FALSE(is_linear({write("a", 0, 10), write("b", 0, 10), read("a", 11, 12), read("b", 13, 14)})) << "two last values";
  EXPECT_FALSE(is_linear({write("a", 5, kNever), read("a", 1, 2)})) << "read before it was begun";
  EXPECT_FALSE(is_linear({write("a", 0, kNever), read("a", 1, 2), write("b", 3, 4), read("a", 5, 6)})) << "it happened twice";
}

// Shows that the search ends soon on a long history with four clients at once.
TEST(ClusterHistory, LongOnesAreChecked) {
  std::vector<Operation> history;
  for (int i = 0; i < 2000; ++i) {
    const std::int64_t at = 10 * i;
    history.push_back(write(std::to_string(i), at, at + 9));
    history.push_back(read(i == 0 ? "" : std::to_string(i - 1), at, at + 1));
    history.push_back(read(std::to_string(i), at + 8, at + 9));
    if (i % 500 == 0) history.push_back(write("lost" + std::to_string(i), at, kNever));
  }
  EXPECT_TRUE(is_linear(history));
  history[4000].value = "7";
  EXPECT_FALSE(is_linear(history));
}

}  // namespace
}  // namespace memento::testing
