// See bus.h. A turn of the loop: libuv's callbacks read links; then (on_turn) what the workers ask and answer
// is taken and everything is sent, one write a link and one wake-up FIFO a worker.
#include "bus/bus.h"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <uv.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <vector>

#include "bus/inbound_link.h"
#include "bus/outbound_link.h"
#include "shm/keyspace/keyspace.h"
#include "shm/os/child_process.h"
#include "shm/os/random.h"

namespace memento {
namespace bus {

Nonce new_nonce() {
  Nonce nonce;
  fill_random(nonce);
  return nonce;
}

namespace {

constexpr std::uint64_t kTickMs = 50;
constexpr std::int64_t kStatisticsMs = 100;
constexpr std::int64_t kStoppedMs = 500;  // a tick that comes so late: this process was stopped
constexpr std::int64_t kLeaveMs = 500;
constexpr std::size_t kStrangerLimit = 4 * kNodeLimit;
constexpr int kStrangerLines = 10;
constexpr std::int64_t kStrangerLinesMs = 10'000;

class Bus {
 public:
  explicit Bus(BusProcess process)
      : process_(std::move(process)),
        members_(Members::of(process_.state)),
        keyspace_(process_.segment, process_.process),
        wakeup_(process_.segment.path(), process_.process),
        channels_(process_.segment, process_.state, wakeup_),
        lanes_(process_.segment, process_.state, channels_, process_.options.workers),
        context_{&loop_,         members_,  process_.secret, process_.options.cluster_timeout_s * 1000,
                 process_.state, channels_, lanes_,          process_.log,
                 stranger_lines_} {}

  int run();

 private:
  bool set_up();
  bool set_up_handles();
  void accept();
  bool make_room_for(const InboundLink& newcomer);
  void on_turn();
  void on_tick();
  void on_signal();
  void before_sleep();
  void check_formed();
  void begin_to_leave();
  bool has_unanswered() const;
  void update_statistics();

