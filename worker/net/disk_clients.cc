// See disk_clients.h.
#include "worker/net/disk_clients.h"

#include <utility>

#include "worker/clients/client_state.h"

namespace memento {

// One after the other, as long as there is room.
void DiskClients::look() {
  const bool is_due = std::exchange(is_due_, false);
  if (!disk_.take_progress() && !is_due) return;
  while (const ClientState* const client = disk_.begin_retry()) {
    if (client->descriptor < 0) {
      actions_.serve_peers();
    } else if (Connection& connection = *connections_.at(client->descriptor);
               connection.registered == Connection::Wait::kDisk) {
      actions_.resume(connection);
    }
    if (!disk_.end_retry()) break;
  }
}

}  // namespace memento
