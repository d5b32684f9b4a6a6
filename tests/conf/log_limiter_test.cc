// LogLimiter: of many lines in a period the first few are written, and then one that says how many were not.
#include "conf/log_limiter.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace memento {
namespace {

class LogLimiterTest : public ::testing::Test {
 protected:
  LogLimiterTest() : log_(std::move(*Log::open(path_))) {}
  ~LogLimiterTest() override { ::unlink(path_.c_str()); }

  /// What was written, without the time stamps.
  std::vector<std::string> lines() const {
    std::vector<std::string> texts;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) texts.push_back(line.substr(line.find(" - ") + 3));
    return texts;
  }

  std::string path_ = ::testing::TempDir() + "log_limiter_test." + std::to_string(getpid());
  Log log_;
  LogLimiter limiter_{"greetings", 2, 1000};
};

TEST_F(LogLimiterTest, WritesAFewAndThenTheirNumber) {
  for (int i = 0; i < 5; ++i) limiter_.warning(log_, "line " + std::to_string(i), 10'000 + i);
  EXPECT_EQ(lines(), (std::vector<std::string>{"line 0", "line 1"}));
  limiter_.flush_due(log_, 10'999);
  EXPECT_EQ(lines().size(), 2u);
  limiter_.flush_due(log_, 11'000);
  EXPECT_EQ(lines().back(), "3 more greetings within 1 s");
  limiter_.flush_due(log_, 12'000);
  EXPECT_EQ(lines().size(), 3u);
}

TEST_F(LogLimiterTest, ALaterLineTellsTheNumberFirst) {
  for (int i = 0; i < 3; ++i) limiter_.warning(log_, "early", 10'000);
  limiter_.warning(log_, "late", 20'000);
  EXPECT_EQ(lines(), (std::vector<std::string>{"early", "early", "1 more greetings within 10 s", "late"}));
}

TEST_F(LogLimiterTest, SaysNothingMoreWhereNothingWasLeftOut) {
  limiter_.warning(log_, "only", 10'000);
  limiter_.flush_due(log_, 20'000);
  EXPECT_EQ(lines(), (std::vector<std::string>{"only"}));
}

}  // namespace
}  // namespace memento
