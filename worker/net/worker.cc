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
#include <string>
#include <utility>

#include "shm/os/child_process.h"
#include "worker/net/worker_loop.h"

namespace memento {
namespace {

constexpr int kEventLimit = 256;
constexpr std::int64_t kCutOffGraceMs = 500;  // for clients to take their last replies

}  // namespace

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
    const int count = epoll_wait(epoll_.get(), events.data(), kEventLimit, may_sleep() ? -1 : 0);
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
    survive([&] { disk_clients_.serve(); });
    if (router_ != nullptr) survive([&] { take_replies(); });
    survive([&] { push_messages(); });
    if (hub_.disk().wants_archiver()) hub_.wake_archiver();
    if (cutting_off_ && !ending_ && !hub_.disk().has_held()) leaving_ = true;
  }
  return static_cast<int>(ExitStatus::kOk);
}

// Inlined: nearly all events are a connection's.
inline void Worker::on_connection(Connection& connection, std::uint32_t events) {
  // An error shows in the read or write it leads to.
  if (connection.registered == Connection::Wait::kOutput) {
    const bool dead = (events & (EPOLLERR | EPOLLHUP)) != 0 && (events & EPOLLOUT) == 0;
    Turn& turn = turns_[turn_count_];
    answered_turns_ = 0, next_turn_ = turn_count_;  // those are not to be served beside a script
    settle(connection, dead ? Connection::Wait::kClosed
                            : guard(turn, [&] { return connection.on_writable(turn, session_); }));
  } else if (connection.registered == Connection::Wait::kParked ||
             connection.registered == Connection::Wait::kReplies ||
             connection.registered == Connection::Wait::kDisk) {
    settle(connection, Connection::Wait::kClosed);
  } else if (connection.registered == Connection::Wait::kInput) {
    taking_turns_[turn_count_++] = &connection;
    if (turn_count_ == kTurnLimit) take_turns();
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

bool Worker::may_sleep() {
  return next_turns_.empty() && hub_.disk().may_sleep() && (router_ == nullptr || may_sleep_in_cluster());
}

bool Worker::may_sleep_in_cluster() {
  if (!router_->may_sleep()) return false;
  if (!peers_->has_work()) return true;
  router_->wake();
  return false;
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
      if (connection.registered == Connection::Wait::kReplies) resume(connection);
    }
  }
  serve_peers();
  router_->flush();
}

void Worker::serve_peers() {
  if (peers_->serve()) router_->wake_bus();
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

// What was executed has yet to reach the disk, for which its replies wait: it gets a moment.
void Worker::leave() {
  if (std::exchange(cutting_off_, true) || !hub_.disk().has_held()) {
    leaving_ = true;
    return;
  }
  quit_timer_ = make_timer(kCutOffGraceMs);
  if (!quit_timer_ || !watch_input(epoll_, quit_timer_.get())) leaving_ = true;
  acceptor_.stop(false);
  connections_.for_each([this](Connection& connection) { settle(connection, connection.end()); });
}

void Worker::on_signal() {
  signalfd_siginfo signal;
  while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGTERM) {
      leave();
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
  disk_clients_.note_tick();
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
