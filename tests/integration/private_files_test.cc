// What others prepared where the server is going to have its files: the server refuses it and says why.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

class PrivateFiles : public ::testing::Test {
 protected:
  Finished start(std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"-p", std::to_string(port_.number()), "--dir", data_, "-m", "64m", "-w", "1",
                             "-d", "-P", pid_, "-l", log_});
    return run_program("memento", more);
  }
  /// It does not start, and says that it does not use this path for this reason.
  void expect_refusal(const std::string& path, const std::string& reason) const {
    const Finished finished = start();
    EXPECT_EQ(finished.status, 71) << reason;
    EXPECT_NE(finished.errors.find(path + " is not used: "), std::string::npos) << finished.errors;
    EXPECT_NE(finished.errors.find(reason), std::string::npos) << finished.errors;
  }
  void expect_start() const {
    const Finished finished = start();
    ASSERT_EQ(finished.status, 0) << finished.errors;
    const pid_t master = std::atoi(read_file(pid_).c_str());
    kill(master, SIGTERM);
    EXPECT_TRUE(wait_until([&] { return !fs::exists(pid_); }));
  }

  const ReservedPort port_;
  const TemporaryFolder folder_;
  const std::string data_ = folder_.path() + "/data";
  const std::string log_ = folder_.path() + "/log";
  const std::string pid_ = folder_.path() + "/pid";
};

// Shows that a folder of the data that others may write to, or a link to one, is refused, and that the
// server's own has mode 0700 and its files 0600.
TEST_F(PrivateFiles, TheFolderOfTheData) {
  fs::create_directory(data_);
  chmod(data_.c_str(), 0777);
  std::ofstream(data_ + "/segment") << "";
  chmod((data_ + "/segment").c_str(), 0666);
  expect_refusal(data_, "others may write to it (mode 0777)");
  chmod(data_.c_str(), 0700);
  expect_refusal(data_ + "/segment", "others may read or write it (mode 0666)");

  fs::remove_all(data_);
  const std::string elsewhere = folder_.path() + "/elsewhere";
  fs::create_directory(elsewhere);
  fs::create_directory_symlink(elsewhere, data_);
  expect_refusal(data_, "it is a symbolic link");
  EXPECT_TRUE(fs::is_empty(elsewhere));

  fs::remove(data_);
  expect_start();
  EXPECT_EQ(fs::status(data_).permissions(), fs::perms::owner_all);
  for (const auto& file : fs::directory_iterator(data_)) {
    EXPECT_EQ(file.status().permissions(), fs::perms::owner_read | fs::perms::owner_write) << file.path();
  }
}

// Shows the same for what stands in the place of the segment: a link, a folder.
TEST_F(PrivateFiles, TheSegment) {
  expect_start();
  const std::string segment = data_ + "/segment";
  fs::rename(segment, folder_.path() + "/moved");
  fs::create_symlink(folder_.path() + "/moved", segment);
  expect_refusal(segment, "it is a symbolic link");
  fs::remove(segment);
  fs::rename(folder_.path() + "/moved", segment);
  expect_start();
}

// Shows that what belongs to another user is refused: folder, segment, log, pid file, and a link of another's
// to one's own log.
TEST_F(PrivateFiles, ThatAreAnotherUsers) {
  if (geteuid() != 0) GTEST_SKIP() << "giving files away needs root";
  const auto give_away = [](const std::string& path) { return lchown(path.c_str(), kNobody, kNobody); };
  fs::create_directory(data_);
  fs::permissions(data_, fs::perms::owner_all);
  ASSERT_EQ(give_away(data_), 0);
  expect_refusal(data_, "it belongs to user 65534");
  fs::remove(data_);
  expect_start();
  ASSERT_EQ(give_away(data_ + "/segment"), 0);
  expect_refusal(data_ + "/segment", "it belongs to user 65534");
  fs::remove(data_ + "/segment");
  for (const std::string& path : {log_, pid_}) {
    std::ofstream(path) << "";
    ASSERT_EQ(give_away(path), 0);
    expect_refusal(path, "it belongs to user 65534");
    fs::remove(path);
    fs::create_symlink(folder_.path() + "/own", path);
    ASSERT_EQ(give_away(path), 0);
    expect_refusal(path, "it is another user's symbolic link");
    EXPECT_FALSE(fs::exists(folder_.path() + "/own"));
    fs::remove(path);
  }
  expect_start();
}

// Shows that a log that everybody may write to is refused, and that one's own link to it is followed.
TEST_F(PrivateFiles, TheLog) {
  std::ofstream(log_) << "";
  chmod(log_.c_str(), 0666);
  expect_refusal(log_, "everybody may write to it (mode 0666)");
  chmod(log_.c_str(), 0640);
  fs::rename(log_, log_ + ".1");
  fs::create_symlink(log_ + ".1", log_);
  expect_start();
  EXPECT_NE(read_file(log_ + ".1").find("Accepting connections"), std::string::npos);
}

}  // namespace
}  // namespace memento::testing
