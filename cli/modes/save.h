// Waiting for a snapshot: SAVE is answered when it is on disk, which may take minutes; meanwhile a bar says
// how far it is. And for a server's end.
#pragma once

#include "cli/net/connection.h"

namespace memento::cli {

/// SHUTDOWN is answered by the connection's end.
bool is_answered_by_end(const Words& words, const Error& error);

/// The command is answered when a snapshot is complete: SAVE, SHUTDOWN SAVE.
bool waits_for_snapshot(const Words& words);

/// Sends it and waits for the reply. At a terminal a second connection asks for the progress, and draws it.
Result<Reply> request_snapshot(Connection& connection, const Words& words, const Endpoint& endpoint);

}  // namespace memento::cli
