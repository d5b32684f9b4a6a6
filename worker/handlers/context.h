// What a command's handler gets: the keyspace, the reply it writes, its client, its worker. Runs in workers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/keyspace/keyspace.h"
#include "worker/clients/client_state.h"
#include "worker/clients/key_event.h"
#include "worker/clients/message_hub.h"
#include "worker/command/call.h"
#include "worker/command/command.h"
#include "worker/handlers/worker_services.h"
#include "worker/script/library_change.h"
#include "worker/wire/reply_writer.h"

namespace memento {

/// What a command inside EXEC, or inside a change of several keys, does to others or to the client's
/// subscriptions: it cannot be undone.
struct PlannedStep {
  enum class Action : std::uint8_t { kPublish, kSubscribe, kUnsubscribe, kTell, kTellOfAll };
  Action action;
  SubscriptionKind kind{};
  std::string name{};  ///< of a channel, or a key
  std::string message{};
  const KeyEvent* event = nullptr;       ///< of kTell
  SlotId slot{};                         ///< the key's
  std::uint64_t hash = 0;                ///< the key's
  std::optional<DatabaseId> database{};  ///< of kTellOfAll; nothing: all databases
};

/// Lines for clients in MONITOR about commands that scripts have called: of all scripts of an EXEC together
/// no more than a client may hold.
struct ScriptedLines {
  static constexpr std::size_t kLimitBytes = MessageHub::kPushLimitBytes;

  struct Line {
    std::size_t exec_place;  ///< of the script among EXEC's requests; 0 without EXEC
    std::string text;
  };
  std::vector<Line> lines;
  std::size_t bytes = 0;

  bool has_room() const { return bytes <= kLimitBytes; }
  void add(std::size_t exec_place, std::string text) {
    bytes += text.size();
    lines.push_back({exec_place, std::move(text)});
  }
  void clear() {
    lines.clear();
    bytes = 0;
  }
};

/// What EXEC does once its commands are not executed again.
struct ExecPlan {
  static constexpr std::size_t kStepLimitBytes = 64 << 20;

  std::vector<PlannedStep> steps;
  std::size_t step_bytes = 0;
  std::unique_ptr<Subscriptions> subscriptions;  ///< the client's, behind the steps; nullptr: as they are
  std::vector<std::uint64_t> closed;             ///< clients to close
  LibraryChanges library_changes;                ///< taken back when EXEC is not done, or done again
};

/// What EXEC, scripts and changes of several keys need; no other command leaves anything in it.
struct ExecState {
  ExecPlan plan;           ///< inside EXEC, and inside a change of several keys
  std::size_t place = 0;   ///< of the request among EXEC's
  std::string refusal;     ///< not empty: why nothing of EXEC is to be done, as an error's text
  bool finds_room = true;  ///< there was memory for more when EXEC began
  /// What TIME tells in all of EXEC, or a script, once it was asked.
  std::optional<std::int64_t> time_us;
  ScriptedLines scripted_lines;  ///< of the scripts in the request; shown behind it
};

class CommandMeter;

struct CommandContext {
  Keyspace& keyspace;
  ReplyWriter reply;
  WorkerServices& services;
  ClientState& client;
  CommandMeter& meter;
  ExecState& exec;                 ///< the caller's: making one costs as much as a brief command does
  bool close_after_reply = false;  ///< set by QUIT
  bool was_rejected = false;       ///< the error was found before the handler ran
  bool counted_errors = false;     ///< EXEC has told the statistics of those in its reply
  bool parks =
      false;  ///< nothing was replied: the request is to be executed again when the client need not wait
  bool ends_batch = false;   ///< what follows is to be looked at anew
  bool in_exec = false;      ///< EXEC runs the handler, maybe several times: only the keyspace, the reply,
                             ///< ClientTraits and `exec.plan` are undone
  bool is_repeated = false;  ///< inside EXEC: not for the first time
  bool in_change = false;    ///< of several keys (atomically.h): it may not come to be, or run again

  /// For the end of EXEC, or of such a change. What takes more than kStepLimitBytes, as a script's messages
  /// may, refuses EXEC or the script as a whole.
  void plan_step(PlannedStep step);

  // What happens to keys is told by the handlers, behind each write that has changed something: `event` must
  // outlive the command. Inside a transaction it is planned, and told after its commit.

  void changed(const HashedKey& key, const KeyEvent& event) {
    if (services.hub.watches_keys()) [[unlikely]]
      tell_change(key, event);
  }
  /// The key has got another's value: it is new whatever it was, which is told in front of `changed()`.
  void made(const HashedKey& key) {
    if (services.hub.watches_keys()) [[unlikely]]
      tell_made(key);
  }
  /// A command asked for a key that is not there.
  void missed(const HashedKey& key) {
    if (services.hub.watches_keys()) [[unlikely]]
      tell(key, key_events::kKeyMiss);
  }
  /// All keys of a database, or of all databases.
  void changed_all(std::optional<DatabaseId> database) {
    if (services.hub.watches_keys()) [[unlikely]]
      tell_of_all(database);
  }

  /// What the client subscribes to at this point of EXEC, or without it; nullptr: nothing.
  const Subscriptions* subscriptions() const {
    return exec.plan.subscriptions != nullptr ? exec.plan.subscriptions.get() : client.subscriptions.get();
  }

 private:
  // context.cc
  void tell(const HashedKey& key, const KeyEvent& event);
  void tell_change(const HashedKey& key, const KeyEvent& event);
  void tell_made(const HashedKey& key);
  void tell_of_all(std::optional<DatabaseId> database);
};

/// REQUIRES: arity and key lengths were checked. Writes exactly one reply.
using Handler = void (*)(CommandContext&, const Call&);

}  // namespace memento
