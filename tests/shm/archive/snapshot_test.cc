// Snapshots: a snapshot that was made while the keyspace was written is, with the journal from its first file
// on, what the keyspace is.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "shm/archive/snapshot_round.h"
#include "tests/shm/archive/load_fixture.h"

namespace memento::testing {
namespace {

constexpr std::uint32_t kMaker = 7;  // its process record

/// Makes snapshots of a recorded keyspace, as its archiver.
class SnapshotTest : public ::testing::Test {
 protected:
  /// A journal file of its own, and the round.
  void begin(std::uint64_t number = 1) {
    recorded_.archive();
    recorded_.journal().sync();
    recorded_.journal().begin_file();
    first_ = recorded_.journal().file().head();
    Result<std::unique_ptr<SnapshotRound>> round = SnapshotRound::begin(
        recorded_.segment(),
        {&recorded_.journal().folder().fd(), recorded_.journal().path(), number, Identity{}, kMaker});
    ASSERT_TRUE(round) << round.error().message;
    round_ = std::move(*round);
  }

  /// step(); nothing: an error, which is kept.
  std::optional<SnapshotRound::Step> step() {
    const Result<SnapshotRound::Step> step = round_->step();
    if (step) return *step;
    error_ = step.error().message;
    return std::nullopt;
  }

  /// All images, with between() after each step.
  template <class Between>
  void make_images(Between&& between) {
    for (;;) {
      const std::optional<SnapshotRound::Step> made = step();
      ASSERT_TRUE(made) << error_;
      if (*made == SnapshotRound::Step::kNeedsJournal) return;
      between();
    }
  }

  /// The journal as far as the snapshot needs it, and the end of its file.
  void end() {
    recorded_.archive();
    for (std::uint32_t i = 0; i < round_->needed_tails().size(); ++i)
      EXPECT_GE(recorded_.rings().merger().taken(i), round_->needed_tails()[i]);
    recorded_.journal().sync();
    round_->end_at(recorded_.journal().known());
    EXPECT_EQ(step(), SnapshotRound::Step::kDone) << error_;
    EXPECT_EQ(round_->done_slots(), round_->total_slots());
  }

  LoadOptions options(std::uint32_t thread_count = 2) {
    LoadOptions options = recorded_.options(thread_count);
    options.manifest.snapshot = round_->number();
    options.manifest.first_file = first_.number;
    options.manifest.first_seed = first_.seed;
    options.manifest.first_frame = first_.former_end + 1;
    return options;
  }

  void expect_loaded(std::uint32_t thread_count = 2) {
    auto loaded = make_segment(recorded_.segment().size_bytes());
    const Result<LoadReport> report = load(*loaded, options(thread_count));
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->text, "");
    expect_sound(*loaded);
    const Contents contents = contents_of(*loaded);
    expect_equal(contents, contents_of(recorded_.segment()));
    EXPECT_EQ(report->keys, contents.key_count());
  }

  std::string snapshot_path() const {
    return recorded_.journal().path() + "/" + snapshot_file_name(round_->number());
  }

