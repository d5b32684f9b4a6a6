// Pushes: what this worker's clients are sent without having asked for it, until it is on its way. Nothing is
// sent to a socket here: the worker does that with take(), and a session with its own client's, behind the
// reply that it is writing. Runs in workers.
//
// Invariant: a client is in the list, which goes through the clients themselves and so needs no memory,
// exactly when its `has_pushes` is set. A client that cannot be sent everything is closed: when its pushes
// pass kLimitBytes, or when there was no memory for one of them.
#pragma once

#include <cassert>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "worker/clients/client_state.h"

namespace memento {

class Pushes {
 public:
  static constexpr std::size_t kLimitBytes = 32
                                             << 20;  ///< of a client's messages that its socket has not taken

  /// write(ReplyWriter&) writes something that answers no request. Never throws.
  template <class Write>
  void push(ClientState& client, Write&& write) noexcept {
    if (client.must_close) return;
    try {
      ReplyWriter writer(client.pushes, client.protocol);
      write(writer);
    } catch (const std::bad_alloc&) {  // it is closed, as one that does not read is
      client.must_close = true;
      ++unwritten_count_;
    }
    note(client);
  }

  /// Nothing more of the client's is executed, and its connection is closed.
  void close(ClientState& client) noexcept {
    client.must_close = true;
    note(client);
  }
  /// How many were not closed yet.
  std::uint64_t close_all(const std::vector<ClientState*>& clients) noexcept {
    std::uint64_t count = 0;
    for (ClientState* client : clients) {
      count += client->must_close ? 0 : 1;
      close(*client);
    }
    return count;
  }

  /// The client begins anew, or is gone.
  void forget(ClientState& client) {
    if (!client.has_pushes) return;
    ClientState* before = nullptr;
    for (ClientState* at = first_; at != &client; at = at->next_pushed) before = at;
    (before != nullptr ? before->next_pushed : first_) = client.next_pushed;
    if (last_ == &client) last_ = before;
    unlist(client);
  }

  /// Takes the client that was pushed to first out of the list; nullptr: nobody was.
  ClientState* take() {
    ClientState* const client = first_;
    if (client == nullptr) return nullptr;
    first_ = client->next_pushed;
    if (first_ == nullptr) last_ = nullptr;
    unlist(*client);
    return client;
  }
  /// How many clients were closed for want of memory since the last call.
  std::uint64_t take_unwritten_count() { return std::exchange(unwritten_count_, 0); }

 private:
  static void unlist(ClientState& client) {
    client.has_pushes = false;
    client.next_pushed = nullptr;
  }
  void note(ClientState& client) noexcept {
    if (client.pushes.size() > kLimitBytes) client.must_close = true;
    if (client.must_close) client.pushes = ByteBuffer();
    if (std::exchange(client.has_pushes, true)) return;
    (last_ != nullptr ? last_->next_pushed : first_) = &client;
    last_ = &client;
  }

  ClientState* first_ = nullptr;
  ClientState* last_ = nullptr;
  std::uint64_t unwritten_count_ = 0;
};

}  // namespace memento
