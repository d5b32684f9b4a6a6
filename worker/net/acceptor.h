// Acceptor: takes new clients from a worker's listening sockets, as long as there are descriptors for them,
// and refuses those that are not served (max-clients, protected mode). Runs in workers.
//
// A refused client is told why in the protocol of its first byte; one that says nothing is told after a
// moment, in the text protocol or what inline-replies says. It gets its descriptor for a second only, and
// less when such clients are many.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>

#include "conf/log_limiter.h"
#include "shm/os/fd.h"
#include "worker/clients/message_hub.h"
#include "worker/net/closing_queue.h"
#include "worker/net/connection_table.h"
#include "worker/net/worker.h"

namespace memento {

class Acceptor {
 public:
  using Close = std::function<void(Connection&)>;

  /// `epoll` is the loop's set, which may be made later. `close` ends a connection.
  Acceptor(WorkerContext& context, const Fd& epoll, Keyspace& keyspace, MessageHub& hub,
           ConnectionTable& connections, Close close);

  /// Begins to accept. False: errno says why.
  bool start();
  bool is_listener(int descriptor) const;
  /// Accepts some of those who wait. False: nobody else waits, or more cannot be accepted now.
  bool accept(int listener);
  /// For good. Those who wait are accepted before, unless a successor will do that.
  void stop(bool has_successor);

  /// Tells and closes clients that are refused. To be called behind each wake-up.
  void end_refused();
  /// From time to time: accepts again after descriptors were short.
  void tick();

 private:
  const Refusal* reason_to_refuse(const sockaddr_storage& peer) const;
  bool may_debug(const sockaddr_storage& peer) const;
  bool is_full() const;
  bool is_redirect_listener(int descriptor) const;
  void add(Fd socket, const sockaddr_storage& peer, bool is_redirected);
  void tell(ClosingQueue::Entry& refused);
  void pause(int error_number);
  void for_each_listener(const std::function<void(Fd&)>& visit);

  WorkerContext& context_;
  const Fd& epoll_;
  Keyspace& keyspace_;
  MessageHub& hub_;
  ConnectionTable& connections_;
  const Close close_;
  ClosingQueue refused_;
  LogLimiter log_;
  bool is_paused_ = false;
  bool is_stopped_ = false;
};

}  // namespace memento
