// See disk_clients.h.
#include "worker/net/disk_clients.h"

#include <utility>

#include "worker/clients/client_state.h"

namespace memento {

void DiskClients::look() {
  const bool is_due = std::exchange(is_due_, false);
  if (!disk_.take_progress() && !is_due) return;
  release();
  retry();
}

void DiskClients::release() {
  bool has_peers = false;
  for (const ClientState* const client : disk_.take_durable()) {
    if (client->descriptor < 0) {
      has_peers = true;
    } else {
      actions_.release(*connections_.at(client->descriptor));
    }
  }
  for (ClientState* const client :
       disk_.take_lost(monotonic_time_ms(), settings_.disk_timeout_ms.load(std::memory_order_relaxed))) {
    if (client->descriptor < 0) {
      has_peers = true;
      actions_.lose_peer(*client);
    } else {
      actions_.lose(*connections_.at(client->descriptor));
    }
  }
  if (has_peers) actions_.serve_peers();
  for (const ClientState* const client : disk_.take_synced(monotonic_time_ms())) resume(*client);
}

// One whose replies have yet to leave goes on behind them.
void DiskClients::resume(const ClientState& client) {
  Connection& connection = *connections_.at(client.descriptor);
  if (connection.registered == Connection::Wait::kDisk && client.held == nullptr) actions_.resume(connection);
}

// Those who wait for room one after the other, as long as there is some.
void DiskClients::retry() {
  while (const ClientState* const client = disk_.begin_retry()) {
    if (client->descriptor < 0) {
      actions_.serve_peers();
    } else {
      resume(*client);
    }
    if (!disk_.end_retry()) break;
  }
}

}  // namespace memento
