// ConnectionTable: a worker's connections by descriptor, and how many of them are served. Runs in workers.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "worker/net/connection.h"

namespace memento {

class ConnectionTable {
 public:
  /// nullptr: there is no connection of that descriptor.
  Connection* at(int descriptor) const {
    const auto place = static_cast<std::size_t>(descriptor);
    return place < connections_.size() ? connections_[place].get() : nullptr;
  }
  /// nullptr: the client is gone; the descriptor may be another's by now.
  Connection* find(int descriptor, std::uint64_t client_id) const {
    Connection* const connection = at(descriptor);
    return connection != nullptr && connection->session().client().id == client_id ? connection : nullptr;
  }

  /// nullptr: there is none.
  ClientState* client_at(int descriptor) const {
    Connection* const connection = at(descriptor);
    return connection != nullptr ? &connection->session().client() : nullptr;
  }

  /// REQUIRES: `is_refused` is set as it will stay.
  Connection& add(std::unique_ptr<Connection> connection) {
    const auto place = static_cast<std::size_t>(connection->descriptor());
    if (place >= connections_.size()) connections_.resize(place + 64);
    assert(connections_[place] == nullptr);
    served_count_ += connection->is_refused ? 0 : 1;
    return *(connections_[place] = std::move(connection));
  }
  /// Ends it, and closes its socket.
  void erase(Connection& connection) {
    assert(at(connection.descriptor()) == &connection);
    served_count_ -= connection.is_refused ? 0 : 1;
    connections_[static_cast<std::size_t>(connection.descriptor())].reset();
  }

  /// Calls visit(connection), which may erase it.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (std::size_t place = 0; place < connections_.size(); ++place) {
      if (connections_[place] != nullptr) visit(*connections_[place]);
    }
  }

  std::size_t served_count() const { return served_count_; }

 private:
  std::vector<std::unique_ptr<Connection>> connections_;
  std::size_t served_count_ = 0;
};

}  // namespace memento
