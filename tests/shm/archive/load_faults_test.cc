// Loading where something goes wrong: journals that are cut off or damaged anywhere, archivers and loaders
// that die, changes of whole databases that were under way, memory that is too small.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "tests/shm/archive/load_fixture.h"

namespace memento::testing {
namespace {

/// Removes the positions too, where only what keys hold counts.
Contents without_positions(Contents contents) {
  contents.positions.clear();
  return contents;
}

// A small journal of one file, in small frames, and what the keyspace was behind each change.
class SmallJournal {
 public:
  explicit SmallJournal(int change_count) : recorded_(16 << 20, 256 << 10), loaded_(make_segment(16 << 20)) {
    RandomWriters writers(recorded_.segment(), 7, 2, 8);
    writers.set_long_values(false);
    states_.push_back(without_positions(contents_of(recorded_.segment())));
    for (int i = 0; i < change_count; ++i) {
      EXPECT_TRUE(writers.step());
      recorded_.archive();
      states_.push_back(without_positions(contents_of(recorded_.segment())));
    }
    bytes_ = bytes_of_file(recorded_.journal().file_path());
    bytes_.resize(recorded_.journal().offset());
  }

  const std::string& bytes() const { return bytes_; }
  std::size_t state_count() const { return states_.size(); }

  /// Loads the file with these bytes; which of the states came out, from `first` on. Nothing: an error.
  std::optional<std::size_t> state_of(const std::string& bytes, std::size_t first, std::string* error) {
    write_file(recorded_.journal().file_path(), bytes);
    EXPECT_TRUE(clear_for_load(*loaded_));
    const Result<LoadReport> report = load(*loaded_, recorded_.options(2));
    const Contents contents = without_positions(contents_of(*loaded_));
    if (!report) {
      EXPECT_EQ(contents.key_count(), 0u);
      *error = report.error().message;
      return std::nullopt;
    }
    while (first < states_.size() && !(states_[first] == contents)) ++first;
    EXPECT_LT(first, states_.size()) << "what was loaded never was";
    return first;
  }

