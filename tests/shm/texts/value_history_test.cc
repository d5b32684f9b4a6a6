// The values kept for TAIL: two histories over one file are two workers. What is kept is whole and in order
// whatever its lengths, and when a writer is killed anywhere.
#include "shm/texts/value_history.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <fstream>
#include <random>

#include "shm/os/fd.h"
#include "shm/os/file_lock.h"

namespace memento {
namespace {

using Keep = ValueHistory::Keep;
using Forget = ValueHistory::Forget;
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
  a.add("k", 1, "not kept yet", a.generation());
  EXPECT_EQ(a.keep("k"), Keep::kDone);
  EXPECT_EQ(b.last("k", 10), Values());
  b.add("k", 5, "one", b.generation());
  a.add("k", 7, "two", a.generation());
  b.add("k", 6, "overtaken", b.generation());
  b.add("k", 7, "two", b.generation());
  b.add("k", 8, std::string(ValueHistory::kValueLimitBytes + 1, 'x'), b.generation());
  b.add("other", 9, "x", b.generation());
  EXPECT_EQ(b.keep("k"), Keep::kDone);
  EXPECT_EQ(a.last("k", 10), Values({"one", "two"}));
  EXPECT_EQ(a.last("k", 1), Values({"two"}));
  EXPECT_EQ(ValueHistory(segment_, 1).last("k", 10), Values({"one", "two"}));
  a.clear();
  b.add("k", 9, "three", b.generation());
  EXPECT_EQ(a.last("k", 10), Values({"three"}));
  EXPECT_EQ(b.forget("k"), Forget::kDone);
  EXPECT_EQ(b.forget("k"), Forget::kNotKept);
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
    history.add("k", version, value, history.generation());
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
    history.add(name(i), 1, name(i), history.generation());
  }
  EXPECT_EQ(history.keep("more"), Keep::kTooMany);
  for (std::uint32_t i = 0; i < ValueHistory::kKeyLimit; i += 2) {
    EXPECT_EQ(history.forget(name(i)), Forget::kDone);
    EXPECT_EQ(history.keep("instead of " + name(i)), Keep::kDone);
  }
  for (std::uint32_t i = 1; i < ValueHistory::kKeyLimit; i += 2)
    EXPECT_EQ(history.last(name(i), 9), Values({name(i)}));
  EXPECT_FALSE(history.may_keep("key:0"));
}

// Clearing needs nobody's leave: while another process holds the file's lock, and is not waited for, all
// values go all the same, and so does one that was read before. To forget a key is refused then.
TEST_F(ValueHistoryTest, ClearingWaitsForNobody) {
  ValueHistory history(segment_, 1);
  ASSERT_EQ(history.keep("k"), Keep::kDone);
  const std::uint64_t before = history.generation();
  history.add("k", 1, "old", before);
  {
    const Fd file(open((folder_ + "/tails").c_str(), O_RDWR));
    const FileLock lock(file.get(), 1);
    ASSERT_TRUE(lock.is_held());
    history.clear();
    EXPECT_EQ(history.forget("k"), Forget::kBusy);
    ValueHistory late(segment_, 1);
    late.clear();
    EXPECT_EQ(late.generation(), before + 2);
  }
  history.add("k", 2, "read before", before);
  EXPECT_EQ(history.last("k", 10), Values());
  history.add("k", 3, "new", history.generation());
  history.add("k", 4, "read before", before);
  EXPECT_EQ(ValueHistory(segment_, 1).last("k", 10), Values({"new"}));
  EXPECT_EQ(history.forget("k"), Forget::kDone);
}

// Places of the index that were used are free again: after many keys in turn it is nearly empty, and those
// that stayed are found.
TEST_F(ValueHistoryTest, ErasedPlacesAreFreeAgain) {
  ValueHistory history(segment_, 1);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(history.keep("stays" + std::to_string(i)), Keep::kDone);
  for (int i = 0; i < 5000; ++i) {
    const std::string key = std::to_string(i);
    ASSERT_EQ(history.keep(key), Keep::kDone);
    ASSERT_EQ(history.forget(key), Forget::kDone);
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(history.last("stays" + std::to_string(i), 1), Values());
  std::ifstream file(folder_ + "/tails");
  file.seekg(4096);
  std::array<std::uint64_t, 2 * ValueHistory::kKeyLimit> index{};
  file.read(reinterpret_cast<char*>(index.data()), sizeof index);
  EXPECT_LE(std::ranges::count_if(index, [](std::uint64_t word) { return word != 0; }), 6);
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
        own.add("k", round * kRound + i, std::string(i % 5000, static_cast<char>('a' + i % 26)),
                own.generation());
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
