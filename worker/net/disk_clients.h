// DiskClients: goes on with connections whose clients waited for the journal's disk (DiskWaits), and with
// other nodes' requests that did. Runs in workers, between two wake-ups.
#pragma once

#include <functional>

#include "worker/clients/disk_waits.h"
#include "worker/net/connection.h"
#include "worker/net/connection_table.h"

namespace memento {

class DiskClients {
 public:
  struct Actions {
    std::function<void(Connection&)> resume;  ///< its request need not wait any more
    std::function<void()> serve_peers;        ///< a request of another node need not
  };
  DiskClients(DiskWaits& disk, ConnectionTable& connections, Actions actions)
      : disk_(disk), connections_(connections), actions_(std::move(actions)) {}

  /// Time has passed: a wake-up may have been lost.
  void note_tick() { is_due_ = true; }
  /// Goes on with those that may.
  void serve() {
    if (disk_.is_waiting()) look();
  }

 private:
  void look();

  DiskWaits& disk_;
  ConnectionTable& connections_;
  const Actions actions_;
  bool is_due_ = false;
};

}  // namespace memento
