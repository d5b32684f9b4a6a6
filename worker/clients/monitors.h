// Monitors: this worker's clients in MONITOR, and the lines that show them what clients of any worker had
// executed. The lines of one turn of a client go as one message to the other workers with monitors. Runs in
// workers.
//
// Invariant: Header::monitors, the sum over all processes, is raised before and lowered after this process's
// part of it (Mailbox::monitors): it is never too small.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shm/segment.h"
#include "worker/clients/pushes.h"
#include "worker/clients/worker_messages.h"

namespace memento {

class Monitors {
 public:
  Monitors(Segment& segment, std::uint32_t process, WorkerMessages& messages, Pushes& pushes)
      : segment_(segment), process_(process), messages_(messages), pushes_(pushes) {}

  bool empty() const { return clients_.empty(); }
  const std::vector<ClientState*>& clients() const { return clients_; }

  /// REQUIRES: it is not in MONITOR, and this worker listens.
  void add(ClientState& client);
  /// REQUIRES: it is in MONITOR.
  void remove(ClientState& client);

  /// A command that the client had executed; goes to all clients in MONITOR with send_shown() or before.
  void show(const ClientState& client, const Command& command, std::span<const std::string_view> words);
  /// A line that was made before, of what no client has sent.
  void show_line(std::string_view line);
  void send_shown();
  /// To this worker's monitors: lines that another worker sent.
  void deliver(std::string_view lines);

 private:
  Segment& segment_;
  const std::uint32_t process_;
  WorkerMessages& messages_;
  Pushes& pushes_;
  std::vector<ClientState*> clients_;
  std::string shown_;               ///< lines that are not on their way yet, each with its length in front
  std::uint64_t shown_client_ = 0;  ///< whose address `shown_address_` is
  std::string shown_address_;
};

}  // namespace memento
