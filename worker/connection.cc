// See connection.h.
#include "worker/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace memento {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
// A request that is still incomplete grows its buffer by half each time, so reads may grow with it.
constexpr std::size_t kReadLimitBytes = 4 << 20;
constexpr std::size_t kKeptBytes = 256 * 1024;

bool would_block(int error_number) { return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == EINTR; }

}  // namespace

Connection::Wait Connection::on_readable(SessionContext& context, SharedBuffers& shared) {
  ByteBuffer& bytes = input_.empty() ? shared.input : input_;
  const std::size_t wanted = std::clamp(bytes.size() / 2, kReadBytes, kReadLimitBytes);
  char* const room = bytes.reserve(wanted);
  const ssize_t received = ::recv(socket_.get(), room, wanted, 0);
  if (received < 0) return would_block(errno) ? Wait::kInput : Wait::kClosed;
  if (received == 0) return Wait::kClosed;
  bytes.commit(static_cast<std::size_t>(received));
  context.keyspace.count(Counter::kBytesRead, static_cast<std::uint64_t>(received));
  return serve(bytes, context, shared);
}

Connection::Wait Connection::on_writable(SessionContext& context, SharedBuffers& shared) {
  if (!send(output_, context.keyspace)) return Wait::kClosed;
  if (!output_.empty()) return Wait::kOutput;
  output_.shrink(0);
  if (session_.is_closing()) return Wait::kClosed;
  return serve(input_, context, shared);
}

// `bytes` is the shared input or this connection's own.
Connection::Wait Connection::serve(ByteBuffer& bytes, SessionContext& context, SharedBuffers& shared) {
  bool broken = false;
  do {
    bytes.consume(session_.consume(bytes.view(), context, shared.output));
    broken = !send(shared.output, context.keyspace);
  } while (!broken && session_.is_paused() && shared.output.empty());
  if (&bytes == &shared.input && !bytes.empty()) {
    input_.append(bytes.view());
    bytes.truncate(0);
  }
  if (input_.empty()) input_.shrink(0);
  if (!shared.output.empty()) {
    if (!broken) output_.append(shared.output.view());
    shared.output.consume(shared.output.size());
  }
  shared.output.shrink(kKeptBytes * 8);
  if (broken) return Wait::kClosed;
  if (!output_.empty()) return Wait::kOutput;
  return session_.is_closing() ? Wait::kClosed : Wait::kInput;
}

bool Connection::send(ByteBuffer& bytes, Keyspace& keyspace) {
  while (!bytes.empty()) {
    const std::string_view view = bytes.view();
    const ssize_t sent = ::send(socket_.get(), view.data(), view.size(), MSG_NOSIGNAL);
    if (sent < 0) return would_block(errno);
    bytes.consume(static_cast<std::size_t>(sent));
    keyspace.count(Counter::kBytesWritten, static_cast<std::uint64_t>(sent));
    if (static_cast<std::size_t>(sent) < view.size()) return true;
  }
  return true;
}

}  // namespace memento
