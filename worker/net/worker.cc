// See worker.h. One epoll set: the listening sockets, a signalfd, a timerfd, and the connections.
#include "worker/net/worker.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "conf/log_limiter.h"
#include "worker/clients/message_hub.h"
#include "worker/net/connection.h"
#include "worker/routing/cluster_router.h"
#include "worker/session/peer_requests.h"

namespace memento {
namespace {

constexpr int kEventLimit = 256;
constexpr std::size_t kTurnLimit = 16;
constexpr std::size_t kBriefTurnBytes = 16 * 1024;  // of its requests, and of its replies; some hundred of the usual size
constexpr int kAcceptLimit = 64;  // per wake-up, so that clients are served in between
constexpr std::size_t kRefusedLimit = 64;  // connections that are not served and yet open: told so, or waiting for it
constexpr std::int64_t kRefusedMs = 1000;  // for such a client to read why, and to leave
constexpr std::int64_t kLingerMs = 10'000;  // for one whose input made no sense to stop sending, and to read why
constexpr std::int64_t kAcceptLogMs = 600'000;
constexpr std::int64_t kTickMs = 100;
constexpr std::int64_t kBusyTickMs = 10;  // while background work is left: a tenth of the worker's time
constexpr std::int64_t kMaintenanceUs = 1000;
constexpr int kKeptHeapBytes = 32 << 20;
constexpr std::int64_t kCutOffGraceMs = 500;  // for clients to take their last replies

// Runs out once, `after_ms` from now; set again to use it again.
bool set_timer(const Fd& timer, std::int64_t after_ms) {
  const itimerspec times{{}, timespec{after_ms / 1000, after_ms % 1000 * 1'000'000}};
  return timerfd_settime(timer.get(), 0, &times, nullptr) == 0;
}

Fd make_timer(std::int64_t after_ms) {
  Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (timer && !set_timer(timer, after_ms)) timer.reset();
  return timer;
}

Fd make_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGINT, SIGHUP}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  sigdelset(&set, SIGINT);  // the terminal sends these to all; they are the master's
  sigdelset(&set, SIGHUP);
  return Fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

constexpr Refusal kTooMany{"too many clients; see max-clients", "ERR max number of clients reached"};
constexpr const char* kProtectedText =
    "DENIED memento runs in protected mode: it listens beyond this machine without a password, so only clients on this "
    "machine are served. Give it a password (requirepass, requirepass-file or MEMENTO_REQUIREPASS), or let it listen on "
    "127.0.0.1 only, or, where the network is trusted, set protected-mode to no.";
constexpr Refusal kProtected{kProtectedText, kProtectedText};

bool is_this_machine(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET) return ntohl(reinterpret_cast<const sockaddr_in&>(peer).sin_addr.s_addr) >> 24 == 127;
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

// Those of a parked connection tell only that the client has ended it.
std::uint32_t events_of(Connection::Wait wait) {
  if (wait == Connection::Wait::kOutput) return EPOLLOUT;
  if (wait == Connection::Wait::kReplies || wait == Connection::Wait::kTurn)
    return 0;  // what the client sent before its end is still to be read, or executed
  return wait == Connection::Wait::kParked ? EPOLLRDHUP : EPOLLIN;
}

struct Refused {
  int descriptor;
  std::uint64_t id;       ///< of the connection; the descriptor may be another's by now
  std::int64_t since_ms;  ///< monotonic
  const Refusal* refusal;
  bool is_told = false;
};

/// A connection that drops what comes until its client leaves.
struct Lingering {
  int descriptor;
  std::uint64_t id;
  std::int64_t since_ms;
};

class Worker {
 public:
  explicit Worker(WorkerContext context)
      : context_(std::move(context)),
        keyspace_(context_.segment, context_.process),
        facts_{context_.start_ms, context_.options.workers, context_.index, context_.options,
               context_.process},
        hub_(context_.segment, keyspace_, context_.process),
        services_{facts_, context_.settings, hub_, context_.cluster},
        session_{keyspace_, services_} {}

  int run();

