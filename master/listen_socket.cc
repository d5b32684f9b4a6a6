// See listen_socket.h.
#include "master/listen_socket.h"

#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <ctime>
#include <memory>

namespace memento {
namespace {

constexpr int kBacklog = 4096;
constexpr int kPortWaitMs = 2000;

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<Addresses> resolve(const std::string& address, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) {
    return Error{ExitStatus::kConfig, 0,
                 "address " + address + ": " + gai_strerror(code) + "; choose another with --address"};
  }
  return Addresses(found, &freeaddrinfo);
}

// A bound socket, or one with an errno from the call that failed.
Result<Fd> bind_socket(const sockaddr* address, socklen_t address_bytes, bool shared,
                       const std::string& where) {
  Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return system_error("socket for " + where);
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address->sa_family == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (shared && setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    return system_error("setsockopt(SO_REUSEPORT) for " + where);
  }
  if (bind(socket.get(), address, address_bytes) != 0) return system_error("bind(" + where + ")");
  return socket;
}

// Without SO_REUSEPORT a bind fails when anybody listens there.
Outcome probe(const addrinfo& address, const std::string& where) {
  for (int waited_ms = 0;; waited_ms += 10) {
    const Result<Fd> probed = bind_socket(address.ai_addr, address.ai_addrlen, false, where);
    if (probed) return Done{};
    if (probed.error().error_number != EADDRINUSE || waited_ms >= kPortWaitMs) {
      Error error = probed.error();
      if (error.error_number == EADDRINUSE)
        error.message += "; stop the other server or choose another --port";
      return error;
    }
    const timespec pause{0, 10'000'000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace

std::string socket_address_text(const std::string& address, std::uint16_t port) {
  const bool is_ipv6 = address.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

Result<std::vector<Fd>> bind_listen_sockets(const std::string& address, std::uint16_t port,
                                            std::uint32_t count) {
  const Result<Addresses> addresses = resolve(address, port);
  if (!addresses) return addresses.error();
  const addrinfo& first = **addresses;
  const std::string where = socket_address_text(address, port);
  if (const Outcome free = probe(first, where); !free) return free.error();
  std::vector<Fd> sockets;
  while (sockets.size() < count) {
    Result<Fd> socket = bind_socket(first.ai_addr, first.ai_addrlen, true, where);
    if (!socket) return socket.error();
    sockets.push_back(std::move(*socket));
  }
  return sockets;
}

Outcome start_listening(const std::vector<Fd>& sockets) {
  for (const Fd& socket : sockets) {
    if (listen(socket.get(), kBacklog) != 0) return system_error("listen");
  }
  return Done{};
}

Outcome add_listen_sockets(std::vector<Fd>& sockets, std::uint32_t count) {
  sockaddr_storage address{};
  socklen_t bytes = sizeof address;
  auto* const general = reinterpret_cast<sockaddr*>(&address);
  if (getsockname(sockets.front().get(), general, &bytes) != 0)
    return system_error("getsockname of a listening socket");
  while (sockets.size() < count) {
    Result<Fd> socket = bind_socket(general, bytes, true, "another worker");
    if (!socket) return socket.error();
    if (listen(socket->get(), kBacklog) != 0) return system_error("listen");
    sockets.push_back(std::move(*socket));
  }
  return Done{};
}

Outcome use_first_sockets(const std::vector<Fd>& sockets, std::uint32_t count) {
  const auto random = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM);
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, random),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
      BPF_STMT(BPF_RET | BPF_A, 0),
  };
  const sock_fprog program{std::size(code), code};
  const int socket = sockets.front().get();
  if (setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) != 0) {
    return system_error("setsockopt(SO_ATTACH_REUSEPORT_CBPF)");
  }
  return Done{};
}

}  // namespace memento
