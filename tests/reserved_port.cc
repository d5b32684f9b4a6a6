// See reserved_port.h.
#include "tests/reserved_port.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace memento::testing {
namespace {

constexpr int kTries = 1000;
constexpr int kLargestPort = 65535;

/// A socket bound to the port, 0: to one that the kernel chooses; empty when another has it. Only afterwards
/// it lets a server share it: two reservations never do.
Fd bind_port(int port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return Fd();
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return socket;
}

std::uint16_t port_of(const Fd& socket) {
  sockaddr_in address{};
  socklen_t bytes = sizeof address;
  getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &bytes);
  return ntohs(address.sin_port);
}

}  // namespace

ReservedPort::ReservedPort(std::initializer_list<int> distances) {
  for (int tries = 0; tries < kTries; ++tries) {
    if (try_reserve(distances)) return;
  }
  ADD_FAILURE() << "no port could be reserved: " << std::strerror(errno);
}

bool ReservedPort::try_reserve(std::initializer_list<int> distances) {
  sockets_.clear();
  sockets_.push_back(bind_port(0));
  if (!sockets_.back()) return false;
  number_ = port_of(sockets_.back());
  for (const int distance : distances) {
    if (number_ + distance > kLargestPort) return false;
    sockets_.push_back(bind_port(number_ + distance));
    if (!sockets_.back()) return false;
  }
  return true;
}

}  // namespace memento::testing
