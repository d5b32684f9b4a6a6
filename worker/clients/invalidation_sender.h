// InvalidationSender: says to a client that tracks keys which of them were changed, or to the client that it
// has its messages redirected to, of this worker or of another. Runs in workers.
//
// A client of another worker gets its messages through this worker's ring. That worker knows for whom it
// gets some: it tells when the client ends, and tells the client to drop everything when it has lost
// messages.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>

#include "shm/segment.h"
#include "worker/clients/client_state.h"
#include "worker/clients/pushes.h"
#include "worker/clients/worker_messages.h"

namespace memento {

class ClientDirectory;

class InvalidationSender {
 public:
  using Keys = std::span<const std::string_view>;

  InvalidationSender(Segment& segment, std::uint32_t process, ClientDirectory& directory,
                     WorkerMessages& messages, Pushes& pushes)
      : segment_(segment), process_(process), directory_(directory), messages_(messages), pushes_(pushes) {}

  /// REQUIRES, of both: the client tracks keys.
  void send(ClientState& client, Keys keys);
  /// All that it has cached may have been changed.
  void send_all(ClientState& client);

  /// From now on messages may be redirected to this client of that worker. False: out of memory.
  bool announce(std::uint32_t process, std::uint64_t id);

  // For clients that others' messages are redirected to.

  bool has_targets() const { return !targets_.empty(); }
  /// A client of another worker has its messages redirected to this one.
  void on_announced(std::uint32_t process, std::uint64_t id);
  void on_redirected(const MessageHeader& header, std::string_view keys);
  void send_all_to_targets();
  /// Messages for them were lost, and maybe who they are.
  void on_loss();
  /// The client is gone.
  void forget(const ClientState& client);

 private:
  /// Nothing in `keys`: all of them.
  void deliver(ClientState& client, const Keys* keys);
  void write(ClientState& receiver, bool is_redirected, const Keys* keys);
  std::uint8_t own_process() const { return static_cast<std::uint8_t>(process_); }
  void post(const MessageHeader& header, std::string_view payload, const std::bitset<kProcessLimit>& readers);
  void break_redirect(ClientState& client);
  bool is_broken(const ClientTracking& tracking) const;

  Segment& segment_;
  const std::uint32_t process_;
  ClientDirectory& directory_;
  WorkerMessages& messages_;
  Pushes& pushes_;
  /// Of this worker's clients: which other workers redirect messages to them.
  std::map<std::uint64_t, std::bitset<kProcessLimit>> targets_;
};

}  // namespace memento
