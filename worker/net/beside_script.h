// BesideScript: what a worker does for its other clients while a script has been running for long in the turn
// of one: those that wait for input of theirs are told that the server is busy, and may stop the script.
// Everything else, and what is in a turn already, waits until the script has ended. Runs in workers, from
// inside a handler (WorkerServices::serve_beside).
#pragma once

#include <functional>
#include <span>

#include "shm/os/fd.h"
#include "worker/net/connection.h"
#include "worker/net/connection_table.h"

namespace memento {

class BesideScript {
 public:
  BesideScript(const Fd& epoll, ConnectionTable& connections, Keyspace& keyspace, SessionContext& session)
      : epoll_(epoll), connections_(connections), keyspace_(keyspace), session_(session) {}

  /// Looks once at what has happened. `busy`: the connections whose turns are being taken. on_other() gets
  /// descriptors that are no connection's, settle() what a connection waits for next. REQUIRES:
  /// WorkerServices::is_busy.
  void serve(std::span<Connection* const> busy, const std::function<void(int descriptor)>& on_other,
             const std::function<void(Connection&, Connection::Wait)>& settle);

 private:
  Connection::Wait answer(Connection& connection);

  const Fd& epoll_;
  ConnectionTable& connections_;
  Keyspace& keyspace_;
  SessionContext& session_;
  Turn turn_;
};

}  // namespace memento
