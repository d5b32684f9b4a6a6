// Running a script as one transaction: EVAL and its relatives, and functions. Runs in workers.
//
// What the script does is done as a whole or not at all: it runs over the overlay of Keyspace::transact(),
// and an error, a kill or a lack of memory leaves the keyspace as it was. It may run several times, when
// others change what it reads; keys that it does not declare are found out by the transaction itself. Inside
// EXEC, which is a transaction already, it runs as part of that: when it is killed, or takes more memory than
// it may, EXEC as a whole is refused; an error of its own is its reply, and what it did before stays, as it
// does in Redis.
//
// What it does to others (messages, values of watched keys) is told once, behind the commit.
#pragma once

#include "worker/handlers/context.h"
#include "worker/handlers/script/script_word.h"
#include "worker/script/interpreter.h"

namespace memento::handlers {

struct ScriptTraits {
  RunKind kind = RunKind::kScript;
  bool is_read_only = false;
  bool is_partial = false;  ///< what was done before an error counts
  bool allows_oom = false;  ///< its commands may take memory though too much is in use
  const Call& request;
};

/// Runs it and writes the reply.
void run_script(CommandContext& context, Interpreter& interpreter, Interpreter::Chunk chunk,
                const ScriptCall& call, const ScriptTraits& traits);

/// For a script that may write, but has said nothing of what is to be when memory is full (`allow-oom`): true
/// when it is full, and then the error was written, and EXEC is refused.
bool refuse_without_room(CommandContext& context);

/// SCRIPT KILL and FUNCTION KILL.
void kill_runs(CommandContext& context, RunKind kind);

/// The words behind a command's number of keys, `words[count_at]`: the keys, and what follows them. False: an
/// error was written.
bool take_keys(CommandContext& context, const Call& call, std::size_t count_at, ScriptCall* script);

}  // namespace memento::handlers
