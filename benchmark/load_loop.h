// LoadLoop: one thread's epoll loop over its connections, closed or open (load.h says what that means).
// Scanner is the reply scanner of the protocol.
//
// Connections are non-blocking; a batch that the socket does not take whole goes on when epoll says there is
// room, and until then its connection sends nothing else. Nothing is allocated while it runs, save by
// verification.
#pragma once

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "benchmark/burst_queue.h"
#include "benchmark/load.h"
#include "benchmark/schedule.h"
#include "benchmark/verifier.h"
#include "shm/os/clock.h"

namespace memento {

/// What the main thread watches while the loops run.
struct LoadProgress {
  std::atomic<std::uint64_t> reply_count{0};
  std::atomic<std::uint64_t> error_count{0};
};

/// When the load runs, on the monotonic clock.
struct LoadWindow {
  std::int64_t begin_ns = 0;
  std::int64_t measure_begin_ns = 0;
  std::int64_t end_ns = 0;       ///< requests fall due until then; the largest number when they are counted
  std::int64_t late_end_ns = 0;  ///< until when an open loop sends those that are late
};

/// The loop's place among all: it takes every thread_count-th connection and arrival.
struct LoadShare {
  std::size_t thread = 0;
  std::size_t thread_count = 1;
};

template <class Scanner>
class LoadLoop {
 public:
  LoadLoop(const LoadPlan& plan, Workload& workload, LoadShare share, ExpectedValues* expected,
           LoadProgress& progress)
      : plan_(plan), workload_(workload), share_(share), progress_(progress) {
    if (expected != nullptr) verifier_.emplace(workload, *expected, plan.may_expire);
  }

  /// Takes over connection `index` of all; `request_count` is its share of a counted closed loop.
  void add(Fd socket, std::size_t index, std::size_t request_count) {
    const RingRange range = workload_.range_of(index);
    const std::size_t size = range.end - range.begin;
    std::size_t begin = plan_.verifies ? 0 : size * index / plan_.connection_count;
    if (is_open()) begin -= begin % plan_.pipeline_depth;  // no batch is cut short by the ring's end
    connections_.push_back(Connection(std::move(socket), range, range.begin + begin, request_count, plan_));
  }

  Outcome run(const LoadWindow& window);

  void add_to(LoadResult& result, const LoadWindow& window) const;

 private:
  /// Batches that may be under way on one connection in an open loop.
  static constexpr std::size_t kOpenBurstLimit = 1024;
  static constexpr std::size_t kReceiveSizeBytes = 256 * 1024;
  static constexpr int kEventCountMax = 256;
  static constexpr std::int64_t kSilenceMaxNs = 30'000'000'000;
  static constexpr std::size_t kArrivalCountMax = 256;  ///< taken up before replies are looked at again

  struct Connection {
    Connection(Fd socket, const RingRange& range, std::size_t begin, std::size_t request_count,
               const LoadPlan& plan)
        : socket(std::move(socket)),
          scanner(plan.verifies),
          bursts(plan.rate_per_s > 0 ? kOpenBurstLimit : 1),
          range(range),
          next_request(begin),
          next_reply(begin),
          unsent_count(request_count) {}

    Fd socket;
    Scanner scanner;
    BurstQueue bursts;
    RingRange range;
    std::size_t next_request;       ///< index in the ring
    std::size_t next_reply;         ///< index in the ring of the oldest request without a reply
    std::uint32_t request_lap = 0;  ///< times its range was begun again
    std::uint32_t reply_lap = 0;
    std::size_t unsent_count;             ///< measured requests of its share not yet begun
    std::string_view unsent_bytes;        ///< of the bursts begun
    std::uint64_t next_arrival = 0;       ///< open loop: of this connection's, the first not begun
    std::uint64_t due_arrival_count = 0;  ///< open loop: of this connection's, how many have fallen due
    bool waits_for_room = false;
  };

  bool is_open() const { return plan_.rate_per_s > 0; }
  bool is_counted() const { return plan_.request_count > 0; }

  Outcome start();
  Outcome take_arrivals(std::int64_t now_ns);
  bool has_arrivals_left() const;
  std::int64_t due_ns(std::size_t connection, std::uint64_t arrival) const {
    return schedule_->due_ns(arrival * connections_.size() + connection);
  }
  std::int64_t wait_limit_ns(std::int64_t now_ns) const;
  Outcome wait_and_serve();
  Outcome begin_next(Connection& connection, std::int64_t now_ns);
  Outcome begin_due(Connection& connection, std::int64_t now_ns);
  void begin_burst(Connection& connection, std::int64_t due_ns, std::int64_t now_ns);
  Outcome send(Connection& connection);
  Outcome receive(Connection& connection);
  /// What ended a connection, with what the server had said before: that may be the reason.
  Error lost(Error error) const;
  Outcome watch(Connection& connection, int operation, bool for_room);
  void take_reply(Connection& connection, const Reply& reply);
  void note_replies(const Burst& burst, std::uint64_t count, std::int64_t now_ns);

