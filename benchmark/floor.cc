// floor: the least a single-threaded epoll server can do for the same load. It listens on 127.0.0.1 PORT and
// answers each line with a constant OK: no parsing, no storage; one read and one write a batch. With
// VALUE_BYTES it answers lines that begin with G (GET) with a constant value of that size, sent from where it
// lies: for large values the kernel's work is mostly the copying of them.
//
// The benchmark compares servers with it: the ratio is what parsing and storing cost beyond the kernel's
// work. It knows the text protocol's requests only, the shortest of all: other protocols' requests are longer
// and have no less to be done, so their floor would be lower. Not part of the product; it trusts its client.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

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

constexpr std::size_t kPieceCountMax = 512;  ///< replies given to one sendmsg

struct Peer {
  Fd socket;
  bool waits_for_room = false;
  std::size_t unsent_bytes = 0;  ///< of constant replies; their place in the repeated kReply follows from it
  // With values:
  std::vector<iovec> unsent;     ///< replies
  std::size_t unsent_first = 0;  ///< in unsent
  bool is_inside_line = false;   ///< a request was cut
  bool is_get = false;           ///< that request
  bool has_unsent() const { return unsent_bytes > 0 || unsent_first < unsent.size(); }
};

class Floor {
 public:
  explicit Floor(std::size_t value_size_bytes) : value_reply_(value_size_bytes, 'v') {
    if (value_size_bytes > 0) value_reply_.append("\r\n");
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
    if (!peer.has_unsent()) {
      const ssize_t size = ::recv(peer.socket.get(), input_, sizeof input_, 0);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      if (size == 0) return false;
      value_reply_.empty() ? count_replies(peer, size) : collect_replies(peer, size);
      if (!peer.has_unsent()) return true;
    }
    if (!(value_reply_.empty() ? send_constants(peer) : send_collected(peer))) return false;
    if (peer.has_unsent() == peer.waits_for_room) return true;
    peer.waits_for_room = peer.has_unsent();
    return watch(peer.socket.get(), &peer, EPOLL_CTL_MOD, peer.waits_for_room ? EPOLLOUT : EPOLLIN);
  }

  void count_replies(Peer& peer, ssize_t size) {
    peer.unsent_bytes = static_cast<std::size_t>(std::count(input_, input_ + size, '\n')) * kReply.size();
  }

  bool send_constants(Peer& peer) {
    const std::size_t begin = (kReply.size() - peer.unsent_bytes % kReply.size()) % kReply.size();
    const std::size_t send_size = std::min(peer.unsent_bytes, replies_.size() - begin);
    const ssize_t sent = ::send(peer.socket.get(), replies_.data() + begin, send_size, MSG_NOSIGNAL);
    if (sent > 0) peer.unsent_bytes -= static_cast<std::size_t>(sent);
    return sent >= 0 || errno == EAGAIN || errno == EINTR;
  }

  void collect_replies(Peer& peer, ssize_t size) {
    peer.unsent.clear();
    peer.unsent_first = 0;
    for (const char* at = input_; at < input_ + size;) {
      if (!peer.is_inside_line) peer.is_get = *at == 'G';
      const auto* end =
          static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(input_ + size - at)));
      peer.is_inside_line = end == nullptr;
      if (end == nullptr) return;
      const std::string& reply = peer.is_get ? value_reply_ : replies_;
      peer.unsent.push_back({const_cast<char*>(reply.data()), peer.is_get ? reply.size() : kReply.size()});
      at = end + 1;
    }
  }

  bool send_collected(Peer& peer) {
    msghdr message{};
    message.msg_iov = peer.unsent.data() + peer.unsent_first;
    message.msg_iovlen = std::min(kPieceCountMax, peer.unsent.size() - peer.unsent_first);
    const ssize_t sent = ::sendmsg(peer.socket.get(), &message, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    for (auto left = static_cast<std::size_t>(sent); left > 0;) {
      iovec& piece = peer.unsent[peer.unsent_first];
      const std::size_t taken = std::min(left, piece.iov_len);
      piece = {static_cast<char*>(piece.iov_base) + taken, piece.iov_len - taken};
      left -= taken;
      if (piece.iov_len == 0) ++peer.unsent_first;
    }
    return true;
  }

  Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  Fd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::unordered_map<int, std::unique_ptr<Peer>> peers_;
  std::string replies_;      ///< kReply, repeated
  std::string value_reply_;  ///< to GETs; empty: they are answered with kReply
  char input_[kReadSizeBytes] = {};
};

}  // namespace
}  // namespace memento

int main(int argc, char** argv) {
  const auto is_number = [](std::string_view text, auto& number) {
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && number > 0;
  };
  std::uint16_t port = 0;
  std::size_t value_size_bytes = 0;
  const bool is_good = (argc == 2 || argc == 3) && is_number(argv[1], port) &&
                       (argc == 2 || is_number(argv[2], value_size_bytes));
  if (!is_good) {
    std::fprintf(stderr, "usage: floor PORT [VALUE_BYTES]\n");
    return 2;
  }
  return std::make_unique<memento::Floor>(value_size_bytes)->run(port);
}