 private:
  bool set_up();
  bool watch(int descriptor);
  void on_event(const epoll_event& event);
  void on_connection(int descriptor, std::uint32_t events);
  void take_turns();
  void answer_turns(std::size_t end);
  void on_wakeup();
  void resume_clients();
  void give_another_turn();
  void push_messages();
  bool join_cluster();
  bool may_sleep_in_cluster();
  void take_replies();
  ClientState* client_at(int descriptor) const;
  void on_signal();
  void on_timer();
  const Refusal* reason_to_refuse(const sockaddr_storage& peer) const;
  bool may_debug(const sockaddr_storage& peer) const;
  void admit(Fd socket, const sockaddr_storage& peer, bool is_redirected);
  Connection* find(int descriptor, std::uint64_t id) const;
  void tell(Refused& refused);
  void end_refused();
  void end_lingering();
  bool is_listener(int descriptor) const;
  bool is_redirect_listener(int descriptor) const;
  void for_each_listener(const std::function<void(Fd&)>& visit);
  bool accept_connections(int listener);
  void pause_accepting(int error_number);
  void finish_connections(bool has_successor);
  void cut_off();
  void tell_ready();
  template <class Act>
  Connection::Wait guard(Turn& turn, Act&& act);
  template <class Act>
  void survive(Act&& act);
  void settle(Connection& connection, Connection::Wait wait);
  void close(Connection& connection);
  void update_statistics();
  void give_back_memory();
  WorkerStatistics& statistics() { return context_.settings.statistics[context_.process]; }
  bool is_full() const { return keyspace_.connected_clients() >= static_cast<std::uint64_t>(context_.settings.max_clients.load()); }

