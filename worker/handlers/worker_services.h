// What handlers and sessions may ask of the worker that runs them: facts about the server, live settings.
// What needs all connections of the worker, or other workers, belongs here too: the worker fills it in once.
// One per worker.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "conf/live_settings.h"
#include "conf/options.h"
#include "shm/os/clock.h"

namespace memento {

class Log;
class MessageHub;
class ScriptEngine;
struct ClientState;
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
  ScriptEngine* scripts = nullptr;  ///< REQUIRES: not nullptr, where scripts are run
  Log* log = nullptr;               ///< for what scripts say; nullptr: nowhere
  /// Looks at the worker's other clients while one's script has been running for long: they are told so
  /// (is_busy). Nothing: they wait. True: the worker is to end.
  std::function<bool()> serve_beside{};
  /// Sends the requests of the client's migration to the other server. The client waits until its answers are
  /// there, or it has failed.
  std::function<void(ClientState&)> migrate{};
  /// Tells the master to end the server, as SIGTERM does. False: it cannot be told, and errno says why.
  /// Nothing: there is none.
  std::function<bool()> end_server{};
  /// More memory is in use than may be: what may need more is refused. Looked at once a batch.
  bool denies_growth = false;
  bool is_busy = false;  ///< a script runs, and only what has kAllowBusy may run beside it
};

}  // namespace memento
