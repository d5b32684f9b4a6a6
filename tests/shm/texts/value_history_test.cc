// The values kept for TAIL: two histories over one file are two workers. What is kept is whole and in order
// whatever its lengths, and when a writer is killed anywhere.
#include "shm/texts/value_history.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <random>

namespace memento {
namespace {

using Keep = ValueHistory::Keep;
using Values = std::vector<std::string>;

class ValueHistoryTest : public ::testing::Test {
 protected:
  ValueHistoryTest() {
    char name[] = "/dev/shm/memento-tails-XXXXXX";
    folder_ = mkdtemp(name);
    segment_ = folder_ + "/segment";
  }
  ~ValueHistoryTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::string segment_;
};

// What one worker keeps the other finds, and so does a later server of the same data, but of no other data.
TEST_F(ValueHistoryTest, IsShared) {
  ValueHistory a(segment_, 1), b(segment_, 1);
  EXPECT_EQ(b.last("k", 10), std::nullopt);
  a.add("k", 1, "not kept yet");
  EXPECT_EQ(a.keep("k"), Keep::kDone);
  EXPECT_EQ(b.last("k", 10), Values());
  b.add("k", 5, "one");
  a.add("k", 7, "two");
  b.add("k", 6, "overtaken");
  b.add("k", 7, "two");
  b.add("k", 8, std::string(ValueHistory::kValueLimitBytes + 1, 'x'));
  b.add("other", 9, "x");
  EXPECT_EQ(b.keep("k"), Keep::kDone);
  EXPECT_EQ(a.last("k", 10), Values({"one", "two"}));
  EXPECT_EQ(a.last("k", 1), Values({"two"}));
  EXPECT_EQ(ValueHistory(segment_, 1).last("k", 10), Values({"one", "two"}));
  a.clear();
  b.add("k", 9, "three");
  EXPECT_EQ(a.last("k", 10), Values({"three"}));
  EXPECT_TRUE(b.forget("k"));
  EXPECT_FALSE(b.forget("k"));
  EXPECT_EQ(a.last("k", 10), std::nullopt);
  EXPECT_EQ(a.keep("k"), Keep::kDone);
  EXPECT_EQ(b.last("k", 10), Values());
  EXPECT_EQ(ValueHistory(segment_, 2).last("k", 10), std::nullopt);
}

// Values of all lengths, against a model: the ring holds the last ones whole, as many as there is room for.
TEST_F(ValueHistoryTest, HoldsTheLastOnes) {
  ValueHistory history(segment_, 1);
  ASSERT_EQ(history.keep("k"), Keep::kDone);
  std::mt19937 random(7);
  std::deque<std::string> model;
  for (std::uint64_t version = 1; version < 3000; ++version) {
    const std::size_t limit = random() % 4 == 0 ? ValueHistory::kValueLimitBytes : 100;
    std::string value(random() % (limit + 1), static_cast<char>('a' + version % 26));
    history.add("k", version, value);
    model.push_back(std::move(value));
    const Values kept = *history.last("k", 10'000);
    ASSERT_GE(kept.size(), std::min<std::size_t>(3, model.size()));
    while (model.size() > kept.size()) model.pop_front();
    ASSERT_EQ(kept, Values(model.begin(), model.end())) << version;
  }
}

// There is an end to the keys; one that is forgotten makes room, and the others stay.
TEST_F(ValueHistoryTest, KeysAreBounded) {
  ValueHistory history(segment_, 1);
  const auto name = [](std::uint32_t i) { return "key:" + std::to_string(i); };
  for (std::uint32_t i = 0; i < ValueHistory::kKeyLimit; ++i) {
    ASSERT_EQ(history.keep(name(i)), Keep::kDone);
    history.add(name(i), 1, name(i));
  }
  EXPECT_EQ(history.keep("more"), Keep::kTooMany);
  for (std::uint32_t i = 0; i < ValueHistory::kKeyLimit; i += 2) {
    EXPECT_TRUE(history.forget(name(i)));
    EXPECT_EQ(history.keep("instead of " + name(i)), Keep::kDone);
  }
  for (std::uint32_t i = 1; i < ValueHistory::kKeyLimit; i += 2)
    EXPECT_EQ(history.last(name(i), 9), Values({name(i)}));
  EXPECT_FALSE(history.may_keep("key:0"));
}

// A writer that is killed at any moment leaves whole values, the last of them perhaps missing, and others go
// on.
TEST_F(ValueHistoryTest, WritersAreKilled) {
  constexpr std::uint64_t kRound = 100'000'000;
  ValueHistory history(segment_, 1);
  ASSERT_EQ(history.keep("k"), Keep::kDone);
  const auto last = [&](std::size_t count) {
    for (;;) {  // nothing: the writer has the lock again and again
      if (std::optional<Values> values = history.last("k", count)) return *values;
    }
  };
  for (std::uint64_t round = 1; round <= 40; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ValueHistory own(segment_, 1);
      for (std::uint64_t i = 1;; ++i)
        own.add("k", round * kRound + i, std::string(i % 5000, static_cast<char>('a' + i % 26)));
    }
    while (last(1).empty() || last(1)[0].size() < round) {
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const Values values = last(10'000);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(values[i].find_first_not_of(values[i].substr(0, 1)), std::string::npos);
      if (i > 0) {
        ASSERT_EQ((values[i - 1].size() + 1) % 5000, values[i].size());
      }
    }
    history.clear();
  }
}

}  // namespace
}  // namespace memento
