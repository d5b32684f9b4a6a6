// PidFile: holds the master's process id, and a write lock as long as the master lives, so that a second
// start sees which process runs, and a file left by a dead one is reused. The lock is the process's own
// (fcntl): children don't keep it.
#pragma once

#include <string>

#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

class PidFile {
 public:
  /// Errors: kSystem, with the holder's pid when another process has it.
  static Result<PidFile> take(const std::string& path);

  /// After exec, which keeps the lock as long as its descriptor stays open: goes on with the claim.
  static PidFile taken_over(Fd file, const std::string& path);

  PidFile() = default;
  /// Ends the claim: unlinks the file. The destructor only lets go of the lock.
  void remove();
  const std::string& path() const { return path_; }
  int descriptor() const { return file_.get(); }
  /// In a child: closes the copy of the descriptor.
  void drop() { file_.reset(); }

 private:
  std::string path_;
  Fd file_;
};

}  // namespace memento
