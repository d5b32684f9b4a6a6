// See acceptor.h.
#include "worker/net/acceptor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "worker/net/event_sources.h"

namespace memento {
namespace {

constexpr int kAcceptLimit = 64;  // per wake-up, so that clients are served in between
constexpr std::size_t kRefusedLimit =
    64;  // connections that are not served and yet open: told so, or waiting for it
constexpr std::int64_t kRefusedMs = 1000;  // for such a client to read why, and to leave
constexpr std::int64_t kSilentMs = 100;    // for such a client to say in which protocol it is to be told
constexpr std::int64_t kLogPeriodMs = 600'000;

constexpr Refusal kTooMany{"too many clients; see max-clients", "ERR max number of clients reached"};
constexpr const char* kProtectedText =
    "DENIED memento runs in protected mode: it listens beyond this machine without a password, so only "
    "clients on this "
    "machine are served. Give it a password (requirepass, requirepass-file or MEMENTO_REQUIREPASS), or let "
    "it listen on "
    "127.0.0.1 only, or, where the network is trusted, set protected-mode to no.";
constexpr Refusal kProtected{kProtectedText, kProtectedText};

bool is_this_machine(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET)
    return ntohl(reinterpret_cast<const sockaddr_in&>(peer).sin_addr.s_addr) >> 24 == 127;
  if (peer.ss_family != AF_INET6) return true;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
}

// A peer that vanished without a word is found out after so long and two thirds of it more.
void keep_alive(const Fd& socket, std::int64_t after_s) {
  if (after_s == 0) return;
  const int on = 1;
  const int idle_s = static_cast<int>(after_s);
  const int interval_s = std::max(1, idle_s / 3);
  const int probes = 3;
  setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

}  // namespace

Acceptor::Acceptor(WorkerContext& context, const Fd& epoll, Keyspace& keyspace, MessageHub& hub,
                   ConnectionTable& connections, Close close)
    : context_(context),
      epoll_(epoll),
      keyspace_(keyspace),
      hub_(hub),
      connections_(connections),
      close_(std::move(close)),
      refused_(kRefusedMs, kRefusedLimit),
      log_("failures to accept connections", 1, kLogPeriodMs) {}

bool Acceptor::start() {
  bool are_all_watched = true;
  for_each_listener(
      [&](Fd& listener) { are_all_watched = watch_input(epoll_, listener.get()) && are_all_watched; });
  return are_all_watched;
}

bool Acceptor::is_listener(int descriptor) const {
  const auto is_it = [&](const Fd& listener) { return listener.get() == descriptor; };
  return std::ranges::any_of(context_.listen_sockets, is_it) || is_redirect_listener(descriptor);
}

bool Acceptor::is_redirect_listener(int descriptor) const {
  return std::ranges::any_of(context_.redirect_sockets,
                             [&](const Fd& listener) { return listener.get() == descriptor; });
}

void Acceptor::for_each_listener(const std::function<void(Fd&)>& visit) {
  std::ranges::for_each(context_.listen_sockets, visit);
  std::ranges::for_each(context_.redirect_sockets, visit);
}

bool Acceptor::accept(int listener) {
  for (int i = 0; i < kAcceptLimit; ++i) {
    sockaddr_storage peer{};
    socklen_t peer_bytes = sizeof peer;
    Fd socket(
        accept4(listener, reinterpret_cast<sockaddr*>(&peer), &peer_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EAGAIN) pause(errno);
      return false;
    }
    add(std::move(socket), peer, is_redirect_listener(listener));
  }
  return true;
}

bool Acceptor::is_full() const {
  return keyspace_.connected_clients() >= static_cast<std::uint64_t>(context_.settings.max_clients.load());
}

const Refusal* Acceptor::reason_to_refuse(const sockaddr_storage& peer) const {
  if (is_full()) return &kTooMany;
  const bool is_open = context_.settings.password.is_set() || !context_.settings.protected_mode.load();
  return is_open || is_this_machine(peer) ? nullptr : &kProtected;
}

bool Acceptor::may_debug(const sockaddr_storage& peer) const {
  const DebugPolicy policy = context_.options.debug_command;
  return policy == DebugPolicy::kYes || (policy == DebugPolicy::kLocal && is_this_machine(peer));
}

void Acceptor::add(Fd socket, const sockaddr_storage& peer, bool is_redirected) {
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  keep_alive(socket, context_.settings.tcp_keepalive_s.load());
  const int descriptor = socket.get();
  if (!watch_input(epoll_, descriptor)) {
    log_.warning(context_.log, std::string("epoll_ctl of a new connection: ") + std::strerror(errno));
    return;
  }
  const Refusal* const refusal = reason_to_refuse(peer);
  auto added = std::make_unique<Connection>(std::move(socket));
  added->is_refused = refusal != nullptr;
  Connection& connection = connections_.add(std::move(added));
  ClientState& client = connection.session().client();
  client.id = hub_.clients().next_id();
  client.descriptor = descriptor;
  client.connected_ms = client.active_ms = keyspace_.now_ms();
  client.authenticated = !context_.settings.password.is_set();
  client.may_debug = may_debug(peer);
  client.is_redirected = is_redirected;
  if (context_.options.inline_replies == InlineReplies::kResp) connection.session().speak_resp();
  if (refusal != nullptr) {
    add_to(context_.settings.statistics[context_.process].rejected_connections, 1);
    connection.session().refuse(*refusal);
    refused_.add(connection, monotonic_time_ms(), refusal);
    return;
  }
  keyspace_.count(Counter::kConnectionsAccepted);  // first: whatever happens, its end will be counted
  hub_.clients().add(client);
}

void Acceptor::tell(ClosingQueue::Entry& refused) {
  Connection* const connection = connections_.find(refused.descriptor, refused.client_id);
  if (std::exchange(refused.is_told, true) || connection == nullptr || connection->session().is_closing())
    return;
  const bool is_text = connection->session().client().protocol == Protocol::kText;
  const std::string text = (is_text ? std::string("(error) ") + refused.refusal->text_error
                                    : std::string("-") + refused.refusal->resp_error) +
                           "\r\n";
  [[maybe_unused]] const ssize_t sent = ::send(refused.descriptor, text.data(), text.size(), MSG_NOSIGNAL);
  ::shutdown(refused.descriptor, SHUT_WR);
}

void Acceptor::end_refused() {
  if (refused_.empty()) return;
  const std::int64_t now_ms = monotonic_time_ms();
  refused_.for_each_older(kSilentMs, now_ms, [this](ClosingQueue::Entry& refused) { tell(refused); });
  refused_.close_due(now_ms, [this](ClosingQueue::Entry& refused) {
    tell(refused);
    Connection* const connection = connections_.find(refused.descriptor, refused.client_id);
    if (connection == nullptr) return;
    connection->drop_received();
    close_(*connection);
  });
}

// Out of descriptors or memory: clients wait in the accept queue until the next tick.
void Acceptor::pause(int error_number) {
  std::string text =
      std::string("accept4: ") + std::strerror(error_number) + "; clients wait until others have left";
  if (error_number == EMFILE) {
    text +=
        ": allow this process more open files (ulimit -n, LimitNOFILE= of the service), or lower max-clients";
  } else if (error_number == ENFILE) {
    text += ": allow the machine more open files (sysctl fs.file-max), or lower max-clients";
  }
  log_.warning(context_.log, text);
  for_each_listener([&](Fd& listener) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener.get(), nullptr); });
  is_paused_ = true;
}

void Acceptor::tick() {
  log_.flush_due(context_.log);
  if (is_paused_ && !is_stopped_) is_paused_ = !start();
}

void Acceptor::stop(bool has_successor) {
  is_stopped_ = true;
  for_each_listener([&](Fd& listener) {
    while (!has_successor && accept(listener.get())) {
    }
    // Closing alone would not do: the socket is open in other processes, and would go on to wake this one.
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener.get(), nullptr);
    listener.reset();
  });
}

}  // namespace memento
