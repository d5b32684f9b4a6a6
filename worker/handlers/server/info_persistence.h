// INFO's section on what is on disk: Redis's lines, as of a server that keeps a journal and no snapshots, and
// this server's own. Runs in workers.
#pragma once

#include <cstdint>

#include "worker/handlers/context.h"
#include "worker/handlers/server/info_lines.h"

namespace memento {

/// Of all workers.
struct PersistenceFigures {
  std::uint64_t held_clients;
  std::uint64_t room_waits;
};
void add_persistence(CommandContext& context, const PersistenceFigures& figures, InfoLines& lines);

}  // namespace memento
