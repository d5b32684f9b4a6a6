// Connection: one client's socket with what came in part and what could not yet be sent. Runs in workers.
//
// While output waits for the client, nothing more is read from it: a client that does not take its replies holds
// one paused batch of output and its own unread requests, not more.
#pragma once

#include "shm/os/fd.h"
#include "worker/session.h"
#include "worker/wire/byte_buffer.h"

namespace memento {

/// Buffers that all connections of a worker share; empty between two calls.
struct SharedBuffers {
  ByteBuffer input;
  ByteBuffer output;
};

class Connection {
 public:
  enum class Wait { kInput, kOutput, kClosed };  ///< what it wants next; kClosed: drop it

  explicit Connection(Fd socket) : socket_(std::move(socket)) {}

  int descriptor() const { return socket_.get(); }

  /// The socket has bytes: one read, the requests among them, one write.
  Wait on_readable(SessionContext& context, SharedBuffers& shared);
  /// The socket takes bytes again: sends what waits, then goes on with requests that were left.
  Wait on_writable(SessionContext& context, SharedBuffers& shared);

  /// What the connection waits for, as registered with epoll; kept by the worker.
  Wait registered = Wait::kInput;

 private:
  Wait serve(ByteBuffer& bytes, SessionContext& context, SharedBuffers& shared);
  /// Sends as much as the socket takes; false when the connection is broken.
  bool send(ByteBuffer& bytes, Keyspace& keyspace);

  Fd socket_;
  Session session_;
  ByteBuffer input_;   ///< a request that is not whole, or requests behind unsent output
  ByteBuffer output_;  ///< replies the socket did not take
};

}  // namespace memento
