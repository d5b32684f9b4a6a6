// What handlers and sessions may ask of the worker that runs them: facts about the server, live settings.
// What needs all connections of the worker, or other workers, belongs here too: the worker fills it in once.
// One per worker.
#pragma once

#include <cstdint>
#include <string>

#include "conf/live_settings.h"
#include "conf/options.h"
#include "shm/os/clock.h"

namespace memento {

class MessageHub;
struct ClusterState;

/// Facts about the server that INFO tells.
struct ServerFacts {
  TimeMs start_ms = 0;  ///< monotonic
  std::uint32_t worker_count = 0;
  std::uint32_t worker_index = 0;
  Options options;
  std::uint32_t process = 1;  ///< its record in the segment, and among the statistics
};

struct WorkerServices {
  const ServerFacts& facts;
  LiveSettings& settings;
  MessageHub& hub;
  ClusterState* cluster = nullptr;  ///< of a cluster's node
};

}  // namespace memento