  mutable RecordedKeyspace recorded_{128 << 20};
  std::unique_ptr<SnapshotRound> round_;
  JournalHead first_;
  std::string error_;
};

// Shows that changes of all kinds between the steps are where they belong: in slots that take one step, and
// in one that takes many, with long values, whatever databases exchange or lose.
TEST_F(SnapshotTest, WhileWritten) {
  for (std::uint64_t seed = 1; seed <= 4 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomWriters writers(recorded_.segment(), seed, 3, 1000, seed % 2 == 0 ? "{one}" : "");
    std::mt19937_64 random(seed);
    const auto write = [&](int count) {
      for (int i = 0; i < count; ++i) {
        if (!writers.step()) recorded_.archive();
      }
    };
    write(1500);
    begin(seed);
    std::size_t step_count = 0;
    make_images([&] {
      writers.set_whole_changes(seed > 2 && round_->restart_count() < 4);
      ++step_count;
      if (random() % (seed % 2 == 0 ? 2 : 40) == 0) write(1 + static_cast<int>(random() % 8));
      if (random() % 500 == 0) recorded_.archive();
    });
    EXPECT_GE(step_count, 3 * kSlotCount);
    writers.set_whole_changes(true);
    write(20);
    end();
    expect_loaded(1);
    write(500);
    recorded_.archive();
    expect_loaded(3);
  }
}

// Shows that records which a step has copied already change nothing a second time: what is appended to long
// values stands there once, whether that was before the step or behind it.
TEST_F(SnapshotTest, ChangesAreMadeOnce) {
  Keyspace keyspace(recorded_.segment(), 1);
  keyspace.set_now_ms(kStartMs);
  for (int i = 0; i < 3000; ++i) keyspace.set(keyspace.hash("{one}" + name_of(i)), std::string(300, 'v'));
  const auto append = [&](int i, char c) {
    keyspace.update(keyspace.hash("{one}long" + std::to_string(i)), [&](const EntryView* old) {
      const std::string_view bytes = old != nullptr ? old->value : std::string_view();
      return Change{Change::Action::kReplace, {bytes, std::string_view(&c, 1)}, kNoExpiry};
    });
  };
  for (int i = 0; i < 10; ++i) {
    keyspace.set(keyspace.hash("{one}long" + std::to_string(i)), std::string(40'000, 'l'));
    append(i, 'a');
  }
  begin();
  std::uint64_t bytes = 0;
  make_images([&] {
    if (round_->written_bytes() == bytes && !round_->holds_value()) return;
    bytes = round_->written_bytes();
    for (int i = 0; i < 10; ++i) append(i, 'b');
    keyspace.erase(keyspace.hash("{one}" + name_of(static_cast<int>(bytes % 3000))));
  });
  end();
  expect_loaded();
}

// Shows the same of writers in threads of their own.
TEST_F(SnapshotTest, ThreadsOfWriters) {
  std::atomic<bool> stops{false};
  std::atomic<std::uint64_t> changes{0};
  std::atomic<std::uint64_t> wanted_changes{0};
  RandomWriters first(recorded_.segment(), 5, 1, 3000);
  for (int i = 0; i < 3000; ++i) {
    if (!first.step()) recorded_.archive();
  }
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      RandomWriters writers(recorded_.segment(), 50 + i, 1, 3000, i == 0 ? "{one}" : "", 2 + i);
      writers.set_whole_changes(false);
      while (!stops) {
        if (changes < wanted_changes && writers.step()) ++changes;
      }
    });
  }
  begin();
  std::uint64_t step_count = 0;
  make_images([&] {
    if (++step_count % 4 == 0) ++wanted_changes;
    if (step_count % 32 == 0) recorded_.archive_some();
  });
  for (wanted_changes += 200; changes < wanted_changes;) recorded_.archive_some();
  stops = true;
  for (std::thread& thread : threads) thread.join();
  end();
  expect_loaded();
}

// Shows that data that is older than its journal comes back too.
TEST_F(SnapshotTest, DataFromBeforeTheJournal) {
  const std::uint64_t journal = recorded_.segment().header().journal.exchange(0);
  RandomWriters writers(recorded_.segment(), 3);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(writers.step());
  recorded_.segment().header().journal.store(journal);
  EXPECT_TRUE(contents_of(recorded_.segment()).positions.empty());
  begin();
  int count = 0;
  make_images([&] { EXPECT_TRUE(++count % 100 != 0 || writers.step()); });
  end();
  expect_loaded();
}

// Shows that a round that died is forgotten, and one that is cancelled leaves no file.
TEST_F(SnapshotTest, DiesMidway) {
  RandomWriters writers(recorded_.segment(), 4);
  for (int i = 0; i < 500; ++i) EXPECT_TRUE(writers.step());
  begin();
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(step());
  for (int i = 0; i < 500; ++i) EXPECT_TRUE(writers.step());
  round_.reset();
  begin();
  make_images([] {});
  end();
  expect_loaded();
  EXPECT_TRUE(std::filesystem::exists(snapshot_path()));
  begin(2);
  ASSERT_TRUE(step());
  EXPECT_TRUE(round_->cancel());
  EXPECT_FALSE(std::filesystem::exists(snapshot_path()));
}

// Shows that a SWAPDB makes the images of its databases again, and a round that is never done ends.
TEST_F(SnapshotTest, SwapsAgainAndAgain) {
  Keyspace keyspace(recorded_.segment(), 1);
  ASSERT_TRUE(keyspace.open_database(DatabaseId(1)));
  keyspace.set(keyspace.hash("a"), "one");
  begin();
  const auto swap_and_step = [&] {
    keyspace.swap_databases(DatabaseId(0), DatabaseId(1));
    return step();
  };
  for (std::uint32_t i = 0; i < SnapshotRound::kRestartLimit; ++i) {
    EXPECT_TRUE(swap_and_step());
    EXPECT_TRUE(step());
    EXPECT_EQ(round_->restart_count(), i + 1);
  }
  EXPECT_FALSE(swap_and_step());
  EXPECT_NE(error_.find("SWAPDB"), std::string::npos);
}

