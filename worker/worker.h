// A worker: one epoll loop over its own SO_REUSEPORT socket (inherited from the master, shared with nobody)
// that parses, executes on the shared keyspace and replies. Runs in the worker processes.
#pragma once

#include <cstdint>
#include <string>

#include "conf/log.h"
#include "shm/os/clock.h"
#include "shm/segment.h"

namespace memento {

struct WorkerContext {
  Segment& segment;
  int listen_fd;
  std::uint32_t index;    ///< 0-based
  std::uint32_t process;  ///< record in the segment: index + 1
  Log& log;
  std::uint16_t port;
  std::uint32_t worker_count;
  int max_clients;  ///< of all workers together
  int quit_timeout_ms;
  TimeMs start_ms;
};

/// Serves until SIGTERM (leaves after the current batch) or SIGQUIT (stops accepting, lets connections finish
/// up to quit_timeout_ms); SIGUSR1 reopens the log. Returns the exit status.
int run_worker(const WorkerContext& context);

}  // namespace memento
