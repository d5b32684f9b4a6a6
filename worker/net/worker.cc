// See worker.h. One epoll set: the listening sockets (acceptor.h), a signalfd, a timerfd, and the
// connections.
#include "worker/net/worker.h"

#include <malloc.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <memory>
#include <span>

#include "conf/log_limiter.h"
#include "worker/clients/message_hub.h"
#include "worker/net/acceptor.h"
#include "worker/net/background.h"
#include "worker/net/beside_script.h"
#include "worker/net/closing_queue.h"
#include "worker/net/connection_table.h"
#include "worker/net/event_sources.h"
#include "worker/net/idle_clients.h"
#include "worker/net/migrations.h"
#include "worker/routing/cluster_router.h"
#include "worker/script/script_engine.h"
#include "worker/session/peer_requests.h"

namespace memento {
namespace {

constexpr int kEventLimit = 256;
constexpr std::size_t kTurnLimit = 16;
constexpr std::size_t kBriefTurnBytes = 16 * 1024;  // of its requests, and of its replies; some hundred
constexpr std::int64_t kLingerMs = 10'000;  // for one whose input made no sense to stop, and to read why
constexpr std::int64_t kMemoryLogMs = 600'000;
constexpr std::int64_t kCutOffGraceMs = 500;  // for clients to take their last replies

class Worker {
 public:
  explicit Worker(WorkerContext context)
      : context_(std::move(context)),
        keyspace_(context_.segment, context_.process),
        facts_{context_.start_ms, context_.options.workers, context_.index, context_.options,
               context_.process},
        hub_(context_.segment, keyspace_, context_.process),
        scripts_(context_.segment.path()),
        services_{facts_, context_.settings, hub_, context_.cluster, &scripts_, &context_.log},
        session_{keyspace_, services_},
        acceptor_(context_, epoll_, keyspace_, hub_, connections_, close_),
        background_(context_, keyspace_, hub_) {
    context_.settings.long_scripts[context_.process].store(0);  // of one that died running it
    services_.migrate = [this](ClientState& client) { migrations_.begin(client); };
    services_.end_server = [this] { return tell_master_to_end(context_.segment.master_pipe()); };
    services_.serve_beside = [this] { return serve_beside_script(); };
  }

  int run();

 private:
  bool set_up();
  void on_event(const epoll_event& event);
  void on_connection(Connection& connection, std::uint32_t events);
  void take_turns();
  bool serve_beside_script();
  void answer_turns(std::size_t end);
  void resume_clients();
  void give_another_turn();
  void push_messages();
  bool join_cluster();
  bool may_sleep_in_cluster();
  void take_replies();
  void on_signal();
  void on_timer();
  void finish_connections(bool has_successor);
  void cut_off();
  template <class Act>
  Connection::Wait guard(Turn& turn, Act&& act);
  template <class Act>
  void survive(Act&& act);
  void settle(Connection& connection, Connection::Wait wait);
  void close(Connection& connection);

