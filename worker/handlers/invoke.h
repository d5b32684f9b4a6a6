// Invoke: runs the handler of a call that is already admitted (worker/dispatch/admission.h). EXEC, the parts
// of a divided request, and whoever runs commands within a command use these; a client's own requests, which
// the session counts and times by runs, take run_command() alone. Runs in workers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/handlers/context.h"

namespace memento {

/// Runs the handler. REQUIRES: admit() says kRuns, or said kIsQueued when the call was queued.
void run_command(CommandContext& context, const Command& command, const Call& call);

struct Invocation {
  std::string_view reply;  ///< what the handler wrote; valid until more is written
  bool is_error = false;
  std::uint64_t ticks = 0;  ///< of cpu_ticks()
};
/// run_command(), whose reply goes to context.reply.
Invocation invoke(CommandContext& context, const Command& command, const Call& call);

struct ReplyBytes {
  std::string bytes;
  bool is_error = false;
};
/// run_command(), whose reply is given in RESP2, for a program to read. context.reply is left as it was, and
/// so is its count of errors.
ReplyBytes invoke_apart(CommandContext& context, const Command& command, const Call& call);

}  // namespace memento