// Shows that a snapshot without the journal that it needs is an error, and with salvage what there is.
TEST_F(SnapshotTest, WithoutItsJournal) {
  Keyspace keyspace(recorded_.segment(), 1);
  const auto write = [&](int i, std::size_t bytes) {
    keyspace.set(keyspace.hash("{one}" + std::to_string(i)), std::string(bytes, 'v'));
  };
  for (int i = 0; i < 1000; ++i) write(i, 700);
  begin();
  make_images([&] { write(1000, 1); });
  end();
  expect_loaded();
  std::filesystem::resize_file(recorded_.journal().file_path(), kJournalHeadBytes);
  auto loaded = make_segment(128 << 20);
  LoadOptions wanted = options();
  const Result<LoadReport> refused = load(*loaded, wanted);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("the snapshot was taken with records up to position"),
            std::string::npos)
      << refused.error().message;
  wanted.salvages = true;
  const Result<LoadReport> report = load(*loaded, wanted);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GE(report->keys, 1000u);
  EXPECT_NE(report->text.find("keys may be as they were at different moments"), std::string::npos);
}

// Shows for a journal beside a snapshot that ends anywhere, or of which a byte was changed anywhere: what
// comes back is what the keyspace once was behind the snapshot's end, or it is an error; and that what the
// snapshot needs of the journal cannot be cut off.
TEST_F(SnapshotTest, JournalCutOrChangedAnywhere) {
  RandomWriters writers(recorded_.segment(), 11, 2, 10);
  writers.set_long_values(false);
  writers.set_whole_changes(false);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(writers.step());
  begin();
  int left = 4;
  make_images([&] {
    if (left-- <= 0) return;
    EXPECT_TRUE(writers.step());
  });
  end();
  const std::uint64_t needed_bytes = recorded_.journal().offset();
  std::vector<Contents> states{contents_of(recorded_.segment())};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(writers.step());
    recorded_.archive();
    states.push_back(contents_of(recorded_.segment()));
  }
  const std::string path = recorded_.journal().file_path();
  const std::string bytes = bytes_of_file(path).substr(0, recorded_.journal().offset());
  auto loaded = make_segment(128 << 20);
  const auto is_loaded = [&](const std::string& other) {
    write_file(path, other);
    EXPECT_TRUE(clear_for_load(*loaded));
    const Result<LoadReport> report = load(*loaded, options());
    const Contents found = contents_of(*loaded);
    EXPECT_TRUE(report ? std::ranges::find(states, found) != states.end() : found == Contents());
    return static_cast<bool>(report);
  };
  for (std::size_t at = 0; at < bytes.size() && !HasFailure(); ++at) {
    if (at == sizeof(JournalHead)) at = kJournalHeadBytes;
    SCOPED_TRACE(at);
    EXPECT_EQ(is_loaded(bytes.substr(0, at)), at >= needed_bytes);
    std::string other = bytes;
    other[at] = static_cast<char>(other[at] ^ (1 << at % 8));
    (void)is_loaded(other);
  }
  EXPECT_TRUE(is_loaded(bytes));
}

// Shows that a snapshot that is damaged or cut off anywhere is an error that names it, or is as good as
// whole.
TEST_F(SnapshotTest, AnyByteChanged) {
  RandomWriters writers(recorded_.segment(), 9, 1, 10);
  writers.set_long_values(false);
  writers.set_whole_changes(false);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(writers.step());
  begin();
  make_images([] {});
  end();
  const std::string bytes = bytes_of_file(snapshot_path());
  const Contents expected = contents_of(recorded_.segment());
  auto loaded = make_segment(128 << 20);
  std::size_t error_count = 0;
  const auto check = [&](const std::string& other) {
    write_file(snapshot_path(), other);
    ASSERT_TRUE(clear_for_load(*loaded));
    const Result<LoadReport> report = load(*loaded, options());
    ASSERT_TRUE(contents_of(*loaded) == (report ? expected : Contents()));
    if (report) return;
    ++error_count;
    EXPECT_NE(report.error().message.find(snapshot_path()), std::string::npos) << report.error().message;
  };
  for (std::size_t at = 0; at < bytes.size() && !HasFailure(); at += at < 64 || at > 4096 ? 29 : 512) {
    std::string other = bytes;
    other[at] = static_cast<char>(other[at] ^ (1 << at % 8));
    check(other);
    check(bytes.substr(0, at));
  }
  EXPECT_GT(error_count, 200u);
}

}  // namespace
}  // namespace memento::testing
