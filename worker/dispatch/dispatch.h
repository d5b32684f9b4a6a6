// Dispatch: from a parsed request to its handler, or to what becomes of it when admit() does not let it run:
// it is queued for EXEC, or refused. Runs in workers.
#pragma once

#include "worker/handlers/context.h"

namespace memento {

/// Executes one request; `command` is what resolve_command() found for it. Writes exactly one reply, unless
/// the client wants none.
void dispatch(CommandContext& context, const Command* command, const Call& call);

}  // namespace memento
