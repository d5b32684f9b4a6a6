// The texts that workers share: two stores over one file are two workers. Kept ones stay, seen ones go when
// there are many, a process that is killed anywhere leaves a store that works.
#include "shm/texts/text_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <new>
#include <string>

#include "tests/cpu_growth.h"

namespace memento {
namespace {

using Put = TextStore::Put;
using Keep = TextStore::Keep;
constexpr TextGroup kScript = TextGroup::kScript;
constexpr TextGroup kLibrary = TextGroup::kLibrary;

class TextStoreTest : public ::testing::Test {
 protected:
  TextStoreTest() {
    char name[] = "/dev/shm/memento-texts-XXXXXX";
    folder_ = mkdtemp(name);
    segment_ = folder_ + "/segment";
  }
  ~TextStoreTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::string segment_;
};

std::string found(TextStore& store, TextGroup group, std::string_view name) {
  const std::optional<std::string_view> text = store.find(group, name);
  return text ? std::string(*text) : "(none)";
}

// What one worker writes the other finds, and so does a later server.
TEST_F(TextStoreTest, TextsAreShared) {
  TextStore a(segment_), b(segment_);
  EXPECT_EQ(found(b, kScript, "s"), "(none)");
  EXPECT_EQ(a.put(kScript, "s", "return 1", Keep::kKept), Put::kDone);
  EXPECT_EQ(found(b, kScript, "s"), "return 1");
  EXPECT_EQ(found(b, kLibrary, "s"), "(none)");
  EXPECT_EQ(b.put(kLibrary, "s", "lib", Keep::kKept), Put::kDone);
  EXPECT_EQ(b.put(kLibrary, "s", "lib 2", Keep::kKept), Put::kDone);
  EXPECT_EQ(found(a, kLibrary, "s"), "lib 2");
  EXPECT_EQ(a.count(kLibrary), 1u);
  EXPECT_EQ(a.size_bytes(kLibrary), 6u);
  EXPECT_EQ(a.erase(kLibrary, "s"), Put::kDone);
  EXPECT_EQ(found(b, kLibrary, "s"), "(none)");
  TextStore later(segment_);
  EXPECT_EQ(found(later, kScript, "s"), "return 1");
  TextStore::remove_file(segment_);
  TextStore fresh(segment_);
  EXPECT_EQ(found(fresh, kScript, "s"), "(none)");
}

/// Notes what the store records, and has room or not.
class NotedRecords : public TextJournal {
 public:
  bool has_room(std::uint64_t count, std::uint64_t bytes) override {
    EXPECT_EQ(count, 1u);
    if (is_full) throw std::bad_alloc();
    return bytes <= limit_bytes;
  }
  void record(RecordKind kind, std::string_view key, std::string_view text) override {
    noted.append(std::to_string(static_cast<int>(kind))).append(" ").append(key).append("=").append(text) +=
        ";";
  }
  std::string noted;
  std::uint64_t limit_bytes = 100;
  bool is_full = false;
};

// What is kept is recorded, once, in front of the change; what was merely seen is not. Without room nothing
// is changed.
TEST_F(TextStoreTest, ChangesAreRecorded) {
  TextStore store(segment_);
  NotedRecords journal;
  store.set_journal(&journal);
  EXPECT_EQ(store.put(kScript, "seen", "x", Keep::kEvaluated), Put::kDone);
  EXPECT_EQ(store.erase(kScript, "seen"), Put::kDone);
  EXPECT_EQ(journal.noted, "");
  EXPECT_EQ(store.put(kScript, "a", "x", Keep::kKept), Put::kDone);
  EXPECT_EQ(store.put(kScript, "a", "x", Keep::kKept), Put::kDone);
  EXPECT_EQ(store.put(kLibrary, "a", "y", Keep::kKept), Put::kDone);
  EXPECT_EQ(store.erase(kLibrary, "none"), Put::kDone);
  EXPECT_EQ(store.erase(kLibrary, "a"), Put::kDone);
  EXPECT_EQ(store.clear(kScript), Put::kDone);
  EXPECT_EQ(journal.noted, "1 sa=x;1 la=y;4 la=;7 s=;");
  journal.limit_bytes = 5;
  EXPECT_EQ(store.put(kLibrary, "b", "12345", Keep::kKept), Put::kTooLong);
  EXPECT_EQ(found(store, kLibrary, "b"), "(none)");
  journal.is_full = true;
  EXPECT_THROW(store.put(kLibrary, "b", "1", Keep::kKept), std::bad_alloc);
  EXPECT_EQ(found(store, kLibrary, "b"), "(none)");
  journal.is_full = false;
  EXPECT_EQ(store.put(kLibrary, "b", "1", Keep::kKept), Put::kDone);
}

// What is kept can be copied while nobody writes, and read again by the keys of its records.
TEST_F(TextStoreTest, KeptTextsAreVisited) {
  TextStore store(segment_);
  EXPECT_EQ(store.put(kScript, "a", "1", Keep::kKept), Put::kDone);
  EXPECT_EQ(store.put(kScript, "b", "2", Keep::kEvaluated), Put::kDone);
  EXPECT_EQ(store.put(kLibrary, "c", "3", Keep::kKept), Put::kDone);
  EXPECT_EQ(store.kept_count(), 2u);
  std::string seen;
  EXPECT_TRUE(store.each_kept([&] { seen += "begin"; },
                              [&](TextGroup group, std::string_view name, std::string_view text) {
                                const std::string key = TextStore::key_of(group, name);
                                EXPECT_EQ(TextStore::read_key(key), std::pair(group, name));
                                seen.append(" ").append(key).append("=").append(text);
                              }));
  EXPECT_EQ(seen, "begin sa=1 lc=3");
  for (const char* none : {"", "x", "S1"}) EXPECT_FALSE(TextStore::read_key(none)) << none;
}

// A cache of what was compiled learns when it is out of date.
TEST_F(TextStoreTest, GenerationsMove) {
  TextStore a(segment_), b(segment_);
  EXPECT_EQ(a.put(kScript, "s", "x", Keep::kEvaluated), Put::kDone);
  const std::uint64_t scripts = b.generation(kScript);
  const std::uint64_t libraries = b.generation(kLibrary);
  EXPECT_EQ(a.put(kScript, "t", "x", Keep::kEvaluated), Put::kDone);
  EXPECT_EQ(b.generation(kScript), scripts);
  EXPECT_EQ(a.put(kLibrary, "l", "x", Keep::kKept), Put::kDone);
  EXPECT_NE(b.generation(kLibrary), libraries);
  EXPECT_EQ(a.clear(kScript), Put::kDone);
  EXPECT_NE(b.generation(kScript), scripts);
  EXPECT_EQ(b.count(kScript), 0u);
  EXPECT_EQ(found(b, kLibrary, "l"), "x");
}

// Of those merely seen the oldest go; what is kept does not, and being seen again changes nothing of it.
TEST_F(TextStoreTest, TheOldestSeenOnesGo) {
  TextStore a(segment_), b(segment_);
  EXPECT_EQ(a.put(kScript, "kept", "k", Keep::kKept), Put::kDone);
  EXPECT_EQ(a.put(kScript, "kept", "k", Keep::kEvaluated), Put::kDone);
  for (std::uint64_t i = 0; i < TextStore::kEvaluatedLimit + 3; ++i)
    ASSERT_EQ(a.put(kScript, "e" + std::to_string(i), "x", Keep::kEvaluated), Put::kDone);
  EXPECT_EQ(b.count(kScript), TextStore::kEvaluatedLimit + 1);
  EXPECT_EQ(found(b, kScript, "e2"), "(none)");
  EXPECT_EQ(found(b, kScript, "e3"), "x");
  EXPECT_EQ(found(b, kScript, "kept"), "k");
  EXPECT_EQ(b.put(kScript, "e3", "x", Keep::kKept), Put::kDone);
  const std::string long_text(1 << 20, 'x');
  for (int i = 0; i < 40; ++i)
    ASSERT_EQ(a.put(kScript, "long" + std::to_string(i), long_text, Keep::kEvaluated), Put::kDone);
  EXPECT_LE(b.size_bytes(kScript), TextStore::kEvaluatedLimitBytes + 100);
  EXPECT_EQ(found(b, kScript, "e3"), "x");
}

// What is kept by others' wish has an end; the file is written anew when most of it was removed.
TEST_F(TextStoreTest, MemoryIsBounded) {
  TextStore a(segment_), b(segment_);
  const std::string text(4 << 20, 'x');
  for (int i = 0; i < 7; ++i)
    ASSERT_EQ(a.put(kLibrary, "l" + std::to_string(i), text, Keep::kKept), Put::kDone);
  EXPECT_EQ(a.put(kLibrary, "l7", text, Keep::kKept), Put::kNoRoom);
  EXPECT_EQ(found(b, kLibrary, "l6"), text);
  for (int i = 0; i < 40; ++i) {
    TextStore::Put put = a.put(kLibrary, "l1", text + std::to_string(i), Keep::kKept);
    ASSERT_EQ(put, Put::kDone) << i;
  }
  EXPECT_EQ(found(b, kLibrary, "l1"), text + "39");
  EXPECT_EQ(found(b, kLibrary, "l6"), text);
  EXPECT_EQ(b.put(kLibrary, "small", "s", Keep::kKept), Put::kDone);
  EXPECT_EQ(found(a, kLibrary, "small"), "s");
}

// Many small texts are bounded, too, and one more costs the same however many there are.
TEST_F(TextStoreTest, SmallTextsAreBounded) {
  const double growth = testing::cpu_growth(500, [&](std::size_t count) {
    TextStore store(segment_);
    EXPECT_EQ(store.clear(kScript), Put::kDone);
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_EQ(store.put(kScript, "s" + std::to_string(i), "x", Keep::kKept), Put::kDone);
  });
  EXPECT_LT(growth, testing::kClearlyBelowQuadratic);
  TextStore a(segment_), b(segment_);
  EXPECT_EQ(a.clear(kScript), Put::kDone);
  std::uint64_t count = 0;
  while (a.put(kScript, "s" + std::to_string(count), "x", Keep::kKept) == Put::kDone) ++count;
  EXPECT_LE(count, TextStore::kKeptLimitBytes / TextStore::kOverheadBytes);
  EXPECT_GT(count, 100'000u);
  EXPECT_EQ(b.count(kScript), count);
  EXPECT_EQ(b.put(kScript, "s1", "x", Keep::kKept), Put::kDone);
  EXPECT_EQ(b.erase(kScript, "s1"), Put::kDone);
  EXPECT_EQ(b.put(kScript, "n", "x", Keep::kKept), Put::kDone);
  EXPECT_EQ(b.put(kScript, "m", "x", Keep::kEvaluated), Put::kDone);
}

// A process that writes all the time is killed at any place, again and again: every text that was written to
// its end is there, and another process goes on.
TEST_F(TextStoreTest, AKilledWriterLeavesNothingHalf) {
  const std::string text(300'000, 'x');
  TextStore survivor(segment_);
  for (int round = 0; round < 30; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      TextStore store(segment_);
      for (int i = 0;; ++i) {
        const std::string name = "l" + std::to_string(i % 20);
        store.put(kLibrary, name, name + text + std::to_string(i), Keep::kKept);
        [[maybe_unused]] const ssize_t told = write(ends[1], "x", 1);
      }
    }
    char bytes[64];
    for (int got = 0; got <= round * 3;) got += static_cast<int>(read(ends[0], bytes, sizeof bytes));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(ends[0]);
    close(ends[1]);
    survivor.each(kLibrary, [&](std::string_view name, std::string_view found_text) {
      EXPECT_TRUE(found_text.starts_with(std::string(name) + text.substr(0, 10)));
      EXPECT_GT(found_text.size(), text.size());
    });
    ASSERT_EQ(survivor.put(kScript, "s" + std::to_string(round), "x", Keep::kKept), Put::kDone) << round;
  }
  EXPECT_EQ(survivor.count(kScript), 30u);
}

// Another version's file is none.
TEST_F(TextStoreTest, AnotherVersionBeginsEmpty) {
  { TextStore(segment_).put(kScript, "s", "x", Keep::kKept); }
  FILE* const file = fopen((folder_ + "/scripts").c_str(), "r+");
  fseek(file, 8, SEEK_SET);
  fputc(99, file);
  fclose(file);
  TextStore store(segment_);
  EXPECT_EQ(found(store, kScript, "s"), "(none)");
  EXPECT_EQ(store.put(kScript, "s", "y", Keep::kKept), Put::kDone);
  EXPECT_EQ(found(store, kScript, "s"), "y");
}

}  // namespace
}  // namespace memento
