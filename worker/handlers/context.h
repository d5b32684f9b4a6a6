// What a command's handler gets: the keyspace, the reply it writes, its client, its worker. Runs in workers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shm/keyspace/keyspace.h"
#include "worker/clients/client_state.h"
#include "worker/command/call.h"
#include "worker/command/command.h"
#include "worker/handlers/worker_services.h"
#include "worker/wire/reply_writer.h"

namespace memento {

/// What a command inside EXEC does to others or to the client's subscriptions: it cannot be undone.
struct PlannedStep {
  enum class Action : std::uint8_t { kPublish, kSubscribe, kUnsubscribe };
  Action action;
  SubscriptionKind kind;
  std::string name;
  std::string message{};
};

/// What EXEC does once its commands are not executed again.
struct ExecPlan {
  std::vector<PlannedStep> steps;
  std::unique_ptr<Subscriptions> subscriptions;  ///< the client's, behind the steps; nullptr: as they are
  std::vector<std::uint64_t> closed;             ///< clients to close
  std::vector<std::string> changed_keys;         ///< by scripts, while somebody watches keys
};

class CommandMeter;

struct CommandContext {
  Keyspace& keyspace;
  ReplyWriter reply;
  WorkerServices& services;
  ClientState& client;
  CommandMeter& meter;
  bool close_after_reply = false;  ///< set by QUIT
  bool was_rejected = false;       ///< the error was found before the handler ran
  bool counted_errors = false;     ///< EXEC has told the statistics of those in its reply
  bool parks =
      false;  ///< nothing was replied: the request is to be executed again when the client need not wait
  bool ends_batch = false;   ///< what follows is to be looked at anew
  bool in_exec = false;      ///< EXEC runs the handler, maybe several times: only the keyspace, the reply,
                             ///< ClientTraits and `plan` are undone
  bool is_repeated = false;  ///< inside EXEC: not for the first time
  ExecPlan plan{};           ///< inside EXEC

  /// What the client subscribes to at this point of EXEC, or without it; nullptr: nothing.
  const Subscriptions* subscriptions() const {
    return plan.subscriptions != nullptr ? plan.subscriptions.get() : client.subscriptions.get();
  }
};

/// REQUIRES: arity and key lengths were checked. Writes exactly one reply.
using Handler = void (*)(CommandContext&, const Call&);

}  // namespace memento
