// See connection.h.
#include "worker/net/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "worker/clients/message_hub.h"

namespace memento {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
// What a connection whose requests are longer reads at once, into a buffer of its own: what came in part need
// not be moved. More would let one client's pipeline keep the others waiting.
constexpr std::size_t kLongReadBytes = 256 * 1024;
// A request that is still incomplete grows its buffer by half each time, so reads may grow with it.
constexpr std::size_t kReadLimitBytes = 4 << 20;
constexpr std::uint64_t kDropLimitBytes = 1 << 30;
constexpr std::size_t kKeptReadyBytes = 64 * 1024;
constexpr std::size_t kKeptBytes = 2 << 20;  // of a turn's output; above a paused batch of small replies

bool would_block(int error_number) {
  return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == EINTR;
}

}  // namespace

// Those of a parked connection tell only that the client has ended it.
std::uint32_t Connection::events_of(Wait wait) {
  if (wait == Wait::kOutput) return EPOLLOUT;
  if (wait == Wait::kReplies || wait == Wait::kTurn || wait == Wait::kDisk)
    return 0;  // what the client sent before its end is still to be read, or executed
  return wait == Wait::kParked ? EPOLLRDHUP : EPOLLIN;
}

inline bool Connection::send(ByteBuffer& bytes, Keyspace& keyspace) {
  if (bytes.empty()) return true;
  const ssize_t sent = ::send(socket_.get(), bytes.view().data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0) return would_block(errno);
  bytes.consume(static_cast<std::size_t>(sent));
  keyspace.count(Counter::kBytesWritten, static_cast<std::uint64_t>(sent));
  return true;
}

Connection::Wait Connection::receive(Turn& turn, Keyspace& keyspace) {
  const bool begins = input_.empty();
  turn.bytes = begins && !has_long_requests_ ? &turn.input : &input_;
  const std::size_t wanted =
      turn.bytes == &turn.input
          ? kReadBytes
          : std::clamp(turn.bytes->size() / 2, has_long_requests_ ? kLongReadBytes : kReadBytes,
                       kReadLimitBytes);
  char* const room = turn.bytes->reserve(wanted);
  const ssize_t received = ::recv(socket_.get(), room, wanted, 0);
  if (received < 0) return would_block(errno) ? Wait::kInput : Wait::kClosed;
  if (received == 0) {
    has_input_ended_ = true;
    return awaits_last_replies() ? Wait::kReplies : Wait::kClosed;
  }
  if (drops_input_) {
    dropped_bytes_ += static_cast<std::uint64_t>(received);
    return dropped_bytes_ > kDropLimitBytes ? Wait::kClosed : Wait::kInput;
  }
  turn.bytes->commit(static_cast<std::size_t>(received));
  if (begins && static_cast<std::size_t>(received) < kReadBytes / 2) has_long_requests_ = false;
  keyspace.count(Counter::kBytesRead, static_cast<std::uint64_t>(received));
  return Wait::kInput;
}

Connection::Wait Connection::on_writable(Turn& turn, SessionContext& context) {
  if (!send(output_, context.keyspace)) return Wait::kClosed;
  session_.client().active_ms = context.keyspace.now_ms();
  if (!output_.empty()) return Wait::kOutput;
  output_.shrink(0);
  if (awaits_last_replies()) return Wait::kReplies;
  if (session_.is_closing() || ends_) return finish();
  if (has_input_ended_) return Wait::kClosed;
  if (session_.client().waits != ClientWait::kNothing) return parked_wait();
  return resume(turn, context);
}

Connection::Wait Connection::resume(Turn& turn, SessionContext& context) {
  turn.bytes = &input_;
  turn.batch.is_prepared = false;
  execute(turn, context);
  return answer(turn, context);
}

void Connection::execute(Turn& turn, SessionContext& context) {
  session_.begin_turn();
  consume(turn, context);
}

void Connection::consume(Turn& turn, SessionContext& context) {
  turn.bytes->consume(session_.consume(turn.bytes->view(), context, turn.batch, turn.output));
}

