// See beside_script.h.
#include "worker/net/beside_script.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <new>

namespace memento {

void BesideScript::serve(std::span<Connection* const> busy,
                         const std::function<void(int descriptor)>& on_other,
                         const std::function<void(Connection&, Connection::Wait)>& settle) {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
    Connection* const connection = connections_.at(descriptor);
    if (connection == nullptr) {
      on_other(descriptor);
    } else if (connection->registered == Connection::Wait::kInput &&
               std::ranges::find(busy, connection) == busy.end()) {
      settle(*connection, answer(*connection));
    }
  }
}

Connection::Wait BesideScript::answer(Connection& connection) {
  try {
    const Connection::Wait wait = connection.receive(turn_, keyspace_);
    if (wait != Connection::Wait::kInput) return wait;
    connection.prepare(turn_, keyspace_);
    connection.execute(turn_, session_);
    return connection.answer(turn_, session_);
  } catch (const std::bad_alloc&) {  // its client has ended, and nobody else
    turn_.clear();
    return Connection::Wait::kClosed;
  }
}

}  // namespace memento
