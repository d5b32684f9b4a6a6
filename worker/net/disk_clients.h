// DiskClients: goes on with connections whose clients waited for the journal's disk (DiskWaits), and with
// other nodes' requests that did. Runs in workers, between two wake-ups.
#pragma once

#include <functional>

#include "conf/live_settings.h"
#include "worker/clients/disk_waits.h"
#include "worker/net/connection.h"
#include "worker/net/connection_table.h"

namespace memento {

class DiskClients {
 public:
  struct Actions {
    std::function<void(Connection&)> resume;      ///< its request need not wait any more
    std::function<void(Connection&)> release;     ///< its replies may leave
    std::function<void(Connection&)> lose;        ///< nobody knows what its requests have come to
    std::function<void()> serve_peers;            ///< a request of another node need not wait, or a reply
    std::function<void(ClientState&)> lose_peer;  ///< as lose, of another node's requests
  };
  DiskClients(DiskWaits& disk, ConnectionTable& connections, const LiveSettings& settings, Actions actions)
      : disk_(disk), connections_(connections), settings_(settings), actions_(std::move(actions)) {}

  /// Time has passed: a wake-up may have been lost.
  void note_tick() { is_due_ = true; }
  /// Goes on with those that may.
  void serve() {
    if (disk_.is_waiting()) look();
  }

 private:
  void look();
  void retry();
  void release();
  void resume(const ClientState& client);

  DiskWaits& disk_;
  ConnectionTable& connections_;
  const LiveSettings& settings_;
  const Actions actions_;
  bool is_due_ = false;
};

}  // namespace memento