  const LoadPlan& plan_;
  Workload& workload_;
  LoadShare share_;
  LoadProgress& progress_;
  std::optional<Verifier> verifier_;
  LoadWindow window_;
  std::optional<Schedule> schedule_;  ///< open loop only
  std::uint64_t arrival_limit_ = 0;   ///< open loop: how many arrivals this thread has
  std::uint64_t next_arrival_ = 0;    ///< open loop: of this thread's
  Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Connection> connections_;
  std::vector<char> received_ = std::vector<char>(kReceiveSizeBytes);
  std::vector<epoll_event> events_ = std::vector<epoll_event>(kEventCountMax);
  std::size_t busy_count_ = 0;  ///< bursts with replies to come
  std::int64_t last_reply_ns_ = 0;
  std::int64_t last_measured_ns_ = 0;
  std::uint64_t error_count_ = 0;
  std::string first_error_;
  std::uint64_t miss_count_ = 0;
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t received_bytes_ = 0;
  Histogram latency_;
  Histogram service_latency_;
};

template <class Scanner>
Outcome LoadLoop<Scanner>::run(const LoadWindow& window) {
  if (!epoll_) return system_error("epoll_create1");
  window_ = window;
  last_reply_ns_ = window.begin_ns;
  if (Outcome started = start(); !started) return started;
  for (;;) {
    if (is_open()) {
      if (Outcome taken = take_arrivals(monotonic_time_ns()); !taken) return taken;
    }
    if (busy_count_ == 0 && !has_arrivals_left()) return Done{};
    if (Outcome served = wait_and_serve(); !served) return served;
  }
}

template <class Scanner>
Outcome LoadLoop<Scanner>::start() {
  if (is_open()) {
    // The kernel ends waits on time then, not up to 50 us later.
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    const double arrivals_per_s = plan_.rate_per_s / static_cast<double>(plan_.pipeline_depth);
    schedule_.emplace(window_.begin_ns, arrivals_per_s, share_.thread, share_.thread_count);
    const std::size_t depth = plan_.pipeline_depth;
    const std::uint64_t arrival_count = is_counted() ? (plan_.request_count + depth - 1) / depth : ~0ULL;
    arrival_limit_ =
        arrival_count / share_.thread_count + (share_.thread < arrival_count % share_.thread_count ? 1 : 0);
    if (is_counted()) {
      // Those of the warm-up come before the counted ones.
      while (schedule_->due_ns(next_arrival_) < window_.measure_begin_ns) ++next_arrival_;
      arrival_limit_ += std::exchange(next_arrival_, 0);
    }
  }
  for (Connection& connection : connections_) {
    if (Outcome watched = watch(connection, EPOLL_CTL_ADD, false); !watched) return watched;
  }
  if (is_open()) return Done{};
  for (Connection& connection : connections_) {
    if (Outcome begun = begin_next(connection, monotonic_time_ns()); !begun) return begun;
  }
  return Done{};
}

template <class Scanner>
Outcome LoadLoop<Scanner>::take_arrivals(std::int64_t now_ns) {
  for (std::size_t count = 0; count < kArrivalCountMax && next_arrival_ < arrival_limit_; ++count) {
    const std::int64_t due = schedule_->due_ns(next_arrival_);
    if (due > now_ns || due >= window_.end_ns) break;
    Connection& connection = connections_[next_arrival_ % connections_.size()];
    ++next_arrival_;
    ++connection.due_arrival_count;
    if (Outcome begun = begin_due(connection, now_ns); !begun) return begun;
  }
  return Done{};
}

template <class Scanner>
bool LoadLoop<Scanner>::has_arrivals_left() const {
  return is_open() && next_arrival_ < arrival_limit_ && schedule_->due_ns(next_arrival_) < window_.end_ns;
}

template <class Scanner>
std::int64_t LoadLoop<Scanner>::wait_limit_ns(std::int64_t now_ns) const {
  const std::int64_t silence_left_ns = kSilenceMaxNs - (busy_count_ > 0 ? now_ns - last_reply_ns_ : 0);
  if (!has_arrivals_left()) return std::max<std::int64_t>(silence_left_ns, 0);
  return std::clamp<std::int64_t>(schedule_->due_ns(next_arrival_) - now_ns, 0,
                                  std::max<std::int64_t>(silence_left_ns, 0));
}

template <class Scanner>
Outcome LoadLoop<Scanner>::wait_and_serve() {
  int ready_count = 0;
  if (is_open()) {
    const std::int64_t limit_ns = wait_limit_ns(monotonic_time_ns());
    const timespec limit{limit_ns / 1'000'000'000, limit_ns % 1'000'000'000};
    ready_count = ::epoll_pwait2(epoll_.get(), events_.data(), kEventCountMax, &limit, nullptr);
  } else {
    ready_count = ::epoll_wait(epoll_.get(), events_.data(), kEventCountMax,
                               static_cast<int>(kSilenceMaxNs / 1'000'000));
  }
  if (ready_count < 0 && errno != EINTR) return system_error("epoll_wait");
  if (ready_count <= 0 && busy_count_ > 0 && monotonic_time_ns() - last_reply_ns_ >= kSilenceMaxNs) {
    return Error{ExitStatus::kRuntime, 0, "epoll_wait: no reply from the server for 30 s"};
  }
  for (int index = 0; index < ready_count; ++index) {
    const epoll_event& event = events_[static_cast<std::size_t>(index)];
    Connection& connection = *static_cast<Connection*>(event.data.ptr);
    if ((event.events & EPOLLOUT) != 0) {
      if (Outcome sent = send(connection); !sent) return sent;
      if (Outcome begun = begin_due(connection, monotonic_time_ns()); !begun) return begun;
    }
    if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
      if (Outcome received = receive(connection); !received) return received;
    }
  }
  return Done{};
}

