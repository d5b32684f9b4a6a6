// BusContext: what the parts of the bus share. Runs in the bus process.
#pragma once

#include <uv.h>

#include <string>

#include "bus/core/cluster_state.h"
#include "bus/core/handshake.h"
#include "bus/core/members.h"
#include "bus/worker_channels.h"
#include "bus/worker_lane.h"
#include "conf/log.h"
#include "conf/log_limiter.h"

namespace memento::bus {

struct BusContext {
  uv_loop_t* loop;
  const Members& members;
  const std::string& secret;
  std::int64_t timeout_ms;
  ClusterState& state;
  WorkerChannels& channels;
  WorkerLanes& lanes;
  Log& log;
  LogLimiter& stranger_lines;  ///< about connections of whoever is no member
};

/// Unforeseeable bytes of the system.
Nonce new_nonce();

}  // namespace memento::bus