  WorkerContext context_;
  Keyspace keyspace_;
  const ServerFacts facts_;
  MessageHub hub_;
  WorkerServices services_;
  SessionContext session_;
  std::unique_ptr<ClusterRouter> router_;  ///< of a cluster's node
  std::unique_ptr<PeerRequests> peers_;    ///< likewise
  std::array<Turn, kTurnLimit> turns_;
  std::array<Connection*, kTurnLimit> taking_turns_;  ///< connections that have bytes to read, by turn
  std::array<Connection::Wait, kTurnLimit> turn_waits_;
  std::size_t turn_count_ = 0;
  std::size_t answered_turns_ = 0;  ///< of those being taken
  Fd epoll_;
  Fd signals_;
  Fd timer_;
  Fd quit_timer_;  ///< runs out when the patience with open connections does, and again when that with cut off ones does
  std::vector<std::unique_ptr<Connection>> connections_;  ///< by descriptor
  std::deque<Lingering> lingering_;  ///< oldest first; some have gone
  std::deque<Refused> refused_;  ///< connections that are not served, oldest first; some have gone
  LogLimiter memory_log_{"connections ended for want of memory", 1, kAcceptLogMs};
  std::size_t trimmed_bytes_ = 0;  ///< free bytes of the heap when memory was given back last
  LogLimiter accept_log_{"failures to accept connections", 1, kAcceptLogMs};
  std::deque<int> next_turns_;   ///< descriptors of connections whose turn ended before their requests did
  std::size_t connection_count_ = 0;
  std::int64_t rated_ms_ = 0;  ///< monotonic; operations per second were found then
  std::uint64_t rated_executed_ = 0;
  bool accepting_ = true;
  bool leaving_ = false;  ///< now
  bool ending_ = false;   ///< when the last connection has ended
  bool cutting_off_ = false;  ///< no more requests are executed
};

bool Worker::watch(int descriptor) {
  epoll_event event{EPOLLIN, {.fd = descriptor}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

bool Worker::set_up() {
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  signals_ = make_signals();
  timer_ = make_timer(kTickMs);
  if (epoll_ && signals_ && timer_ && watch(signals_.get()) && watch(timer_.get()) &&
      (hub_.wakeup_descriptor() < 0 || watch(hub_.wakeup_descriptor())) &&
      std::ranges::all_of(context_.listen_sockets,
                          [this](const Fd& listener) { return watch(listener.get()); }) &&
      std::ranges::all_of(context_.redirect_sockets,
                          [this](const Fd& listener) { return watch(listener.get()); })) {
    return context_.cluster == nullptr || join_cluster();
  }
  context_.log.error(std::string("setting up the event loop: ") + std::strerror(errno));
  return false;
}

int Worker::run() {
  if (!set_up()) return static_cast<int>(ExitStatus::kSystem);
  tell_ready();
  std::array<epoll_event, kEventLimit> events;
  while (!leaving_ && !(ending_ && connection_count_ == 0 && (peers_ == nullptr || peers_->is_idle()))) {
    const bool may_sleep = next_turns_.empty() && (router_ == nullptr || may_sleep_in_cluster());
    const int count = epoll_wait(epoll_.get(), events.data(), kEventLimit, may_sleep ? -1 : 0);
    if (count < 0 && errno != EINTR) {
      context_.log.error(std::string("epoll_wait: ") + std::strerror(errno));
      return static_cast<int>(ExitStatus::kSystem);
    }
    keyspace_.set_now_ms(wall_time_ms());
    for (int i = 0; i < count; ++i) survive([&] { on_event(events[static_cast<std::size_t>(i)]); });
    take_turns();
    if (!next_turns_.empty()) give_another_turn();
    if (!refused_.empty()) end_refused();
    if (!lingering_.empty()) end_lingering();
    if (hub_.clients().has_waiting()) survive([&] { resume_clients(); });
    if (router_ != nullptr) survive([&] { take_replies(); });
    survive([&] { push_messages(); });
  }
  return static_cast<int>(ExitStatus::kOk);
}

// What is not for one connection (accepting, the timer, other workers) is done as far as memory goes: a connection that
// cannot be had is not, a figure is a second old.
template <class Act>
void Worker::survive(Act&& act) {
  try {
    act();
  } catch (const std::bad_alloc&) {
    memory_log_.warning(context_.log, "no memory for something; it is left out");
  }
}

void Worker::on_event(const epoll_event& event) {
  const int descriptor = event.data.fd;
  if (is_listener(descriptor)) {
    accept_connections(descriptor);
  } else if (descriptor == timer_.get()) {
    on_timer();
  } else if (descriptor == hub_.wakeup_descriptor()) {
    on_wakeup();
  } else if (descriptor == signals_.get()) {
    on_signal();
  } else if (descriptor == quit_timer_.get()) {
    cut_off();
  } else {
    on_connection(descriptor, event.events);
  }
}

// What the connection wants after act(). Without memory for that its client has ended, and nobody else.
template <class Act>
Connection::Wait Worker::guard(Turn& turn, Act&& act) {
  try {
    return act();
  } catch (const std::bad_alloc&) {
    turn.clear();
    memory_log_.warning(context_.log, "a connection was ended: no memory for what it sent or was to get; give the machine, "
                                      "the cgroup or the process (ulimit -v) more than what is stored needs");
    return Connection::Wait::kClosed;
  }
}

void Worker::on_connection(int descriptor, std::uint32_t events) {
  const auto place = static_cast<std::size_t>(descriptor);
  // The listening socket's last event may come behind the signal that closed it.
  if (place >= connections_.size() || connections_[place] == nullptr) return;
  Connection& connection = *connections_[place];
  // An error shows in the read or write it leads to.
  if (connection.registered == Connection::Wait::kOutput) {
    const bool dead = (events & (EPOLLERR | EPOLLHUP)) != 0 && (events & EPOLLOUT) == 0;
    Turn& turn = turns_[turn_count_];
    settle(connection, dead ? Connection::Wait::kClosed : guard(turn, [&] { return connection.on_writable(turn, session_); }));
  } else if (connection.registered == Connection::Wait::kParked ||
             connection.registered == Connection::Wait::kReplies) {
    settle(connection, Connection::Wait::kClosed);
  } else if (connection.registered == Connection::Wait::kInput) {
    taking_turns_[turn_count_++] = &connection;
    if (turn_count_ == kTurnLimit) take_turns();
  }
}

// One stage after the other for all connections that have bytes, not one connection after the other: their fetches from
// memory overlap, and the code of each stage, the kernel's for reading and for writing too, is warm. Replies in a row
// also find a client awake that the first woke. (Against executing and writing in turn, 50 connections: 6 to 11 % more
// requests a second at pipeline 50, 2 to 10 at 10, 0 to 2 at 1.) Only brief turns' replies are held back so, and only
// while brief ones are executed.
void Worker::take_turns() {
  const std::size_t count = std::exchange(turn_count_, 0);
  answered_turns_ = 0;
  for (std::size_t i = 0; i < count; ++i) {
    turn_waits_[i] = guard(turns_[i], [&] { return taking_turns_[i]->receive(turns_[i], keyspace_); });
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (turn_waits_[i] != Connection::Wait::kInput) continue;
    turn_waits_[i] = guard(turns_[i], [&] { return taking_turns_[i]->prepare(turns_[i], keyspace_), Connection::Wait::kInput; });
  }
  for (std::size_t i = 0; i < count; ++i) prefetch_tables(turns_[i].batch, keyspace_);
  for (std::size_t i = 0; i < count; ++i) prefetch_entries(turns_[i].batch, keyspace_);
  for (std::size_t i = 0; i < count; ++i) {
    if (turn_waits_[i] != Connection::Wait::kInput) continue;
    Turn& turn = turns_[i];
    const bool is_brief = turn.batch.is_plain() && turn.bytes->size() <= kBriefTurnBytes;
    if (!is_brief) answer_turns(i);
    turn_waits_[i] = guard(turn, [&] { return taking_turns_[i]->execute(turn, session_), Connection::Wait::kInput; });
    if (!is_brief || turn.output.size() > kBriefTurnBytes) answer_turns(i + 1);
  }
  answer_turns(count);
}

// Sends the replies of the turns in front of `end` that were not sent yet.
void Worker::answer_turns(std::size_t end) {
  for (; answered_turns_ < end; ++answered_turns_) {
    Connection& connection = *taking_turns_[answered_turns_];
    Turn& turn = turns_[answered_turns_];
    Connection::Wait& wait = turn_waits_[answered_turns_];
    if (wait == Connection::Wait::kInput) wait = guard(turn, [&] { return connection.answer(turn, session_); });
    settle(connection, wait);
  }
}

void Worker::on_wakeup() {
  hub_.drain_wakeups();
  hub_.serve();
}

// Those whose request waited for other workers or for the end of a pause. Some may have to wait again.
void Worker::resume_clients() {
  ClientDirectory& clients = hub_.clients();
  clients.tick();
  for (ClientState* client : clients.take_ready()) {
    Connection& connection = *connections_[static_cast<std::size_t>(client->descriptor)];
    if (connection.registered == Connection::Wait::kParked) {
      settle(connection, guard(turns_[0], [&] { return connection.resume(turns_[0], session_); }));
    }
  }
  clients.close_question();
  if (clients.has_waiting()) set_timer(timer_, kBusyTickMs);
}

bool Worker::may_sleep_in_cluster() {
  if (!router_->may_sleep()) return false;
  if (!peers_->has_work()) return true;
  router_->wake();
  return false;
}

// One of those whose turn ended before their requests did: behind it the others are looked at again.
void Worker::give_another_turn() {
  const int descriptor = next_turns_.front();
  next_turns_.pop_front();
  Connection* const connection = connections_[static_cast<std::size_t>(descriptor)].get();
  if (connection == nullptr || connection->registered != Connection::Wait::kTurn) return;
  const Connection::Wait wait = guard(turns_[0], [&] { return connection->resume(turns_[0], session_); });
  if (wait == Connection::Wait::kTurn) next_turns_.push_back(descriptor);
  settle(*connection, wait);
}

bool Worker::join_cluster() {
  context_.cluster->worker_processes[context_.index].store(context_.process);
  Result<std::unique_ptr<BusClient>> bus = BusClient::create(
      context_.segment, *context_.cluster, context_.process, context_.options.cluster_timeout_s * 1000);
  if (!bus) {
    context_.log.error(bus.error().message);
    return false;
  }
  peers_ = std::make_unique<PeerRequests>((*bus)->channel(), *context_.cluster, keyspace_, services_);
  router_ = std::make_unique<ClusterRouter>(*context_.cluster, std::move(*bus));
  session_.router = router_.get();
  hub_.set_publisher([this](SubscriptionKind kind, std::string_view channel, std::string_view message) {
    router_->publish_elsewhere(kind, channel, message);
  });
  return true;
}

ClientState* Worker::client_at(int descriptor) const {
  const auto place = static_cast<std::size_t>(descriptor);
  if (place >= connections_.size() || connections_[place] == nullptr) return nullptr;
  return &connections_[place]->session().client();
}

// What other nodes answered and ask; and what this wake-up has for them goes on its way.
void Worker::take_replies() {
  router_->wake();
  router_->receive([this](int descriptor) { return client_at(descriptor); });
  for (ClientState* client : router_->take_answered()) {
    Connection* const connection = connections_[static_cast<std::size_t>(client->descriptor)].get();
    settle(*connection, guard(turns_[0], [&] { return connection->on_replies(keyspace_); }));
  }
  if (router_->has_parked()) {
    for (ClientState* client : router_->take_ready()) {
      Connection& connection = *connections_[static_cast<std::size_t>(client->descriptor)];
      if (connection.registered == Connection::Wait::kReplies)
        settle(connection, guard(turns_[0], [&] { return connection.resume(turns_[0], session_); }));
    }
  }
  if (peers_->serve()) router_->wake_bus();
  router_->flush();
}

void Worker::push_messages() {
  if (const std::string losses = hub_.take_losses(); !losses.empty()) context_.log.warning(losses);
  for (ClientState* client : hub_.take_pushed()) {
    Connection& connection = *connections_[static_cast<std::size_t>(client->descriptor)];
    settle(connection, guard(turns_[0], [&] { return connection.push(keyspace_); }));
  }
}

void Worker::settle(Connection& connection, Connection::Wait wait) {
  if (connection.drops_input() && !std::exchange(connection.is_lingering, true)) [[unlikely]] {
    lingering_.push_back({connection.descriptor(), connection.session().client().id, monotonic_time_ns() / 1'000'000});
  }
  if (wait == connection.registered) return;
  if (wait == Connection::Wait::kClosed) return close(connection);
  if (wait == Connection::Wait::kTurn) next_turns_.push_back(connection.descriptor());
  connection.registered = wait;
  epoll_event event{events_of(wait), {.fd = connection.descriptor()}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.descriptor(), &event) != 0) close(connection);
}

void Worker::close(Connection& connection) {
  const bool was_served = !connection.is_refused;
  if (router_ != nullptr) router_->forget(connection.session().client());
  hub_.remove(connection.session().client());
  connections_[static_cast<std::size_t>(connection.descriptor())].reset();
  if (!was_served) return;
  --connection_count_;
  keyspace_.count(Counter::kConnectionsClosed);
}

bool Worker::is_listener(int descriptor) const {
  const auto is_it = [&](const Fd& listener) { return listener.get() == descriptor; };
  return std::ranges::any_of(context_.listen_sockets, is_it) || is_redirect_listener(descriptor);
}

bool Worker::is_redirect_listener(int descriptor) const {
  return std::ranges::any_of(context_.redirect_sockets,
                             [&](const Fd& listener) { return listener.get() == descriptor; });
}

void Worker::for_each_listener(const std::function<void(Fd&)>& visit) {
  std::ranges::for_each(context_.listen_sockets, visit);
  std::ranges::for_each(context_.redirect_sockets, visit);
}

// False: nobody else waits, or more cannot be accepted now.
bool Worker::accept_connections(int listener) {
  for (int i = 0; i < kAcceptLimit; ++i) {
    sockaddr_storage peer{};
    socklen_t peer_bytes = sizeof peer;
    Fd socket(accept4(listener, reinterpret_cast<sockaddr*>(&peer), &peer_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EAGAIN) pause_accepting(errno);
      return false;
    }
    admit(std::move(socket), peer, is_redirect_listener(listener));
  }
  return true;
}

const Refusal* Worker::reason_to_refuse(const sockaddr_storage& peer) const {
  if (is_full()) return &kTooMany;
  const bool is_open = context_.settings.password.is_set() || !context_.settings.protected_mode.load();
  return is_open || is_this_machine(peer) ? nullptr : &kProtected;
}

bool Worker::may_debug(const sockaddr_storage& peer) const {
  const DebugPolicy policy = context_.options.debug_command;
  return policy == DebugPolicy::kYes || (policy == DebugPolicy::kLocal && is_this_machine(peer));
}

void Worker::admit(Fd socket, const sockaddr_storage& peer, bool is_redirected) {
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  keep_alive(socket, context_.settings.tcp_keepalive_s.load());
  const int descriptor = socket.get();
  if (!watch(descriptor)) {
    accept_log_.warning(context_.log, std::string("epoll_ctl of a new connection: ") + std::strerror(errno));
    return;
  }
  const auto place = static_cast<std::size_t>(descriptor);
  if (place >= connections_.size()) connections_.resize(place + 64);
  connections_[place] = std::make_unique<Connection>(std::move(socket));
  Connection& connection = *connections_[place];
  ClientState& client = connection.session().client();
  client.id = hub_.clients().next_id();
  client.descriptor = descriptor;
  client.connected_ms = client.active_ms = keyspace_.now_ms();
  client.authenticated = !context_.settings.password.is_set();
  client.may_debug = may_debug(peer);
  client.is_redirected = is_redirected;
  if (context_.options.inline_replies == InlineReplies::kResp) connection.session().speak_resp();
  if (const Refusal* const refusal = reason_to_refuse(peer)) {
    add_to(statistics().rejected_connections, 1);
    connection.is_refused = true;
    connection.session().refuse(*refusal);
    refused_.push_back(Refused{descriptor, client.id, monotonic_time_ns() / 1'000'000, refusal});
    return;
  }
  hub_.clients().add(client);
  ++connection_count_;
  keyspace_.count(Counter::kConnectionsAccepted);
}

// nullptr: it has ended.
Connection* Worker::find(int descriptor, std::uint64_t id) const {
  Connection* const connection = connections_[static_cast<std::size_t>(descriptor)].get();
  return connection != nullptr && connection->session().client().id == id ? connection : nullptr;
}

// One that says nothing, so that its protocol is not known, is told in the text protocol, or what inline-replies says.
void Worker::tell(Refused& refused) {
  Connection* const connection = find(refused.descriptor, refused.id);
  if (std::exchange(refused.is_told, true) || connection == nullptr || connection->session().is_closing()) return;
  const bool is_text = connection->session().client().protocol == Protocol::kText;
  const std::string text =
      (is_text ? std::string("(error) ") + refused.refusal->text_error : std::string("-") + refused.refusal->resp_error) + "\r\n";
  [[maybe_unused]] const ssize_t sent = ::send(refused.descriptor, text.data(), text.size(), MSG_NOSIGNAL);
  ::shutdown(refused.descriptor, SHUT_WR);
}

// They get their descriptors for a moment only: who does not leave by itself is closed, and at once when they are many.
void Worker::end_refused() {
  const std::int64_t now_ms = monotonic_time_ns() / 1'000'000;
  for (Refused& refused : refused_) {
    if (now_ms - refused.since_ms < kTickMs) break;
    tell(refused);
  }
  while (!refused_.empty() && (refused_.size() > kRefusedLimit || now_ms - refused_.front().since_ms >= kRefusedMs)) {
    Refused& refused = refused_.front();
    tell(refused);
    if (Connection* const connection = find(refused.descriptor, refused.id); connection != nullptr) {
      connection->drop_received();
      close(*connection);
    }
    refused_.pop_front();
  }
}

void Worker::end_lingering() {
  const std::int64_t now_ms = monotonic_time_ns() / 1'000'000;
  while (!lingering_.empty() && now_ms - lingering_.front().since_ms >= kLingerMs) {
    const Lingering& oldest = lingering_.front();
    if (Connection* const connection = find(oldest.descriptor, oldest.id)) close(*connection);
    lingering_.pop_front();
  }
}

// Out of descriptors or memory: clients wait in the accept queue until the next tick.
void Worker::pause_accepting(int error_number) {
  std::string text = std::string("accept4: ") + std::strerror(error_number) + "; clients wait until others have left";
  if (error_number == EMFILE) {
    text += ": allow this process more open files (ulimit -n, LimitNOFILE= of the service), or lower max-clients";
  } else if (error_number == ENFILE) {
    text += ": allow the machine more open files (sysctl fs.file-max), or lower max-clients";
  }
  accept_log_.warning(context_.log, text);
  for_each_listener([&](Fd& listener) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener.get(), nullptr); });
  accepting_ = false;
}

