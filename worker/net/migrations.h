// Migrations: asks other servers what MIGRATE wants to be asked (migration.h), beside serving clients:
// sockets in an epoll set of their own, which the event loop watches as one descriptor. Only the client that
// sent the MIGRATE waits. Names are resolved by a thread, since that may take seconds. Runs in workers.
#pragma once

#include <netdb.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shm/os/fd.h"
#include "worker/clients/client_directory.h"
#include "worker/clients/client_state.h"

namespace memento {

class Migrations {
 public:
  /// Names that are looked up at the same time, a thread each; one more is refused at once.
  static constexpr int kLookupLimit = 16;
  using Resolver = decltype(getaddrinfo);

  explicit Migrations(ClientDirectory& clients, Resolver* resolver = getaddrinfo)
      : clients_(clients), resolver_(resolver) {}

  /// Readable when serve() has something to do; negative: there is none.
  int descriptor() const { return epoll_.get(); }
  /// False: errno says why.
  bool start();
  /// Begins the round that the client's migration describes; the client waits until it is over.
  void begin(ClientState& client);
  /// Goes on with those whose sockets can.
  void serve();
  /// From time to time: ends those whose time is over. True: some are under way.
  bool tick();

 private:
  /// Addresses of a host, found by a thread, which may outlive this.
  struct Lookup;

  void look_up(ClientState& client, const std::shared_ptr<Lookup>& lookup);
  void connect(ClientState& client);
  bool open_socket(Migration& migration, const Lookup& found);
  void advance(ClientState& client);
  static bool take_answers(Migration& migration);
  void end(ClientState& client, const char* failure);
  void watch(const ClientState& client, std::uint32_t events, int operation);

  ClientDirectory& clients_;
  Resolver* resolver_;
  Fd epoll_;
  std::map<std::uint64_t, std::shared_ptr<Lookup>> under_way_;  ///< by client
  /// Threads at work, also those whose clients do not wait any more.
  std::shared_ptr<std::atomic<int>> lookup_count_ = std::make_shared<std::atomic<int>>(0);
};

}  // namespace memento
