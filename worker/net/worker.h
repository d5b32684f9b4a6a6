// A worker: one epoll loop over its own SO_REUSEPORT socket (inherited from the master; shared with nobody
// but, during an upgrade, its successor) that parses, executes on the shared keyspace and replies. Runs in
// the worker processes.
#pragma once

#include <cstdint>
#include <vector>

#include "bus/core/cluster_state.h"
#include "conf/live_settings.h"
#include "conf/log.h"
#include "conf/options.h"
#include "shm/os/clock.h"
#include "shm/os/fd.h"
#include "shm/segment.h"

namespace memento {

struct WorkerContext {
  Segment& segment;
  std::vector<Fd> listen_sockets;  ///< its own, and after an upgrade to fewer workers what others left
  Fd ready_pipe;                   ///< gets the process id, 32 bits, once connections are accepted
  std::uint32_t index;             ///< 0-based
  std::uint32_t process;           ///< record in the segment
  Log& log;
  LiveSettings& settings;
  const Options& options;
  TimeMs start_ms;
  ClusterState* cluster = nullptr;     ///< of a cluster's node
  std::vector<Fd> redirect_sockets{};  ///< listening for clients that want MOVED for other nodes' slots
};

/// Serves until SIGTERM (leaves after the current batch), SIGQUIT (accepts those who wait and then nobody
/// new, lets connections finish up to the set time) or SIGUSR2 (the same, but a successor accepts those who
/// wait); SIGUSR1 reopens the log. Returns the exit status.
int run_worker(WorkerContext context);

}  // namespace memento
