// Admission: may this command run for this client now? Every way to a handler asks here first: clients'
// requests, what other nodes queue for EXEC, the cluster's router, CLIENT PAUSE. A rule about who may run
// what, as one of access control lists, belongs into admit() and nowhere else. Runs in workers.
//
// The answer depends on the command's row, the call's words and the client's state only. Nothing is written
// and nothing changed: what becomes of a request that is refused or queued is the dispatcher's (dispatch.h).
#pragma once

#include <string>
#include <string_view>

#include "worker/clients/client_pause.h"
#include "worker/clients/client_state.h"
#include "worker/command/call.h"
#include "worker/command/command.h"

namespace memento {

enum class Admission : std::uint8_t {
  kRuns,
  kIsQueued,  ///< inside MULTI: EXEC will run it
  // Refused. The call is none that the command has:
  kUnknownCommand,
  kDebugForbidden,
  kUnknownSubcommand,
  kWrongArgumentCount,
  kKeyTooLong,
  // Refused. The client's state does not allow it:
  kNotAuthenticated,
  kClientSubscribes,
  kClientMonitors,
  kForbiddenInMulti,
  kSeveralNamesInMulti,  ///< EXEC answers one element a request, and this would answer one a name
};

constexpr bool is_refused(Admission admission) { return admission > Admission::kIsQueued; }

/// admit() for what it cannot tell at one look.
Admission admit_carefully(const ClientState& client, const Command* command, const Call& call);

/// `command` is what resolve_subcommand() found for the call; nullptr: nothing.
inline Admission admit(const ClientState& client, const Command* command, const Call& call) {
  // Most requests: of an ordinary client, a known command with one key, or none, and the right number of
  // words.
  if (client.is_ordinary() && command != nullptr && command->accepts(call.count()) &&
      !command->has(kContainer | kDebug) && command->keys.first == command->keys.last &&
      call[static_cast<std::size_t>(command->keys.first)].size() <= kKeyLimitBytes) [[likely]] {
    return Admission::kRuns;
  }
  return admit_carefully(client, command, call);
}

/// What the client is told. REQUIRES: is_refused(admission), which admit() gave for this command and call.
struct RefusalText {
  std::string_view code;  ///< "ERR"
  std::string reason;
};
RefusalText refusal_text(Admission admission, const Command* command, const Call& call);

/// The command may change data; of EXEC, what was queued may.
inline bool may_change_data(const ClientState& client, const Command& command) {
  const bool executes = command.has(kEndsMulti) && client.transaction != nullptr;
  return executes ? client.transaction->queue.has_any(kWrite | kScript) : command.has(kWrite | kScript);
}

/// CLIENT PAUSE holds the request back. It does not hold back what is refused, nor clients in MONITOR, as in
/// Redis.
bool is_held_back(const ClientPause& pause, const ClientState& client, const Command* command,
                  const Call& call, TimeMs now_ms);

}  // namespace memento
