// StoppedArchiver: a server's archiver does not get on for a while.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "tests/integration/test_server.h"

namespace memento::testing {

class StoppedArchiver {
 public:
  /// Of the server with this master.
  explicit StoppedArchiver(pid_t master) {
    EXPECT_TRUE(wait_until([&] { return (archiver_ = find(master)) > 0; }));
    if (archiver_ > 0) kill(archiver_, SIGSTOP);
  }
  ~StoppedArchiver() { go_on(); }
  StoppedArchiver(const StoppedArchiver&) = delete;
  StoppedArchiver& operator=(const StoppedArchiver&) = delete;
  void go_on() const {
    if (archiver_ > 0) kill(archiver_, SIGCONT);
  }

 private:
  static pid_t find(pid_t master) {
    for (const pid_t child : children_of(master)) {
      if (read_file("/proc/" + std::to_string(child) + "/comm").starts_with("memento: archi")) return child;
    }
    return 0;
  }
  pid_t archiver_ = 0;
};

}  // namespace memento::testing
