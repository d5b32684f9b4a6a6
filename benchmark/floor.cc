// floor: the least a single-threaded epoll server can do for the same load. It listens on 127.0.0.1 PORT and
// answers each line with a constant OK: no parsing, no storage; one read and one write a batch.
//
// The benchmark compares memento with it: the ratio is what parsing and storing cost beyond the kernel's
// work. Not part of the product; it trusts its client.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shm/os/fd.h"

namespace memento {
namespace {

constexpr std::string_view kReply = "OK\r\n";
constexpr std::size_t kReadSizeBytes = 64 * 1024;
constexpr int kEventCountMax = 256;

struct Peer {
  Fd socket;
  std::size_t unsent_bytes = 0;  ///< of replies; their place in the repeated kReply follows from it
};

class Floor {
 public:
  Floor() {
    for (std::size_t count = 0; count < kReadSizeBytes; ++count) replies_.append(kReply);
  }

  int run(std::uint16_t port) {
    if (!listen(port)) {
      std::fprintf(stderr, "floor: can't listen on 127.0.0.1:%d: %s\n", port, std::strerror(errno));
      return 1;
    }
    std::vector<epoll_event> events(kEventCountMax);
    while (true) {
      const int ready_count = ::epoll_wait(epoll_.get(), events.data(), kEventCountMax, -1);
      if (ready_count < 0 && errno != EINTR) return 1;
      for (int index = 0; index < ready_count; ++index) {
        auto* peer = static_cast<Peer*>(events[static_cast<std::size_t>(index)].data.ptr);
        if (peer == nullptr) {
          accept_peer();
        } else if (!serve(*peer)) {
          peers_.erase(peer->socket.get());
        }
      }
    }
  }

 private:
  bool listen(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    return epoll_ && listener_ &&
           ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
           ::listen(listener_.get(), SOMAXCONN) == 0 &&
           watch(listener_.get(), nullptr, EPOLL_CTL_ADD, EPOLLIN);
  }

  bool watch(int socket, Peer* peer, int operation, std::uint32_t wanted) {
    epoll_event event{};
    event.events = wanted;
    event.data.ptr = peer;
    return ::epoll_ctl(epoll_.get(), operation, socket, &event) == 0;
  }

  void accept_peer() {
    Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto peer = std::make_unique<Peer>();
    peer->socket = std::move(socket);
    const int descriptor = peer->socket.get();
    if (watch(descriptor, peer.get(), EPOLL_CTL_ADD, EPOLLIN))
      peers_.insert_or_assign(descriptor, std::move(peer));
  }

  /// Reads once and answers; false when the peer is done. While replies wait for room nothing is read.
  bool serve(Peer& peer) {
    const bool was_full = peer.unsent_bytes > 0;
    if (!was_full) {
      const ssize_t size = ::recv(peer.socket.get(), input_, sizeof input_, 0);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      if (size == 0) return false;
      peer.unsent_bytes = static_cast<std::size_t>(std::count(input_, input_ + size, '\n')) * kReply.size();
      if (peer.unsent_bytes == 0) return true;
    }
    const std::size_t begin = (kReply.size() - peer.unsent_bytes % kReply.size()) % kReply.size();
    const std::size_t send_size = std::min(peer.unsent_bytes, replies_.size() - begin);
    const ssize_t sent = ::send(peer.socket.get(), replies_.data() + begin, send_size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (sent > 0) peer.unsent_bytes -= static_cast<std::size_t>(sent);
    const bool is_full = peer.unsent_bytes > 0;
    if (is_full == was_full) return true;
    return watch(peer.socket.get(), &peer, EPOLL_CTL_MOD, is_full ? EPOLLOUT : EPOLLIN);
  }

  Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  Fd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::unordered_map<int, std::unique_ptr<Peer>> peers_;
  std::string replies_;
  char input_[kReadSizeBytes] = {};
};

}  // namespace
}  // namespace memento

int main(int argc, char** argv) {
  const std::string_view text = argc == 2 ? argv[1] : "";
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || port == 0) {
    std::fprintf(stderr, "usage: floor PORT\n");
    return 2;
  }
  return std::make_unique<memento::Floor>()->run(port);
}