// The master may let predecessors go.
void Worker::tell_ready() {
  const auto pid = static_cast<std::uint32_t>(getpid());
  [[maybe_unused]] const ssize_t written = ::write(context_.ready_pipe.get(), &pid, sizeof pid);
  context_.ready_pipe.reset();
}

void Worker::finish_connections(bool has_successor) {
  ending_ = true;
  quit_timer_ = make_timer(std::max(1, context_.settings.quit_timeout_ms.load()));
  if (!quit_timer_ || !watch(quit_timer_.get())) leaving_ = true;
  for_each_listener([&](Fd& listener) {
    while (!has_successor && accept_connections(listener.get())) {
    }
    // Closing alone would not do: the socket is open in other processes, and would go on to wake this one.
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener.get(), nullptr);
    listener.reset();
  });
}

// Time is up. What was executed has been answered and what was not will not be: each client reads its replies and then
// the end, and may send the rest elsewhere.
void Worker::cut_off() {
  if (std::exchange(cutting_off_, true)) {
    leaving_ = true;
    return;
  }
  context_.log.warning(std::to_string(connection_count_) + " connections were cut off after " +
                       std::to_string(context_.settings.quit_timeout_ms.load()) + " ms");
  for (const std::unique_ptr<Connection>& connection : connections_) {
    if (connection != nullptr) settle(*connection, connection->end());
  }
  if (!set_timer(quit_timer_, kCutOffGraceMs)) leaving_ = true;
}

