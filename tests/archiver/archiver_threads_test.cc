// The archiver's threads beside their owner's, also under ThreadSanitizer (`make tsan`): a file that is
// synced while it is written, a snapshot that is made while the keyspace is, and one that is given up at any
// time.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "archiver/snapshot_thread.h"
#include "archiver/sync_thread.h"
#include "tests/shm/archive/load_fixture.h"

namespace memento::testing {
namespace {

constexpr std::uint32_t kSnapshotProcess = 5;

/// A keyspace in a journal that begins anew, and a snapshot of it in a thread.
class ArchiverThreads : public ::testing::Test {
 protected:
  void fill(int change_count) {
    writers_.set_long_values(false);
    for (int i = 0; i < change_count; ++i) EXPECT_TRUE(writers_.step());
    recorded_.archive();
    recorded_.journal().sync();
    recorded_.journal().begin_file(recorded_.journal().bounds().first_file);
  }

  SnapshotRound::Options options() {
    SnapshotRound::Options options;
    options.folder = &recorded_.journal().folder().fd();
    options.path = recorded_.journal().path();
    options.number = 1;
    options.process = kSnapshotProcess;
    return options;
  }
  std::string snapshot_path() { return recorded_.journal().path() + "/" + snapshot_file_name(1); }

  RecordedKeyspace recorded_{64 << 20};
  RandomWriters writers_{recorded_.segment(), 3, 2, 100};
};

// Shows that a snapshot that is made while a writer writes is, with the journal, what the keyspace is.
TEST_F(ArchiverThreads, SnapshotWhileWritten) {
  fill(300);
  const std::uint64_t first_file = recorded_.journal().newest_file();
  writers_.set_whole_changes(false);
  SnapshotThread snapshot(recorded_.segment(), options(), 1 << 20);
  std::thread writer([&] {
    for (int i = 0; i < 300; ++i) EXPECT_TRUE(writers_.step());
  });
  std::optional<Outcome> outcome;
  for (std::uint64_t rate = 1 << 20; !outcome; rate *= 2) {
    recorded_.archive_some();
    snapshot.set_rate(rate);
    if (snapshot.take_needed_tails()) {
      writer.join();
      recorded_.archive();
      recorded_.journal().sync();
      snapshot.end_at(recorded_.journal().known());
    }
    outcome = snapshot.outcome();
  }
  ASSERT_TRUE(*outcome) << outcome->error().message;
  auto loaded = make_segment(recorded_.segment().size_bytes());
  LoadOptions wanted = recorded_.options(2);
  wanted.manifest.snapshot = snapshot.number();
  wanted.manifest.first_file = first_file;
  wanted.manifest.first_seed = wanted.manifest.first_frame = 0;
  const Result<LoadReport> report = load(*loaded, wanted);
  ASSERT_TRUE(report) << report.error().message;
  expect_equal(contents_of(*loaded), contents_of(recorded_.segment()));
}

// Shows that one that is given up leaves no file, whatever it is doing then.
TEST_F(ArchiverThreads, SnapshotsGivenUp) {
  fill(200);
  for (int i = 0; i < 30; ++i) {
    SnapshotThread snapshot(recorded_.segment(), options(), i % 2 == 0 ? 0 : 1 << 20);
    for (int k = 0; k < i * 20 && !snapshot.take_needed_tails(); ++k) std::this_thread::yield();
  }
  EXPECT_FALSE(std::filesystem::exists(snapshot_path()));
}

// Shows that a file is written to while it is synced, and that each sync is answered once.
TEST_F(ArchiverThreads, SyncWhileWritten) {
  JournalFile& file = recorded_.journal().file();
  SyncThread sync;
  std::uint64_t offset = kJournalHeadBytes;
  for (int i = 0; i < 200; ++i) {
    sync.begin(file);
    std::optional<Outcome> answer;
    do {
      ASSERT_TRUE(file.write(offset, "frames"));
      offset += 8;
      answer = sync.take_answer();
    } while (!answer);
    ASSERT_TRUE(*answer);
    EXPECT_FALSE(sync.take_answer());
  }
}

}  // namespace
}  // namespace memento::testing
