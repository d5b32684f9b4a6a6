// `memento --show-journal`: what it lists, what it says of a journal's end, what it cuts and what not.
#include "master/show_journal.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "shm/archive/manifest_file.h"
#include "tests/shm/archive/journal_fixture.h"

namespace memento::testing {
namespace {

class TextFile {
 public:
  ~TextFile() {
    std::fclose(file_);
    std::free(text_);
  }
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return std::string(text_, bytes_);
  }

 private:
  char* text_ = nullptr;
  std::size_t bytes_ = 0;
  std::FILE* const file_ = open_memstream(&text_, &bytes_);
};

class ShowJournalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    journal_.begin_file();
    journal_.put_alone("a \"key\"\x01", "value");
    const std::string member = record_of(RecordKind::kPut, 2, std::string(100, 'k'), "1");
    journal_.builder().add(record_of(RecordKind::kGroup, 2, "", word_bytes(2) + member + member), 0);
    journal_.write();
    journal_.sync();
    torn_offset_ = journal_.offset();
    journal_.put_alone("last", "one");
  }

  int show(bool checks = false, bool cuts = false) { return show(journal_.folder().path(), checks, cuts); }
  int show(const std::string& path, bool checks, bool cuts) {
    Options options;
    options.show_journal = path;
    options.check_journal = checks;
    options.cut_journal = cuts;
    TextFile output;
    TextFile errors;
    const int status = show_journal(options, output.file(), errors.file());
    output_ = output.text();
    errors_ = errors.text();
    return status;
  }
  void damage(std::uint64_t offset) {
    std::string bytes = bytes_of_file(journal_.file_path());
    bytes[offset] = static_cast<char>(bytes[offset] ^ 1);
    write_file(journal_.file_path(), bytes);
  }
  std::string place(std::uint64_t offset, int frame) const {
    return journal_.path() + "/journal-0000000001, offset " + std::to_string(offset) + ", frame " +
           std::to_string(frame) + ": ";
  }

  TestJournal journal_;
  std::uint64_t torn_offset_ = 0;
  std::string output_;
  std::string errors_;
};

// Shows the lines of a listing: where each record is, what it says, keys escaped and cut, a group's members;
// and that the end goes to where errors go.
TEST_F(ShowJournalTest, Lists) {
  EXPECT_EQ(show(), 0);
  const std::string long_key(64, 'k');
  EXPECT_EQ(
      output_,
      "journal-0000000001 4152 frame 1 put slot 7 database 0 position 1:1 key \"a \\\"key\\\"\\x01\" 8 value "
      "5 "
      "bytes 64\n"
      "journal-0000000001 4272 frame 2 group slot 7 database 0 position 1:1 key \"\" 0 value 312 bytes 360\n"
      "journal-0000000001 4328 frame 2 put slot 7 database 0 position 1:1 key \"" +
          long_key +
          "\"... 100 value 1 bytes 152\n"
          "journal-0000000001 4480 frame 2 put slot 7 database 0 position 1:1 key \"" +
          long_key +
          "\"... 100 value 1 bytes 152\n"
          "journal-0000000001 4688 frame 3 put slot 7 database 0 position 1:1 key \"last\" 4 value 3 bytes "
          "56\n");
  EXPECT_EQ(errors_, "whole: " + place(journal_.offset(), 4) + "nothing is behind the last frame\n");
}

// Shows that one file can be listed, under the name that it was given by.
TEST_F(ShowJournalTest, ListsOneFile) {
  const std::string path = journal_.file_path();
  EXPECT_EQ(show(path, false, false), 0);
  EXPECT_TRUE(output_.starts_with(path + " 4152 frame 1 put ")) << output_;
  EXPECT_EQ(show(path, false, true), 64);
  EXPECT_EQ(errors_, "memento: --cut takes the journal's folder: where a file ends its successor may say\n");
}

// Shows that a torn end is told from a whole one, and cut once.
TEST_F(ShowJournalTest, TornEndIsCut) {
  damage(torn_offset_ + 60);
  EXPECT_EQ(show(true), 1);
  const std::string verdict = "torn, as behind a loss of power; a start cuts it: " + place(torn_offset_, 3) +
                              "it is not whole; nobody knew that it was on disk\n";
  EXPECT_EQ(output_, verdict);
  EXPECT_EQ(errors_, "");
  EXPECT_EQ(show(false, true), 0);
  EXPECT_EQ(output_, verdict + "cut: the journal ends in front of frame 3\n");
  EXPECT_EQ(show(true), 0);
  EXPECT_EQ(show(false, true), 0);
  EXPECT_EQ(output_,
            "whole: " + place(torn_offset_, 3) + "nothing is behind the last frame\nnothing to cut\n");
}

// Shows that a corrupt journal is told with what is behind the damage, and is not cut.
TEST_F(ShowJournalTest, CorruptIsNotCut) {
  damage(kJournalHeadBytes + 60);
  const std::string before = bytes_of_file(journal_.file_path());
  EXPECT_EQ(show(true), 2);
  EXPECT_EQ(output_, "corrupt: " + place(kJournalHeadBytes, 1) +
                         "it is missing or damaged: a later frame says that frame 2 was on disk\n"
                         "at least 3 frames in 648 bytes do not count\n");
  EXPECT_EQ(show(false, true), 2);
  EXPECT_TRUE(errors_.starts_with("memento: it is not cut: ")) << errors_;
  EXPECT_EQ(bytes_of_file(journal_.file_path()), before);
}

// Shows that nothing is cut while another process has the folder.
TEST_F(ShowJournalTest, FolderInUseIsNotCut) {
  damage(torn_offset_ + 60);
  ASSERT_TRUE(journal_.folder().lock());
  EXPECT_EQ(show(false, true), 71);
  EXPECT_NE(errors_.find(" is in use by another process; stop the server whose data it is\n"),
            std::string::npos)
      << errors_;
  EXPECT_EQ(show(true), 1);
}

// Shows that the journal begins where MANIFEST says, and that a damaged one is told.
TEST_F(ShowJournalTest, BeginsWhereManifestSays) {
  journal_.sync();
  journal_.begin_file();
  journal_.put_alone("behind", "it");
  {
    Result<ManifestFile> file = ManifestFile::open(journal_.folder().fd(), journal_.folder().path());
    ASSERT_TRUE(file);
    Manifest manifest;
    manifest.state = ManifestState::kValid;
    manifest.first_file = 2;
    manifest.first_seed = journal_.file().head().seed;
    manifest.first_frame = 4;
    ASSERT_TRUE(file->write(manifest));
  }
  EXPECT_EQ(show(), 0);
  EXPECT_TRUE(output_.starts_with("journal-0000000002 4152 frame 4 put ")) << output_;
  const std::string path = journal_.folder().path() + "/MANIFEST";
  write_file(path, std::string(2 * kManifestBlockBytes, 'x'));
  EXPECT_EQ(show(), 0);
  EXPECT_TRUE(output_.starts_with("journal-0000000001 4152 frame 1 put ")) << output_;
  EXPECT_TRUE(errors_.starts_with("memento: " + path + " is damaged")) << errors_;
}

// Shows that what is not there is an error of usage.
TEST_F(ShowJournalTest, NotThere) {
  EXPECT_EQ(show("/nonexistent/journal", false, false), 64);
  EXPECT_EQ(errors_, "memento: stat(/nonexistent/journal) to show its journal: No such file or directory\n");
}

}  // namespace
}  // namespace memento::testing
