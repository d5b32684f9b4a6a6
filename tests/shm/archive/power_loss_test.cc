// Loss of power, drawn at random: any subset of the 4 KiB pages that were not synced reaches the disk, over
// files that were recycled with old frames in them, rewritten behind failed syncs, and groups of several
// frames. After each loss the journal is recovered, goes on, and loses power again.
#include <gtest/gtest.h>

#include "tests/shm/archive/journal_fixture.h"

namespace memento::testing {
namespace {

class Round {
 public:
  explicit Round(std::uint64_t seed) : random_(seed) {}

  void run() {
    for (int loss = 0; loss < 6 && !::testing::Test::HasFailure(); ++loss) {
      journal_.begin_file(loss > 2 ? journal_.bounds().first_file : 0);
      const int step_count = draw(40);
      for (int step = 0; step < step_count; ++step) take_step();
      if (draw(4) > 0) journal_.lose_power(random_);
      recover();
    }
  }

 private:
  int draw(int count) { return static_cast<int>(random_() % static_cast<std::uint64_t>(count)); }

  void add_record() {
    const auto ring = static_cast<std::uint32_t>(draw(3));
    if (draw(5) == 0) journal_.tail(ring) += 8;  // a gap, which begins a frame
    journal_.put("key" + std::to_string(count_++), std::string(static_cast<std::size_t>(draw(3000)), 'v'),
                 ring);
    pending_bytes_ += 4096;
  }

  // Writes what was added, to a new file when there is no room; that is begun when all is synced.
  void write() {
    if (!journal_.has_room(pending_bytes_)) {
      journal_.sync();
      new_file();
    }
    journal_.write();
    pending_bytes_ = 0;
  }

  // Sometimes what is before it is needed no more, and is recycled later.
  void new_file() {
    if (draw(3) == 0 && !group_is_open_) {
      journal_.begin_file(journal_.bounds().first_file);
      forgotten_ = journal_.known();
      journal_.forget_before_this_file();
    } else {
      journal_.begin_file(journal_.bounds().first_file);
    }
  }

  void take_step() {
    switch (draw(9)) {
      case 0:
        journal_.sync();
        break;
      case 1:  // behind a failed sync
        if (journal_.written().size() - journal_.known() < 8)
          journal_.begin_file(journal_.bounds().first_file);
        break;
      case 2:
        if (group_is_open_) break;
        write();
        journal_.builder().begin_group();
        group_is_open_ = true;
        break;
      case 3:
        if (!group_is_open_) break;
        add_record();
        journal_.builder().end_group();
        group_is_open_ = false;
        write();
        break;
      case 4:  // the archiver dies, perhaps in a group
        write();
        journal_.replace_builder();
        group_is_open_ = false;
        break;
      default:
        for (int i = draw(4); i >= 0; --i) add_record();
        if (draw(3) > 0) write();
    }
    if (pending_bytes_ > 32768) write();
  }

  void recover() {
    Result<JournalReader> reader = journal_.reader();
    ASSERT_TRUE(reader) << reader.error().message;
    const ReadJournal read = read_all(*reader);
    expect_prefix(read, journal_, forgotten_);
    ASSERT_TRUE(reader->cut());
    journal_.all_is_synced();
    const ReadJournal again = journal_.read();
    EXPECT_EQ(again.frames, read.frames);
    EXPECT_EQ(again.end.kind, JournalEnd::Kind::kWhole) << again.end.text;
    EXPECT_EQ(again.end.frame, read.end.frame);
    journal_.go_on_behind(read.end);
    group_is_open_ = false;
    pending_bytes_ = 0;
  }

  std::mt19937_64 random_;
  TestJournal journal_{48 << 10};
  std::uint64_t forgotten_ = 0;  ///< frames in front of the first file
  std::uint64_t pending_bytes_ = 0;
  bool group_is_open_ = false;
  int count_ = 0;
};

// Shows that what is read is what was written, up to some frame behind all that was synced, in whole groups;
// that it is never taken for corruption; and that a cut makes that end the journal's end.
TEST(PowerLoss, AnySubsetOfPages) {
  for (std::uint64_t seed = 0; seed < 150 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Round(seed).run();
  }
}

}  // namespace
}  // namespace memento::testing