// Closed loop: the next batch, unless the connection is through.
template <class Scanner>
Outcome LoadLoop<Scanner>::begin_next(Connection& connection, std::int64_t now_ns) {
  if (now_ns >= window_.end_ns || (is_counted() && connection.unsent_count == 0)) return Done{};
  begin_burst(connection, now_ns, now_ns);
  return send(connection);
}

// Open loop: what has fallen due on this connection, as far as it can take it.
template <class Scanner>
Outcome LoadLoop<Scanner>::begin_due(Connection& connection, std::int64_t now_ns) {
  if (!is_open()) return Done{};
  const auto index = static_cast<std::size_t>(&connection - connections_.data());
  while (connection.next_arrival < connection.due_arrival_count && connection.unsent_bytes.empty() &&
         !connection.bursts.is_full() && now_ns < window_.late_end_ns) {
    begin_burst(connection, due_ns(index, connection.next_arrival++), now_ns);
    if (Outcome sent = send(connection); !sent) return sent;
  }
  return Done{};
}

template <class Scanner>
void LoadLoop<Scanner>::begin_burst(Connection& connection, std::int64_t due_ns, std::int64_t now_ns) {
  Burst burst{due_ns, now_ns, plan_.pipeline_depth, due_ns >= window_.measure_begin_ns};
  const bool takes_share = burst.is_measured && is_counted() && !is_open();
  if (takes_share) burst.awaited_count = std::min(burst.awaited_count, connection.unsent_count);
  connection.unsent_bytes =
      workload_.requests(connection.next_request, connection.range, burst.awaited_count);
  connection.next_request += burst.awaited_count;
  if (connection.next_request == connection.range.end) connection.next_request = connection.range.begin;
  if (takes_share) connection.unsent_count -= burst.awaited_count;
  if (burst.is_measured) sent_bytes_ += connection.unsent_bytes.size();
  connection.bursts.push(burst);
  ++busy_count_;
}

template <class Scanner>
Outcome LoadLoop<Scanner>::send(Connection& connection) {
  if (connection.unsent_bytes.empty()) return Done{};
  while (!connection.unsent_bytes.empty()) {
    const ssize_t sent = ::send(connection.socket.get(), connection.unsent_bytes.data(),
                                connection.unsent_bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      connection.unsent_bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      return connection.waits_for_room ? Outcome(Done{}) : watch(connection, EPOLL_CTL_MOD, true);
    } else if (errno != EINTR) {
      return lost(system_error("send to the server"));
    }
  }
  if (verifier_ && connection.next_request == connection.range.begin) {
    workload_.begin_lap(connection.range, ++connection.request_lap);
  }
  return connection.waits_for_room ? watch(connection, EPOLL_CTL_MOD, false) : Outcome(Done{});
}

template <class Scanner>
Error LoadLoop<Scanner>::lost(Error error) const {
  if (!first_error_.empty()) error.message += "; its first error reply: " + first_error_;
  return error;
}