  WorkerContext context_;
  Keyspace keyspace_;
  const ServerFacts facts_;
  MessageHub hub_;
  ScriptEngine scripts_;
  WorkerServices services_;
  SessionContext session_;
  BriefTurns brief_turns_{session_};
  std::unique_ptr<ClusterRouter> router_;  ///< of a cluster's node
  std::unique_ptr<PeerRequests> peers_;    ///< likewise
  std::array<Turn, kTurnLimit> turns_;
  std::array<Connection*, kTurnLimit> taking_turns_;  ///< connections that have bytes to read, by turn
  std::array<Connection::Wait, kTurnLimit> turn_waits_;
  std::size_t turn_count_ = 0;
  /// Of those being taken: how many they are, were executed, and were answered.
  std::size_t taken_turns_ = 0, next_turn_ = 0, answered_turns_ = 0;
  Fd epoll_, signals_, timer_;
  Fd quit_timer_;  ///< runs out with the patience with open connections, then with that with cut off ones
  ConnectionTable connections_;
  const Acceptor::Close close_ = [this](Connection& connection) { close(connection); };
  BesideScript beside_script_{epoll_, connections_, keyspace_, session_};
  ClosingQueue lingering_{kLingerMs};  ///< connections that drop what comes until their clients leave
  Acceptor acceptor_;
  Background background_;
  IdleClients idle_clients_{connections_, close_};
  Migrations migrations_{hub_.clients()};
  LogLimiter memory_log_{"connections ended for want of memory", 1, kMemoryLogMs};
  std::deque<int> next_turns_;  ///< descriptors of connections whose turn ended before their requests did
  bool leaving_ = false;        ///< now
  bool ending_ = false;         ///< when the last connection has ended
  bool cutting_off_ = false;    ///< no more requests are executed
};

bool Worker::set_up() {
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  signals_ = make_signals();
  timer_ = make_timer(Background::kTickMs);
  if (epoll_ && signals_ && timer_ && watch_input(epoll_, signals_.get()) &&
      watch_input(epoll_, timer_.get()) &&
      (hub_.wakeup_descriptor() < 0 || watch_input(epoll_, hub_.wakeup_descriptor())) &&
      migrations_.start() && watch_input(epoll_, migrations_.descriptor()) && acceptor_.start()) {
    return context_.cluster == nullptr || join_cluster();
  }
  context_.log.error(std::string("setting up the event loop: ") + std::strerror(errno));
  return false;
}

int Worker::run() {
  if (!set_up()) return static_cast<int>(ExitStatus::kSystem);
  tell_ready(std::move(context_.ready_pipe));
  std::array<epoll_event, kEventLimit> events;
  while (!leaving_ &&
         !(ending_ && connections_.served_count() == 0 && (peers_ == nullptr || peers_->is_idle()))) {
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
    acceptor_.end_refused();
    if (!lingering_.empty()) lingering_.close_due(connections_, close_);
    if (hub_.clients().has_waiting()) survive([&] { resume_clients(); });
    if (router_ != nullptr) survive([&] { take_replies(); });
    survive([&] { push_messages(); });
  }
  return static_cast<int>(ExitStatus::kOk);
}

// What is not for one connection (accepting, the timer, other workers) is done as far as memory goes: a
// connection that cannot be had is not, a figure is a second old.
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
  if (Connection* const connection = connections_.at(descriptor)) [[likely]] {
    on_connection(*connection, event.events);
  } else if (acceptor_.is_listener(descriptor)) {
    acceptor_.accept(descriptor);
  } else if (descriptor == timer_.get()) {
    on_timer();
  } else if (descriptor == hub_.wakeup_descriptor()) {
    hub_.drain_wakeups();
    hub_.serve();
  } else if (descriptor == signals_.get()) {
    on_signal();
  } else if (descriptor == migrations_.descriptor()) {
    migrations_.serve();
  } else if (descriptor == quit_timer_.get()) {
    cut_off();
  }
}

// What the connection wants after act(). Without memory for that its client has ended, and nobody else.
template <class Act>
Connection::Wait Worker::guard(Turn& turn, Act&& act) {
  try {
    return act();
  } catch (const std::bad_alloc&) {
    turn.clear();
    memory_log_.warning(context_.log,
                        "a connection was ended: no memory for what it sent or was to get; give the machine, "
                        "the cgroup or the process (ulimit -v) more than what is stored needs");
    return Connection::Wait::kClosed;
  }
}

void Worker::on_connection(Connection& connection, std::uint32_t events) {
  // An error shows in the read or write it leads to.
  if (connection.registered == Connection::Wait::kOutput) {
    const bool dead = (events & (EPOLLERR | EPOLLHUP)) != 0 && (events & EPOLLOUT) == 0;
    Turn& turn = turns_[turn_count_];
    answered_turns_ = 0, next_turn_ = turn_count_;  // those are not to be served beside a script
    settle(connection, dead ? Connection::Wait::kClosed
                            : guard(turn, [&] { return connection.on_writable(turn, session_); }));
  } else if (connection.registered == Connection::Wait::kParked ||
             connection.registered == Connection::Wait::kReplies) {
    settle(connection, Connection::Wait::kClosed);
  } else if (connection.registered == Connection::Wait::kInput) {
    taking_turns_[turn_count_++] = &connection;
    if (turn_count_ == kTurnLimit) take_turns();
  }
}

// One stage after the other for all connections that have bytes, not one connection after the other: their
// fetches from memory overlap, and the code of each stage, the kernel's for reading and for writing too, is
// warm. Replies in a row also find a client awake that the first woke. Only brief turns' replies are held
// back so, and only while brief ones are executed.
void Worker::take_turns() {
  const std::size_t count = taken_turns_ = std::exchange(turn_count_, 0);
  answered_turns_ = 0;
  for (std::size_t i = 0; i < count; ++i) {
    turn_waits_[i] = guard(turns_[i], [&] { return taking_turns_[i]->receive(turns_[i], keyspace_); });
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (turn_waits_[i] != Connection::Wait::kInput) continue;
    turn_waits_[i] = guard(
        turns_[i], [&] { return taking_turns_[i]->prepare(turns_[i], keyspace_), Connection::Wait::kInput; });
  }
  for (std::size_t i = 0; i < count; ++i) prefetch_tables(turns_[i].batch, keyspace_);
  for (std::size_t i = 0; i < count; ++i) prefetch_entries(turns_[i].batch, keyspace_);
  for (std::size_t i = 0; i < count; ++i) {
    next_turn_ = i;
    if (taking_turns_[i] == nullptr || turn_waits_[i] != Connection::Wait::kInput) continue;
    Turn& turn = turns_[i];
    const bool is_brief = turn.batch.is_plain() && turn.bytes->size() <= kBriefTurnBytes;
    if (!is_brief) answer_turns(i);
    next_turn_ = i + 1;
    if (taking_turns_[i] == nullptr) continue;
    turn_waits_[i] = guard(turn, [&] { return taking_turns_[i]->execute(turn, session_, brief_turns_); });
    if (!is_brief || turn.output.size() > kBriefTurnBytes) answer_turns(i + 1);
  }
  next_turn_ = count;
  answer_turns(count);
  taken_turns_ = 0;
}

// Those whose turns come later are answered now. True: the worker is to end.
bool Worker::serve_beside_script() {
  for (std::size_t i = next_turn_; i < taken_turns_; ++i) {
    Connection* const connection = std::exchange(taking_turns_[i], nullptr);
    if (connection == nullptr) continue;
    if (turn_waits_[i] == Connection::Wait::kInput)
      turn_waits_[i] = guard(turns_[i], [&] {
        return connection->execute(turns_[i], session_), connection->answer(turns_[i], session_);
      });
    settle(*connection, turn_waits_[i]);
  }
  beside_script_.serve(
      std::span(taking_turns_).subspan(answered_turns_, next_turn_ - answered_turns_),
      [this](int descriptor) {
        if (acceptor_.is_listener(descriptor)) survive([&] { acceptor_.accept(descriptor); });
        if (descriptor == signals_.get()) on_signal();
      },
      [this](Connection& connection, Connection::Wait wait) { settle(connection, wait); });
  return leaving_;
}

// Sends the replies of the turns in front of `end` that were not sent yet.
void Worker::answer_turns(std::size_t end) {
  brief_turns_.end();
  for (; answered_turns_ < end; ++answered_turns_) {
    if (taking_turns_[answered_turns_] == nullptr) continue;  // beside a script
    Connection& connection = *taking_turns_[answered_turns_];
    Turn& turn = turns_[answered_turns_];
    Connection::Wait& wait = turn_waits_[answered_turns_];
    if (wait == Connection::Wait::kInput)
      wait = guard(turn, [&] { return connection.answer(turn, session_); });
    if (wait != connection.registered || connection.drops_input()) [[unlikely]]
      settle(connection, wait);
  }
}

// Those whose request waited for other workers or for the end of a pause. Some may have to wait again.
void Worker::resume_clients() {
  ClientDirectory& clients = hub_.clients();
  clients.tick();
  for (ClientState* client : clients.take_ready()) {
    Connection& connection = *connections_.at(client->descriptor);
    if (connection.registered == Connection::Wait::kParked) {
      settle(connection, guard(turns_[0], [&] { return connection.resume(turns_[0], session_); }));
    }
  }
  clients.close_question();
  if (clients.has_waiting()) set_timer(timer_, Background::kBusyTickMs);
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
  Connection* const connection = connections_.at(descriptor);
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

// What other nodes answered and ask; and what this wake-up has for them goes on its way.
void Worker::take_replies() {
  router_->wake();
  router_->receive([this](int descriptor) { return connections_.client_at(descriptor); });
  for (ClientState* client : router_->take_answered()) {
    Connection* const connection = connections_.at(client->descriptor);
    settle(*connection, guard(turns_[0], [&] { return connection->on_replies(keyspace_); }));
  }
  if (router_->has_parked()) {
    for (ClientState* client : router_->take_ready()) {
      Connection& connection = *connections_.at(client->descriptor);
      if (connection.registered == Connection::Wait::kReplies)
        settle(connection, guard(turns_[0], [&] { return connection.resume(turns_[0], session_); }));
    }
  }
  if (peers_->serve()) router_->wake_bus();
  router_->flush();
}

void Worker::push_messages() {
  if (const std::string losses = hub_.take_losses(); !losses.empty()) context_.log.warning(losses);
  while (ClientState* const client = hub_.take_pushed()) {
    Connection& connection = *connections_.at(client->descriptor);
    settle(connection, guard(turns_[0], [&] { return connection.push(keyspace_); }));
  }
}

void Worker::settle(Connection& connection, Connection::Wait wait) {
  if (connection.drops_input() && !std::exchange(connection.is_lingering, true)) [[unlikely]] {
    lingering_.add(connection, monotonic_time_ms());
  }
  if (wait == connection.registered) return;
  if (wait == Connection::Wait::kClosed) return close(connection);
  if (wait == Connection::Wait::kTurn) next_turns_.push_back(connection.descriptor());
  connection.registered = wait;
  epoll_event event{Connection::events_of(wait), {.fd = connection.descriptor()}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.descriptor(), &event) != 0) close(connection);
}

void Worker::close(Connection& connection) {
  const bool was_served = !connection.is_refused;
  if (router_ != nullptr) router_->forget(connection.session().client());
  hub_.remove(connection.session().client());
  connections_.erase(connection);
  if (was_served) keyspace_.count(Counter::kConnectionsClosed);
}

void Worker::finish_connections(bool has_successor) {
  ending_ = true;
  quit_timer_ = make_timer(std::max(1, context_.settings.quit_timeout_ms.load()));
  if (!quit_timer_ || !watch_input(epoll_, quit_timer_.get())) leaving_ = true;
  acceptor_.stop(has_successor);
}

// Time is up. What was executed has been answered and what was not will not be: each client reads its replies
// and then the end, and may send the rest elsewhere.
void Worker::cut_off() {
  if (std::exchange(cutting_off_, true)) {
    leaving_ = true;
    return;
  }
  context_.log.warning(std::to_string(connections_.served_count()) + " connections were cut off after " +
                       std::to_string(context_.settings.quit_timeout_ms.load()) + " ms");
  connections_.for_each([this](Connection& connection) { settle(connection, connection.end()); });
  if (!set_timer(quit_timer_, kCutOffGraceMs)) leaving_ = true;
}

void Worker::on_signal() {
  signalfd_siginfo signal;
  while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGTERM) {
      leaving_ = true;
    } else if (signal.ssi_signo == SIGUSR1) {
      if (const Outcome reopened = context_.log.reopen(); !reopened)
        context_.log.warning(reopened.error().message);
    } else if ((signal.ssi_signo == SIGQUIT || signal.ssi_signo == SIGUSR2) && !ending_) {
      finish_connections(signal.ssi_signo == SIGUSR2);
    }
  }
}

void Worker::on_timer() {
  std::uint64_t expirations = 0;
  [[maybe_unused]] const ssize_t got = ::read(timer_.get(), &expirations, sizeof expirations);
  hub_.serve();  // a wake-up FIFO may have been lost
  if (router_ != nullptr)
    router_->look(monotonic_time_ms(), [this](int descriptor) { return connections_.client_at(descriptor); });
  memory_log_.flush_due(context_.log);
  const bool has_migrations = migrations_.tick();
  const bool has_more = background_.tick(connections_.served_count()) || has_migrations;
  set_timer(timer_, background_.pause_ms(has_more || hub_.clients().has_waiting()));
  idle_clients_.close_due(context_.settings.idle_timeout_s, keyspace_.now_ms());
  acceptor_.tick();
}

}  // namespace

int run_worker(WorkerContext context) {
  // Buffers of long requests come and go: given back to the kernel each time, their pages would cost more
  // than the work.
  mallopt(M_TRIM_THRESHOLD, Background::kKeptHeapBytes);
  mallopt(M_MMAP_THRESHOLD, Background::kKeptHeapBytes / 4);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is an error of the call then
  return Worker(std::move(context)).run();
}

}  // namespace memento