void Worker::on_signal() {
  signalfd_siginfo signal;
  while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGTERM) {
      leaving_ = true;
    } else if (signal.ssi_signo == SIGUSR1) {
      if (const Outcome reopened = context_.log.reopen(); !reopened) context_.log.warning(reopened.error().message);
    } else if ((signal.ssi_signo == SIGQUIT || signal.ssi_signo == SIGUSR2) && !ending_) {
      finish_connections(signal.ssi_signo == SIGUSR2);
    }
  }
}

// What clients have made the heap grow by lies between what is used: only there for the next ones, or for nobody.
void Worker::give_back_memory() {
  const std::size_t free_bytes = mallinfo2().fordblks;
  if (free_bytes > trimmed_bytes_ + kKeptHeapBytes) {
    malloc_trim(kKeptHeapBytes);
    trimmed_bytes_ = mallinfo2().fordblks;
  } else {
    trimmed_bytes_ = std::min(trimmed_bytes_, free_bytes);
  }
}

// What others read of this worker and no event counts.
void Worker::update_statistics() {
  constexpr TimeMs kRatePeriodMs = 1000;
  WorkerStatistics& record = statistics();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto microseconds = [](const timeval& time) { return static_cast<std::uint64_t>(time.tv_sec * 1'000'000 + time.tv_usec); };
  record.cpu_user_us.store(microseconds(usage.ru_utime), std::memory_order_relaxed);
  record.cpu_system_us.store(microseconds(usage.ru_stime), std::memory_order_relaxed);
  record.process_id.store(static_cast<std::uint64_t>(getpid()), std::memory_order_relaxed);
  record.connected_clients.store(connection_count_, std::memory_order_relaxed);
  record.waiting_clients.store(hub_.clients().waiting_count(), std::memory_order_relaxed);
  const std::uint64_t used_bytes = keyspace_.memory_used_bytes();
  StatisticsWord& peak_bytes = context_.settings.statistics->memory_peak_bytes;
  if (used_bytes > peak_bytes.load()) peak_bytes = used_bytes;
  const std::int64_t now_ms = monotonic_time_ns() / 1'000'000;
  const std::int64_t elapsed_ms = now_ms - rated_ms_;
  if (elapsed_ms < kRatePeriodMs) return;
  give_back_memory();
  const std::uint64_t executed = record.executed.load(std::memory_order_relaxed);
  const std::uint64_t rate = (executed - rated_executed_) * 1000 / static_cast<std::uint64_t>(elapsed_ms);
  record.operations_per_second.store(rated_ms_ == 0 ? 0 : rate, std::memory_order_relaxed);
  rated_executed_ = executed;
  rated_ms_ = now_ms;
}