  BusProcess process_;
  const Members members_;
  Keyspace keyspace_;
  WakeupFifo wakeup_;
  WorkerChannels channels_;
  WorkerLanes lanes_;
  LogLimiter stranger_lines_{"connections to the bus port were closed or refused", kStrangerLines,
                             kStrangerLinesMs};
  uv_loop_t loop_{};
  BusContext context_;
  std::vector<std::unique_ptr<Peer>> peers_;  ///< by node; none for this one
  std::vector<std::unique_ptr<InboundLink>> inbound_links_;
  Tcp* listener_ = nullptr;
  Fd signals_;
  uv_timer_t timer_{};
  uv_prepare_t prepare_{};
  uv_check_t check_{};
  uv_idle_t idle_{};  ///< active: the loop does not sleep
  uv_poll_t wakeup_poll_{};
  uv_poll_t signal_poll_{};
  std::int64_t ticked_ms_ = 0;
  std::int64_t counted_ms_ = 0;
  std::int64_t leave_at_ms_ = 0;  ///< 0: it stays
};

Bus& bus_of(void* data) { return *static_cast<Bus*>(data); }

bool Bus::set_up_handles() {
  for (uv_handle_t* handle :
       {reinterpret_cast<uv_handle_t*>(&timer_), reinterpret_cast<uv_handle_t*>(&prepare_),
        reinterpret_cast<uv_handle_t*>(&check_), reinterpret_cast<uv_handle_t*>(&idle_),
        reinterpret_cast<uv_handle_t*>(&wakeup_poll_), reinterpret_cast<uv_handle_t*>(&signal_poll_)}) {
    handle->data = this;
  }
  uv_timer_init(&loop_, &timer_);
  uv_prepare_init(&loop_, &prepare_);
  uv_check_init(&loop_, &check_);
  uv_idle_init(&loop_, &idle_);
  if (uv_poll_init(&loop_, &wakeup_poll_, wakeup_.descriptor()) != 0) return false;
  if (uv_poll_init(&loop_, &signal_poll_, signals_.get()) != 0) return false;
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { bus_of(timer->data).on_tick(); }, 0, kTickMs);
  uv_prepare_start(&prepare_, [](uv_prepare_t* prepare) { bus_of(prepare->data).before_sleep(); });
  uv_check_start(&check_, [](uv_check_t* check) { bus_of(check->data).on_turn(); });
  uv_poll_start(&wakeup_poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    Bus& bus = bus_of(poll->data);
    bus.wakeup_.drain();
  });
  uv_poll_start(&signal_poll_, UV_READABLE,
                [](uv_poll_t* poll, int, int) { bus_of(poll->data).on_signal(); });
  return true;
}

bool Bus::set_up() {
  signals_ = signal_file({SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2});
  if (!signals_ || uv_loop_init(&loop_) != 0 || !set_up_handles()) {
    process_.log.error("setting up the event loop failed");
    return false;
  }
  listener_ = new Tcp(&loop_);
  if (const int failed = listener_->listen(process_.listen_socket.release(), [this] { accept(); });
      failed != 0) {
    process_.log.error(std::string("listen on the bus port: ") + uv_strerror(failed));
    return false;
  }
  for (NodeId node; node < members_.end_node(); ++node) {
    peers_.push_back(node == members_.self ? nullptr
                                           : std::make_unique<Peer>(context_, node, monotonic_time_ms()));
  }
  process_.state.bus_process.store(process_.process);
  channels_.open_new();
  return true;
}

int Bus::run() {
  if (!set_up()) return static_cast<int>(ExitStatus::kSystem);
  tell_ready(std::move(process_.ready_pipe));
  uv_run(&loop_, UV_RUN_DEFAULT);
  return static_cast<int>(ExitStatus::kOk);
}

void Bus::accept() {
  Tcp* const connection = new Tcp(&loop_);
  if (!listener_->accept(*connection)) return connection->close();
  auto newcomer = std::make_unique<InboundLink>(context_, connection, monotonic_time_ms());
  if (make_room_for(*newcomer)) inbound_links_.push_back(std::move(newcomer));
}

// Members that have proved themselves have places of their own. Those that greet yet have so many: of too
// many the one goes that came first, rather than one from a member's address, so whoever greets at once comes
// in.
bool Bus::make_room_for(const InboundLink& newcomer) {
  const auto is_stranger = [](const auto& link) { return link->is_stranger(); };
  if (static_cast<std::size_t>(std::ranges::count_if(inbound_links_, is_stranger)) < kStrangerLimit)
    return true;
  auto oldest = std::ranges::find_if(inbound_links_, [&](const auto& link) {
    return link->is_stranger() && !link->has_address_of_member();
  });
  if (oldest == inbound_links_.end()) {
    if (!newcomer.has_address_of_member()) return false;
    oldest = std::ranges::find_if(inbound_links_, is_stranger);
  }
  inbound_links_.erase(oldest);
  return true;
}

// What a worker sends after this look rings the wake-up FIFO.
void Bus::before_sleep() {
  process_.state.bus_sleeps.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (channels_.has_requests() || channels_.has_room_for_replies() || lanes_.has_work())
    uv_idle_start(&idle_, [](uv_idle_t*) {});
}

void Bus::on_turn() {
  process_.state.bus_sleeps.store(0, std::memory_order_relaxed);
  uv_idle_stop(&idle_);
  channels_.open_new();
  if (leave_at_ms_ == 0) {
    channels_.take_requests([this](const FragmentHeader& header, std::string_view payload) {
      peers_[header.node.value]->add(header, payload);
    });
  }
  const std::int64_t now = monotonic_time_ms();
  for (const auto& link : inbound_links_) link->resume();
  lanes_.take_replies();
  lanes_.publish();
  for (const auto& link : inbound_links_) link->flush(now);
  for (const auto& peer : peers_) {
    if (peer != nullptr) peer->flush(now);
  }
  channels_.flush();
  if (leave_at_ms_ != 0 && (now >= leave_at_ms_ || !has_unanswered())) uv_stop(&loop_);
}

void Bus::on_tick() {
  const std::int64_t now = monotonic_time_ms();
  process_.state.bus_seen_ms.store(static_cast<std::uint64_t>(now), std::memory_order_relaxed);
  const bool was_stopped = ticked_ms_ != 0 && now - ticked_ms_ > kStoppedMs;
  ticked_ms_ = now;
  if (was_stopped) return;  // what came meanwhile is read first
  for (const auto& link : inbound_links_) {
    link->on_tick(now);
    if (const auto node = link->node(); node && !link->is_closed()) peers_[node->value]->on_peer_seen(now);
  }
  std::erase_if(inbound_links_, [](const auto& link) { return link->is_closed(); });
  for (NodeId node; node < members_.end_node(); ++node) {
    Peer* const peer = peers_[node.value].get();
    if (peer == nullptr) continue;
    peer->on_tick(now);
    const auto is_its = [&](const auto& link) { return link->node() == node; };
    process_.state.node(node).is_heard.store(std::ranges::any_of(inbound_links_, is_its));
  }
  stranger_lines_.flush_due(process_.log, now);
  check_formed();
  lanes_.tick();
  channels_.on_tick(now);
  if (now - counted_ms_ < kStatisticsMs) return;
  counted_ms_ = now;
  update_statistics();
}

void Bus::check_formed() {
  if (process_.state.is_formed.load() != 0) return;
  const auto is_up = [](const auto& peer) { return peer == nullptr || peer->is_up(); };
  if (!std::ranges::all_of(peers_, is_up)) return;
  process_.state.is_formed.store(1);
  process_.log.set_role("");  // the node says so
  process_.log.info("Cluster successfully formed");
  process_.log.set_role("bus");
}

void Bus::update_statistics() {
  WorkerStatistics& record = process_.settings.statistics[process_.process];
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto microseconds = [](const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec * 1'000'000 + time.tv_usec);
  };
  record.cpu_user_us.store(microseconds(usage.ru_utime), std::memory_order_relaxed);
  record.cpu_system_us.store(microseconds(usage.ru_stime), std::memory_order_relaxed);
}

void Bus::on_signal() {
  signalfd_siginfo signal;
  while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGUSR1) {
      if (const Outcome reopened = process_.log.reopen(); !reopened)
        process_.log.warning(reopened.error().message);
    } else if (signal.ssi_signo == SIGTERM) {
      begin_to_leave();
    }
  }
}

// What the nodes have yet to answer is waited for, and what this node's workers have yet to answer them; what
// workers send meanwhile is left to the next bus.
void Bus::begin_to_leave() {
  if (leave_at_ms_ == 0) leave_at_ms_ = monotonic_time_ms() + kLeaveMs;
}

bool Bus::has_unanswered() const {
  return lanes_.has_unanswered() || std::ranges::any_of(peers_, [](const auto& peer) {
           return peer != nullptr && peer->unanswered_count() > 0;
         });
}

}  // namespace
}  // namespace bus

int run_bus(BusProcess process) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return bus::Bus(std::move(process)).run();
}

}  // namespace memento
