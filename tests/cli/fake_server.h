// FakeServer: a server in threads of this process that answers RESP requests by a function; for replies that
// a real server does not give, broken ones and those of a cluster among them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "shm/os/fd.h"

namespace memento::testing {

class FakeServer {
 public:
  /// `answer` gets a request's words joined by spaces, in upper case, and gives the reply's bytes; empty:
  /// close.
  using Answer = std::function<std::string(const std::string& request)>;

  explicit FakeServer(Answer answer);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::uint16_t port() const { return port_; }

 private:
  void accept_until_closed();
  void serve(int socket) const;

  Answer answer_;
  Fd listener_;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> threads_;
  std::vector<int> sockets_;
};

/// A bulk string of RESP.
std::string bulk(const std::string& text);

}  // namespace memento::testing
