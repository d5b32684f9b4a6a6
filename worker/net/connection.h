// Connection: one client's socket with what came in part and what could not yet be sent. Runs in workers.
//
// While output waits for the client, nothing more is read from it: a client that does not take its replies
// holds one paused batch of output and its own unread requests, not more.
#pragma once

#include <cstdint>

#include "shm/os/byte_buffer.h"
#include "shm/os/fd.h"
#include "worker/session/brief_turns.h"
#include "worker/session/session.h"

namespace memento {

/// A turn of one connection within a wake-up: what it received, the first batch of it, the replies. Reused.
struct Turn {
  ByteBuffer input;  ///< for a connection that has nothing left from before; empty between two turns
  ByteBuffer* bytes = nullptr;  ///< the input, or the connection's own
  Batch batch;
  ByteBuffer output;  ///< empty between two turns

  /// As it is between two turns, without the memory it had.
  void clear() {
    batch.clear();
    for (ByteBuffer* buffer : {&input, &output}) *buffer = ByteBuffer();
  }
};

class Connection {
 public:
  /// What it wants next. kTurn: another turn, for requests that are here; kParked: nothing, its request waits
  /// (ClientState::waits); kReplies: nothing, before replies of other nodes came; kDisk: nothing, before the
  /// archiver has done something; kClosed: drop it.
  enum class Wait { kInput, kOutput, kTurn, kParked, kReplies, kDisk, kClosed };

  /// What epoll is to tell of a connection that waits so.
  static std::uint32_t events_of(Wait wait);

  explicit Connection(Fd socket) : socket_(std::move(socket)) {
    session_.client().waiting_input = &input_;
    session_.client().waiting_output = &output_;
  }

  int descriptor() const { return socket_.get(); }
  Session& session() { return session_; }

  /// The socket has bytes: one read. kInput: go on with prepare(), execute() and answer().
  Wait receive(Turn& turn, Keyspace& keyspace);
  void prepare(Turn& turn, Keyspace& keyspace) { session_.prepare(turn.bytes->view(), keyspace, turn.batch); }
  /// Executes the requests received, for the length of a turn; their replies, up to a pause, are in
  /// turn.output.
  void execute(Turn& turn, SessionContext& context);
  /// The same among the turns of others.
  Wait execute(Turn& turn, SessionContext& context, BriefTurns& brief) {
    if (!brief.execute(session_, *turn.bytes, turn.batch, turn.output)) [[unlikely]] {
      brief.end();
      execute(turn, context);
    }
    return Wait::kInput;
  }
  /// Behind execute(): sends the replies by one write, and goes on after a pause.
  Wait answer(Turn& turn, SessionContext& context);

  /// The socket takes bytes again: sends what waits, then goes on with requests that were left.
  Wait on_writable(Turn& turn, SessionContext& context);

  /// The request that waited need not do so any more, or another turn has come: goes on with it.
  Wait resume(Turn& turn, SessionContext& context);

  /// Sends what was pushed to the client. kClosed: more waits for it than is kept for anybody, or messages
  /// were lost.
  Wait push(Keyspace& keyspace);

  /// Replies of other nodes came: sends them.
  Wait on_replies(Keyspace& keyspace);

  /// What its replies tell of is on disk: sends them, and goes on. REQUIRES: they were held.
  Wait on_durable(Turn& turn, SessionContext& context) { return on_writable(turn, context); }
  /// Whether it will ever be is not known: the client is told so instead, and no more.
  Wait on_lost(Turn& turn, SessionContext& context);

  /// Executes nothing more: sends what waits to be sent, then closes as finish() does.
  Wait end();

  /// So that closing does not reset the connection, and with it lose what was sent last; what comes later
  /// still would.
  void drop_received();

  /// What the connection waits for, as registered with epoll; kept by the worker.
  Wait registered = Wait::kInput;
  bool is_refused = false;    ///< waits for its first byte to be told so; kept by the worker
  bool is_lingering = false;  ///< noted as one that drops_input(); kept by the worker

  /// Nothing is executed or answered any more; the client has yet to leave.
  bool drops_input() const { return drops_input_; }

 private:
  /// All is answered. kClosed; but when the client may still be sending (what cannot be parsed, or because
  /// the end is ours), closing would make the kernel reset the connection and lose the last reply: then what
  /// comes is dropped until the client closes.
  Wait finish();
  /// Before it is closed other nodes have yet to answer.
  bool awaits_last_replies() const {
    return session_.client().has_pending_replies() && (session_.is_closing() || ends_ || has_input_ended_);
  }
  /// Nothing is left to be sent: what it waits for when it is not to be closed.
  Wait parked_wait() const {
    const ClientWait waits = session_.client().waits;
    if (waits == ClientWait::kJournal || waits == ClientWait::kSync) return Wait::kDisk;
    return waits == ClientWait::kReplies ? Wait::kReplies : Wait::kParked;
  }
  /// The turn's output is to be held back.
  bool must_hold(const Turn& turn);
  Wait hold(Turn& turn, DiskWaits& disk);
  void keep_input(Turn& turn);
  void consume(Turn& turn, SessionContext& context);
  /// Sends as much as the socket takes; false when the connection is broken.
  inline bool send(ByteBuffer& bytes, Keyspace& keyspace);

  Fd socket_;
  Session session_;
  ByteBuffer input_;                ///< a request that is not whole, or requests behind unsent output
  ByteBuffer output_;               ///< replies the socket did not take
  bool has_long_requests_ = false;  ///< one did not come whole in a read of the usual size
  bool drops_input_ = false;
  bool ends_ = false;             ///< by end()
  bool has_input_ended_ = false;  ///< the client sends no more, and waits for replies of other nodes
  std::uint64_t dropped_bytes_ = 0;
};

}  // namespace memento