template <class Scanner>
Outcome LoadLoop<Scanner>::receive(Connection& connection) {
  const ssize_t size = ::recv(connection.socket.get(), received_.data(), received_.size(), 0);
  if (size < 0)
    return errno == EAGAIN || errno == EINTR ? Outcome(Done{}) : lost(system_error("recv from the server"));
  if (size == 0)
    return lost(Error{ExitStatus::kSystem, 0, "recv from the server: connection closed by the server"});

  const std::int64_t now_ns = monotonic_time_ns();
  last_reply_ns_ = now_ns;
  if (now_ns >= window_.measure_begin_ns) received_bytes_ += static_cast<std::size_t>(size);
  std::uint64_t reply_count = 0;
  std::uint64_t same_burst_count = 0;
  bool is_surplus = false;
  const bool is_known = connection.scanner.feed(
      std::string_view(received_.data(), static_cast<std::size_t>(size)), [&](const Reply& reply) {
        if (connection.bursts.is_empty()) {
          is_surplus = true;
          return;
        }
        take_reply(connection, reply);
        ++reply_count;
        ++same_burst_count;
        Burst& burst = connection.bursts.front();
        if (--burst.awaited_count > 0) return;
        note_replies(burst, std::exchange(same_burst_count, 0), now_ns);
        connection.bursts.pop();
        --busy_count_;
      });
  if (!is_known || is_surplus) {
    return Error{ExitStatus::kRuntime, 0,
                 is_known ? "more replies than requests: does the server speak this protocol?"
                          : "a reply that the protocol doesn't have: does the server speak it?"};
  }
  if (same_burst_count > 0) note_replies(connection.bursts.front(), same_burst_count, now_ns);
  if (plan_.shows_progress) progress_.reply_count.fetch_add(reply_count, std::memory_order_relaxed);
  if (is_open()) return begin_due(connection, now_ns);
  return connection.bursts.is_empty() ? begin_next(connection, now_ns) : Outcome(Done{});
}

template <class Scanner>
void LoadLoop<Scanner>::take_reply(Connection& connection, const Reply& reply) {
  if (reply.kind == ReplyKind::kNil) {
    if (connection.bursts.front().is_measured) ++miss_count_;
  } else if (reply.kind == ReplyKind::kError) {
    ++error_count_;  // errors during the warm-up count too: they must not go unseen
    if (first_error_.empty()) first_error_ = reply.text.substr(0, CutLine::kKeptSizeBytes);
    if (plan_.shows_progress) progress_.error_count.fetch_add(1, std::memory_order_relaxed);
  }
  if (!verifier_) return;
  verifier_->check(connection.next_reply, connection.reply_lap, reply);
  if (++connection.next_reply == connection.range.end) {
    connection.next_reply = connection.range.begin;
    ++connection.reply_lap;
  }
}

template <class Scanner>
void LoadLoop<Scanner>::note_replies(const Burst& burst, std::uint64_t count, std::int64_t now_ns) {
  if (!burst.is_measured) return;
  latency_.record(static_cast<std::uint64_t>(std::max<std::int64_t>(now_ns - burst.due_ns, 0)), count);
  if (is_open()) service_latency_.record(static_cast<std::uint64_t>(now_ns - burst.sent_ns), count);
  last_measured_ns_ = now_ns;
}

template <class Scanner>
Outcome LoadLoop<Scanner>::watch(Connection& connection, int operation, bool for_room) {
  epoll_event event{};
  event.events = EPOLLIN | (for_room ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  event.data.ptr = &connection;
  connection.waits_for_room = for_room;
  if (::epoll_ctl(epoll_.get(), operation, connection.socket.get(), &event) != 0)
    return system_error("epoll_ctl");
  return Done{};
}

template <class Scanner>
void LoadLoop<Scanner>::add_to(LoadResult& result, const LoadWindow& window) const {
  result.reply_count += latency_.count();
  result.latency.merge(latency_);
  result.service_latency.merge(service_latency_);
  result.error_count += error_count_;
  if (result.first_error.empty()) result.first_error = first_error_;
  result.miss_count += miss_count_;
  result.sent_bytes += sent_bytes_;
  result.received_bytes += received_bytes_;
  const std::int64_t elapsed_ns = last_measured_ns_ - window.measure_begin_ns;
  result.elapsed_s = std::max(result.elapsed_s, static_cast<double>(elapsed_ns) / 1e9);
  for (const Connection& connection : connections_) {
    result.unsent_count += (connection.due_arrival_count - connection.next_arrival) * plan_.pipeline_depth;
  }
  if (verifier_) {
    result.mismatch_count += verifier_->mismatch_count();
    if (result.first_mismatch.empty()) result.first_mismatch = verifier_->first_mismatch();
  }
}

}  // namespace memento
