// Detaching from the terminal. The starting process waits until the server says it is ready, and ends with
// its status; the server goes on in a grandchild, in a session of its own.
#pragma once

#include <string>

#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

/// The server's end of the wait. Empty in the foreground: then errors go to stderr.
class Readiness {
 public:
  Readiness() = default;
  explicit Readiness(Fd pipe) : pipe_(std::move(pipe)) {}

  /// The server accepts connections: lets the starting process end, and drops the terminal.
  void ready();
  /// The server could not start. Returns the status to exit with.
  int failed(const Error& error);
  /// In a child: the descriptor is the master's.
  void drop() { pipe_.reset(); }

 private:
  void report(ExitStatus status, const std::string& message);

  Fd pipe_;
};

/// Standard streams lead nowhere from now on.
void drop_terminal();

/// Returns in the server only. The starting process prints a failure and exits with its status.
Result<Readiness> daemonize();

}  // namespace memento