 private:
  RecordedKeyspace recorded_;
  std::unique_ptr<Segment> loaded_;
  std::vector<Contents> states_;
  std::string bytes_;
};

// Shows that a journal that ends anywhere makes what the keyspace once was, the later the more there is.
TEST(LoadFaults, CutAnywhere) {
  SmallJournal journal(10);
  std::size_t state = 0;
  for (std::size_t size = 0; size <= journal.bytes().size() && !HasFailure(); ++size) {
    std::string error;
    const auto found = journal.state_of(journal.bytes().substr(0, size), state, &error);
    if (size < kJournalHeadBytes && !found) continue;  // there is no journal
    ASSERT_TRUE(found) << size << ": " << error;
    state = *found;
    if (size < kJournalHeadBytes) size += 64;
  }
  EXPECT_EQ(state, journal.state_count() - 1);
}

// Shows that a byte that was changed makes what the keyspace once was, or an error.
TEST(LoadFaults, AnyByteChanged) {
  SmallJournal journal(6);
  std::size_t error_count = 0;
  for (std::size_t at = 0; at < journal.bytes().size() && !HasFailure(); ++at) {
    if (at == 128) at = kJournalHeadBytes;
    std::string bytes = journal.bytes();
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
    std::string error;
    if (!journal.state_of(bytes, 0, &error)) ++error_count;
  }
  EXPECT_GT(error_count, 0u);
}

// Shows that what a restarted archiver writes again, because its predecessor died before it could note that
// it had, changes nothing: short and long values, transactions in several parts.
TEST(LoadFaults, ArchiverDies) {
  RecordedKeyspace recorded;
  RandomWriters writers(recorded.segment(), 11);
  std::mt19937_64 random(3);
  for (int i = 0; i < 3000; ++i) {
    if (!writers.step()) recorded.archive();
    if (random() % 20 == 0) recorded.write_and_die(1 << random() % 20);
    if (random() % 50 == 0) recorded.archive();
    if (HasFatalFailure()) return;
  }
  recorded.archive();
  LoadReport report;
  recorded.expect_loaded(2, &report);
  EXPECT_GT(report.dropped_records, 1000u);
}

// Shows that a load that is killed anywhere leaves nothing that counts, and the next one makes all.
TEST(LoadFaults, LoaderIsKilled) {
  RecordedKeyspace recorded(64 << 20, 8 << 20);
  Keyspace keyspace(recorded.segment(), 1);
  constexpr int kKeys = 120'000;
  for (int i = 0; i < kKeys; ++i) {
    keyspace.set(keyspace.hash(name_of(i)), "value " + std::to_string(i));
    if (i % 10'000 == 0) recorded.archive();
  }
  recorded.archive();
  auto loaded = make_segment(64 << 20);
  const LoadOptions options = recorded.options(2);
  for (const std::uint64_t killed_at : {1, 30'000, 60'000, 110'000}) {
    loaded->header().disk.loaded_keys.store(0);
    const pid_t loader = fork();
    if (loader == 0) {
      (void)load(*loaded, options);
      _exit(0);
    }
    pid_t ended = 0;
    while (ended == 0 && loaded->header().disk.loaded_keys.load() < killed_at)
      ended = waitpid(loader, nullptr, WNOHANG);
    ASSERT_EQ(ended, 0) << "it had ended with " << loaded->header().disk.loaded_keys.load() << " keys";
    kill(loader, SIGKILL);
    waitpid(loader, nullptr, 0);
    for (const std::uint32_t process : options.processes) loaded->recover_process(process);
    ASSERT_TRUE(clear_for_load(*loaded));
    expect_sound(*loaded);
    EXPECT_EQ(contents_of(*loaded), Contents());
  }
  const Result<LoadReport> report = load(*loaded, options);
  ASSERT_TRUE(report) << report.error().message;
  expect_sound(*loaded);
  expect_equal(contents_of(*loaded), contents_of(recorded.segment()));
}

// Shows that data that does not fit is an error that says how much would do, and leaves nothing; and that so
// much does.
TEST(LoadFaults, TooLittleMemory) {
  RecordedKeyspace recorded(128 << 20, 4 << 20);
  Keyspace keyspace(recorded.segment(), 1);
  for (int i = 0; i < 600; ++i) {
    keyspace.set(keyspace.hash(name_of(i)), std::string(100'000, 'v'));
    if (i % 20 == 0) recorded.archive();
  }
  recorded.archive();
  auto small = make_segment(32 << 20);
  const Result<LoadReport> refused = load(*small, recorded.options(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, ExitStatus::kConfig);
  const std::string text = refused.error().message;
  EXPECT_NE(text.find("does not fit the 32 MiB"), std::string::npos) << text;
  expect_sound(*small);
  EXPECT_EQ(contents_of(*small), Contents());

  const std::uint64_t needed_mib = std::stoull(text.substr(text.find("about ") + 6));
  EXPECT_LT(needed_mib, 200u);
  auto large = make_segment(needed_mib << 20);
  ASSERT_TRUE(load(*large, recorded.options(2)));
  expect_equal(contents_of(*large), contents_of(recorded.segment()));
}

// Shows that who asks for an end gets it, and nothing is left.
TEST(LoadFaults, IsEnded) {
  RecordedKeyspace recorded(64 << 20, 8 << 20);
  Keyspace keyspace(recorded.segment(), 1);
  for (int i = 0; i < 200'000; ++i) {
    keyspace.set(keyspace.hash(name_of(i)), "value");
    if (i % 10'000 == 0) recorded.archive();
  }
  recorded.archive();
  auto loaded = make_segment(64 << 20);
  LoadOptions options = recorded.options(1);
  int call_count = 0;
  options.goes_on = [&] { return ++call_count, false; };
  const Result<LoadReport> report = load(*loaded, options);
  EXPECT_EQ(call_count == 0, static_cast<bool>(report));  // it may have been too fast
  expect_sound(*loaded);
  EXPECT_TRUE(report || contents_of(*loaded) == Contents());
}

enum class Whole { kSwap, kFlush, kFlushAll };

class LoadFaultsChange : public ::testing::TestWithParam<Whole> {};

// Shows that a change of whole databases that the journal's end cuts in two is finished, wherever that is,
// and that it is as if it had never begun where the journal ends in front of it.
TEST_P(LoadFaultsChange, IsFinished) {
  RecordedKeyspace recorded(32 << 20, 16 << 20);
  Keyspace keyspace(recorded.segment(), 1);
  for (const std::uint32_t database : {0u, 1u, 2u}) {
    ASSERT_TRUE(keyspace.open_database(DatabaseId(database)));
    keyspace.select(DatabaseId(database));
    for (int i = 0; i < 300; ++i)
      keyspace.set(keyspace.hash(name_of(i + 100 * static_cast<int>(database))), std::to_string(database));
  }
  recorded.archive();
  const Contents before = without_positions(contents_of(recorded.segment()));
  const std::uint64_t begin = recorded.journal().offset();
  keyspace.select(DatabaseId(1));
  if (GetParam() == Whole::kSwap) keyspace.swap_databases(DatabaseId(1), DatabaseId(2));
  if (GetParam() == Whole::kFlush) keyspace.flush_database();
  if (GetParam() == Whole::kFlushAll) keyspace.flush();
  recorded.archive();
  const Contents after = without_positions(contents_of(recorded.segment()));
  const std::string path = recorded.journal().file_path();
  const std::string bytes = bytes_of_file(path);
  const std::uint64_t seed = recorded.journal().file().head().seed;
  const std::optional<FrameView> whole = read_frame(std::string_view(bytes).substr(begin), seed);
  ASSERT_TRUE(whole);
  std::vector<FrameRecord> records;
  ASSERT_EQ(read_frame_records(*whole, records), "");
  ASSERT_GT(records.size(), 60u);

  auto loaded = make_segment(32 << 20);
  for (std::size_t count = 0; count < records.size(); count += 1 + records.size() / 70) {
    SCOPED_TRACE(count);
    FrameBuilder builder;
    for (std::size_t i = 0; i < count; ++i)
      builder.add({records[i].record.key.data() - sizeof(RecordHeader), records[i].record.header.bytes},
                  records[i].ring_position);
    const std::span<char> frames = builder.frames();
    seal_frames(frames, {whole->header.number, 0, whole->header.memory_id, seed});
    write_file(path, bytes.substr(0, begin) + std::string(frames.data(), frames.size()));
    ASSERT_TRUE(clear_for_load(*loaded));
    const Result<LoadReport> report = load(*loaded, recorded.options(2));
    ASSERT_TRUE(report) << report.error().message;
    expect_sound(*loaded);
    ASSERT_EQ(report->has_open_change, count > 0);
    ASSERT_TRUE(loaded->begin_journal(kJournalForDisk, 16 << 20));
    ASSERT_TRUE(!report->has_open_change || finish_database_change(*loaded, 3));
    expect_sound(*loaded);
    ASSERT_TRUE(without_positions(contents_of(*loaded)) == (count > 0 ? after : before));
    loaded->header().journal.store(0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, LoadFaultsChange,
                         ::testing::Values(Whole::kSwap, Whole::kFlush, Whole::kFlushAll));

}  // namespace
}  // namespace memento::testing
