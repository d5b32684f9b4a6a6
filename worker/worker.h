// A worker: one epoll loop over its own SO_REUSEPORT socket (inherited from the master, shared with nobody)
// that parses, executes on the shared keyspace and replies. Runs in the worker processes.
#pragma once

#include <cstdint>

#include "conf/live_settings.h"
#include "conf/log.h"
#include "conf/options.h"
#include "shm/os/clock.h"
#include "shm/os/fd.h"
#include "shm/segment.h"

namespace memento {

struct WorkerContext {
  Segment& segment;
  Fd listen_socket;
  std::uint32_t index;    ///< 0-based
  std::uint32_t process;  ///< record in the segment: index + 1
  Log& log;
  LiveSettings& settings;
  const Options& options;
  TimeMs start_ms;
};

/// Serves until SIGTERM (leaves after the current batch) or SIGQUIT (accepts nobody new, lets connections finish up
/// to the set time); SIGUSR1 reopens the log. Returns the exit status.
int run_worker(WorkerContext context);

}  // namespace memento