void Worker::on_timer() {
  std::uint64_t expirations = 0;
  [[maybe_unused]] const ssize_t got = ::read(timer_.get(), &expirations, sizeof expirations);
  hub_.serve();  // a wake-up FIFO may have been lost
  if (router_ != nullptr)
    router_->look(monotonic_time_ns() / 1'000'000, [this](int descriptor) { return client_at(descriptor); });
  accept_log_.flush_due(context_.log);
  memory_log_.flush_due(context_.log);
  update_statistics();
  const bool is_busy = keyspace_.maintain(kMaintenanceUs, context_.settings.expires_in_background) ||
                       hub_.clients().has_waiting();
  set_timer(timer_, is_busy ? kBusyTickMs : kTickMs);
  if (accepting_ || ending_) return;
  accepting_ = true;
  for_each_listener([&](Fd& listener) { accepting_ = watch(listener.get()) && accepting_; });
}

}  // namespace

int run_worker(WorkerContext context) {
  // Buffers of long requests come and go: given back to the kernel each time, their pages would cost more than the work.
  mallopt(M_TRIM_THRESHOLD, kKeptHeapBytes);
  mallopt(M_MMAP_THRESHOLD, kKeptHeapBytes / 4);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is an error of the call then
  return Worker(std::move(context)).run();
}

}  // namespace memento