Connection::Wait Connection::answer(Turn& turn, SessionContext& context) {
  ByteBuffer& bytes = *turn.bytes;
  ByteBuffer& output = turn.output;
  if (must_hold(turn)) [[unlikely]]
    return hold(turn, context.services.hub.disk());
  bool broken = !send(output, context.keyspace);
  // Nearly always: all was a request, and all was answered.
  if (!broken && output.empty() && bytes.empty() && session_.wants_input() &&
      output.capacity() <= kKeptBytes && input_.capacity() == 0) [[likely]] {
    return Wait::kInput;
  }
  while (!broken && session_.is_paused() && output.empty()) {
    consume(turn, context);
    if (must_hold(turn)) return hold(turn, context.services.hub.disk());
    broken = !send(output, context.keyspace);
  }
  keep_input(turn);
  if (broken) {
    output.consume(output.size());
    return Wait::kClosed;
  }
  if (!output.empty()) {
    output_.swap(output);  // its own is empty, or it would not have been served
    return Wait::kOutput;
  }
  output.shrink(kKeptBytes);
  if (session_.is_parked()) return parked_wait();
  if (session_.has_rest()) return Wait::kTurn;
  if (awaits_last_replies()) return Wait::kReplies;
  return session_.is_closing() ? finish() : Wait::kInput;
}

// What the turn has left of it.
void Connection::keep_input(Turn& turn) {
  ByteBuffer& bytes = *turn.bytes;
  if (&bytes == &turn.input && !bytes.empty()) {
    has_long_requests_ = has_long_requests_ || bytes.size() > kReadBytes / 2;
    input_.append(bytes.view());
    bytes.consume(bytes.size());
  }
  if (input_.empty()) input_.shrink(0);
}

// A client that is told nothing waits for nothing.
bool Connection::must_hold(const Turn& turn) {
  ClientState& client = session_.client();
  if (client.held == nullptr) [[likely]]
    return false;
  if (!turn.output.empty() || client.has_pending_replies()) return true;
  client.held.reset();
  return false;
}

Connection::Wait Connection::hold(Turn& turn, DiskWaits& disk) {
  keep_input(turn);
  output_.swap(turn.output);  // its own is empty, or it would not have been served
  disk.hold(session_.client());
  return Wait::kDisk;
}

Connection::Wait Connection::on_lost(Turn& turn, SessionContext& context) {
  output_ = ByteBuffer();
  ReplyWriter(output_, session_.client().protocol)
      .error(
          "UNKNOWN the disk does not answer: whether the requests that were not answered have changed "
          "anything that will last is not known");
  ends_ = true;
  return on_writable(turn, context);
}

Connection::Wait Connection::push(Keyspace& keyspace) {
  ClientState& client = session_.client();
  ByteBuffer pushes = std::move(client.pushes);
  if (client.must_close || output_.size() + pushes.size() > MessageHub::kPushLimitBytes) return Wait::kClosed;
  if (session_.is_closing() || ends_) return registered;
  output_.append(pushes.view());
  if (registered == Wait::kOutput || client.held != nullptr) return registered;
  if (!send(output_, keyspace)) return Wait::kClosed;
  if (!output_.empty()) return Wait::kOutput;
  output_.shrink(0);
  return registered;
}

Connection::Wait Connection::on_replies(Keyspace& keyspace) {
  ByteBuffer& ready = session_.client().replies->ready();
  const bool is_held = session_.client().held != nullptr;
  if (!is_held && output_.empty() && !send(ready, keyspace)) return Wait::kClosed;
  if (!ready.empty()) {
    output_.append(ready.view());
    ready.consume(ready.size());
  }
  ready.shrink(kKeptReadyBytes);
  if (is_held) return registered;
  if (!output_.empty()) return Wait::kOutput;
  if (registered != Wait::kReplies || session_.client().has_pending_replies()) return registered;
  if (session_.is_closing() || ends_) return finish();
  return has_input_ended_ ? Wait::kClosed : registered;
}

Connection::Wait Connection::end() {
  ends_ = true;
  if (session_.client().held != nullptr) return Wait::kDisk;
  if (output_.empty() && session_.client().has_pending_replies()) return Wait::kReplies;
  return output_.empty() ? finish() : Wait::kOutput;
}

Connection::Wait Connection::finish() {
  if (!session_.is_input_broken() && !ends_) return Wait::kClosed;
  if (!drops_input_) {
    drops_input_ = true;
    input_ = ByteBuffer();
    ::shutdown(socket_.get(), SHUT_WR);
  }
  return Wait::kInput;
}

void Connection::drop_received() {
  char bytes[4096];
  for (int i = 0; i < 64 && ::recv(socket_.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0; ++i) {
  }
}

}  // namespace memento
