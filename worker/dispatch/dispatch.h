// Dispatch: from a parsed request to its handler. Looks whether the request may run now: known command, number of
// arguments, key lengths, password, MULTI. Runs in workers.
#pragma once

#include "worker/handlers/context.h"

namespace memento {

/// Executes one request; `command` is what resolve_command() found for it. Writes exactly one reply, unless the client
/// wants none.
void dispatch(CommandContext& context, const Command* command, const Call& call);

/// Runs the handler, and tells who watches its keys. REQUIRES: arity and key lengths were checked.
void run_command(CommandContext& context, const Command& command, const Call& call);

/// Key lengths are within the limit; else an error was written. REQUIRES: arity was checked.
bool check_keys(CommandContext& context, const Command& command, const Call& call);

}  // namespace memento
