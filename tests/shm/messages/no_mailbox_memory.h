// While it lives, a mailbox's ring cannot be written to: files may be no longer than what lies before it.
// That fails as a full tmpfs does, and needs no file system of one's own.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

namespace memento::testing {

class NoMailboxMemory {
 public:
  NoMailboxMemory() {
    signal_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{4096, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &now), 0);
  }
  ~NoMailboxMemory() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, signal_);
  }
  NoMailboxMemory(const NoMailboxMemory&) = delete;
  NoMailboxMemory& operator=(const NoMailboxMemory&) = delete;

 private:
  rlimit before_{};
  void (*signal_)(int);
};

}  // namespace memento::testing
