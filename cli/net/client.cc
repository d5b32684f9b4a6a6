// The blocking client connection: see client.h for the protocol and the invariant of send_line.
//
// Replies may be as large as a value (512 MiB), so the buffer remembers how far it was searched: a reply that
// arrives in many pieces is scanned once, not once a piece.
#include "cli/net/client.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <memory>

namespace memento {
namespace {

constexpr std::size_t kReceiveSizeBytes = 64 * 1024;

struct AddressListFree {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

Outcome connect_socket(int socket, const addrinfo& candidate, int timeout_ms) {
  const int flags = ::fcntl(socket, F_GETFL);
  if (timeout_ms >= 0) ::fcntl(socket, F_SETFL, flags | O_NONBLOCK);
  if (::connect(socket, candidate.ai_addr, candidate.ai_addrlen) != 0) {
    if (errno != EINTR && errno != EINPROGRESS) return system_error("connect");
    // It goes on in the background; its end shows as writable.
    pollfd waiting{socket, POLLOUT, 0};
    int ready = 0;
    while ((ready = ::poll(&waiting, 1, timeout_ms)) < 0) {
      if (errno != EINTR) return system_error("poll");
    }
    if (ready == 0) {
      errno = ETIMEDOUT;
      return system_error("connect");
    }
    int failure = 0;
    socklen_t failure_size = sizeof failure;
    if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &failure, &failure_size) != 0)
      return system_error("getsockopt");
    if (failure != 0) {
      errno = failure;
      return system_error("connect");
    }
  }
  ::fcntl(socket, F_SETFL, flags);
  return Done{};
}

}  // namespace

std::string Address::to_string() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Fd> connect_tcp(const Address& address, int timeout_ms) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (status != 0) {
    return Error{ExitStatus::kSystem, 0, "getaddrinfo(" + address.host + "): " + gai_strerror(status)};
  }
  const std::unique_ptr<addrinfo, AddressListFree> list(found);

  Error last{ExitStatus::kSystem, 0, "connect(" + address.to_string() + "): no address"};
  for (const addrinfo* candidate = list.get(); candidate != nullptr; candidate = candidate->ai_next) {
    Fd socket(::socket(candidate->ai_family, candidate->ai_socktype | SOCK_CLOEXEC, candidate->ai_protocol));
    if (!socket) {
      last = system_error("socket for " + address.to_string());
      continue;
    }
    const Outcome connected = connect_socket(socket.get(), *candidate, timeout_ms);
    if (!connected) {
      errno = connected.error().error_number;
      last = system_error("connect(" + address.to_string() + ")");
      continue;
    }
    const int on = 1;
    if (::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
      return system_error("setsockopt(TCP_NODELAY)");
    }
    return socket;
  }
  return last;
}

bool is_error_reply(std::string_view reply) {
  return reply.starts_with("(error)") || reply == "(Unknown command)" || reply == "(Out of memory)";
}

Result<Client> Client::connect(const Address& address) {
  Result<Fd> socket = connect_tcp(address);
  if (!socket) return socket.error();
  return Client(std::move(*socket));
}

Outcome Client::send_line(std::string_view line) {
  assert(line.find('\n') == std::string_view::npos);
  std::string bytes;
  bytes.reserve(line.size() + 1);
  bytes.append(line).push_back('\n');
  return send_all(bytes);
}

Outcome Client::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return system_error("send to the server");

    pollfd waiting{socket_.get(), POLLIN | POLLOUT, 0};
    if (::poll(&waiting, 1, -1) < 0 && errno != EINTR) return system_error("poll on the server's socket");
    if ((waiting.revents & POLLIN) != 0) {
      const Result<std::size_t> received = receive(MSG_DONTWAIT);
      if (!received) return received.error();
      if (*received == 0)
        return Error{ExitStatus::kSystem, 0, "send to the server: connection closed by the server"};
    }
  }
  return Done{};
}

Result<std::size_t> Client::receive(int flags) {
  if (consumed_ > 0 && (consumed_ == buffer_.size() || consumed_ >= kReceiveSizeBytes)) {
    buffer_.erase(0, consumed_);
    scanned_ -= consumed_;
    consumed_ = 0;
  }
  const std::size_t filled = buffer_.size();
  // Pieces grow with what is already there, so that a large reply takes few calls.
  buffer_.resize(filled + std::max(kReceiveSizeBytes, std::min<std::size_t>(filled, 16 * kReceiveSizeBytes)));
  ssize_t received = 0;
  do {
    received = ::recv(socket_.get(), buffer_.data() + filled, buffer_.size() - filled, flags);
  } while (received < 0 && errno == EINTR);
  const int failure = errno;
  buffer_.resize(filled + static_cast<std::size_t>(std::max<ssize_t>(received, 0)));
  if (received < 0) {
    errno = failure;
    return system_error("recv from the server");
  }
  return static_cast<std::size_t>(received);
}

Result<std::string> Client::read_reply() {
  while (true) {
    const std::size_t end = buffer_.find("\r\n", std::max(scanned_, consumed_));
    if (end != std::string::npos) {
      std::string reply = buffer_.substr(consumed_, end - consumed_);
      consumed_ = end + 2;
      scanned_ = consumed_;
      return reply;
    }
    // The last byte may be the \r whose \n is still to come.
    scanned_ = std::max(consumed_, buffer_.empty() ? 0 : buffer_.size() - 1);

    const Result<std::size_t> received = receive(0);
    if (!received) return received.error();
    if (*received == 0) {
      const bool has_part = buffer_.size() > consumed_;
      return Error{ExitStatus::kSystem, 0,
                   has_part ? "recv from the server: connection closed in the middle of a reply"
                            : "recv from the server: connection closed before the reply"};
    }
  }
}

Result<std::string> Client::request(std::string_view line) {
  const Outcome sent = send_line(line);
  Result<std::string> reply = read_reply();
  // The server may refuse a request before all of it is sent, and say why.
  return reply || sent ? std::move(reply) : Result<std::string>(sent.error());
}

bool Client::is_closed_by_server() const {
  char byte = 0;
  const ssize_t peeked = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (peeked > 0) return false;
  return peeked == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

}  // namespace memento
