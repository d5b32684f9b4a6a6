// The bus: a node's one process that talks to other nodes. One libuv loop: the links, this node's workers
// (through their channels), the clock. The master forks it like a worker.
#pragma once

#include <cstdint>

#include "bus/core/cluster_state.h"
#include "conf/live_settings.h"
#include "conf/log.h"
#include "conf/options.h"
#include "shm/os/clock.h"
#include "shm/os/fd.h"
#include "shm/segment.h"

namespace memento {

struct BusProcess {
  Segment& segment;
  ClusterState& state;
  Fd listen_socket;
  Fd ready_pipe;          ///< gets the process id, 32 bits, once links are accepted
  std::uint32_t process;  ///< record in the segment
  Log& log;
  LiveSettings& settings;
  const Options& options;
  const std::string& secret;
  TimeMs start_ms;
};

/// Serves until SIGTERM, however the workers leave; before it does so itself it gives the nodes some time to
/// answer what was sent to them. Returns the exit status.
int run_bus(BusProcess process);

}  // namespace memento
