// FileLock: flock(2) on an open file for a scope, which a process that dies lets go of. Whoever wants it
// waits for a bounded time: its holder may have been stopped. Any process.
#pragma once

#include <sys/file.h>
#include <time.h>

namespace memento {

class FileLock {
 public:
  FileLock(int file, int patience_ms) : file_(file) {
    for (int i = 0; i < patience_ms && !(is_held_ = flock(file, LOCK_EX | LOCK_NB) == 0); ++i) {
      const timespec pause{0, 1'000'000};
      nanosleep(&pause, nullptr);
    }
  }
  ~FileLock() {
    if (is_held_) flock(file_, LOCK_UN);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool is_held() const { return is_held_; }

 private:
  const int file_;
  bool is_held_ = false;
};

}  // namespace memento
