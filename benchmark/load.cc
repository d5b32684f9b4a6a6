// The measured loop: see load.h. Connections are non-blocking; a batch that the socket does not take whole
// goes on when epoll says there is room. Replies are counted, not kept.
#include "benchmark/load.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <latch>
#include <optional>
#include <thread>
#include <vector>

#include "benchmark/reply_scanner.h"
#include "shm/os/clock.h"

namespace memento {
namespace {

constexpr std::size_t kReceiveSizeBytes = 256 * 1024;
constexpr int kEventCountMax = 256;
constexpr int kSilenceMaxMs = 30'000;

/// One connection's place in the ring and in its current batch.
struct Connection {
  Fd socket;
  ReplyScanner scanner;
  std::size_t next_request = 0;   ///< index in the workload's ring
  std::size_t unsent_count = 0;   ///< requests of its share not yet begun
  std::size_t awaited_count = 0;  ///< replies of the current batch still to come
  std::string_view unsent_bytes;  ///< of the current batch
  std::int64_t batch_sent_ns = 0;
  bool waits_for_room = false;
};

/// One thread's epoll loop and connections.
class LoadLoop {
 public:
  LoadLoop(const LoadPlan& plan, const Workload& workload) : plan_(plan), workload_(workload) {}

  Outcome connect(std::size_t ring_begin, std::size_t request_count);
  Outcome run();

  void add_to(LoadResult& result) const {
    for (const Connection& connection : connections_) {
      result.error_count += connection.scanner.error_count();
      if (result.first_error.empty()) result.first_error = connection.scanner.first_error();
    }
    result.reply_count += latency_.count();
    result.latency.merge(latency_);
  }

 private:
  Outcome begin_batch(Connection& connection);
  Outcome send_batch(Connection& connection);
  Outcome receive(Connection& connection);
  Outcome watch(Connection& connection, int operation, bool for_room);

  const LoadPlan& plan_;
  const Workload& workload_;
  Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Connection> connections_;
  std::vector<char> received_ = std::vector<char>(kReceiveSizeBytes);
  std::size_t busy_count_ = 0;  ///< connections with replies to come
  Histogram latency_;
};

Outcome LoadLoop::connect(std::size_t ring_begin, std::size_t request_count) {
  Result<Fd> socket = connect_tcp(plan_.server);
  if (!socket) return socket.error();
  const int flags = ::fcntl(socket->get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket->get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return system_error("fcntl(O_NONBLOCK)");
  Connection connection;
  connection.socket = std::move(*socket);
  connection.next_request = ring_begin % workload_.request_count();
  connection.unsent_count = request_count;
  connections_.push_back(std::move(connection));
  return Done{};
}

Outcome LoadLoop::watch(Connection& connection, int operation, bool for_room) {
  epoll_event event{};
  event.events = EPOLLIN | (for_room ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  event.data.ptr = &connection;
  connection.waits_for_room = for_room;
  if (::epoll_ctl(epoll_.get(), operation, connection.socket.get(), &event) != 0)
    return system_error("epoll_ctl");
  return Done{};
}

Outcome LoadLoop::begin_batch(Connection& connection) {
  std::size_t count = std::min(plan_.pipeline_depth, connection.unsent_count);
  connection.unsent_bytes = workload_.requests(connection.next_request, count);
  connection.next_request = (connection.next_request + count) % workload_.request_count();
  connection.unsent_count -= count;
  connection.awaited_count = count;
  connection.batch_sent_ns = monotonic_time_ns();
  return send_batch(connection);
}

Outcome LoadLoop::send_batch(Connection& connection) {
  while (!connection.unsent_bytes.empty()) {
    const ssize_t sent = ::send(connection.socket.get(), connection.unsent_bytes.data(),
                                connection.unsent_bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      connection.unsent_bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      return connection.waits_for_room ? Outcome(Done{}) : watch(connection, EPOLL_CTL_MOD, true);
    } else if (errno != EINTR) {
      return system_error("send to the server");
    }
  }
  return connection.waits_for_room ? watch(connection, EPOLL_CTL_MOD, false) : Outcome(Done{});
}

Outcome LoadLoop::receive(Connection& connection) {
  const ssize_t size = ::recv(connection.socket.get(), received_.data(), received_.size(), 0);
  if (size < 0)
    return errno == EAGAIN || errno == EINTR ? Outcome(Done{}) : system_error("recv from the server");
  if (size == 0)
    return Error{ExitStatus::kSystem, 0, "recv from the server: connection closed by the server"};

  const std::int64_t now_ns = monotonic_time_ns();
  const std::size_t count = connection.scanner.feed({received_.data(), static_cast<std::size_t>(size)});
  if (count > connection.awaited_count) {
    return Error{ExitStatus::kRuntime, 0, "more replies than requests: does the server speak this protocol?"};
  }
  const auto latency_ns = static_cast<std::uint64_t>(now_ns - connection.batch_sent_ns);
  for (std::size_t index = 0; index < count; ++index) latency_.record(latency_ns);
  connection.awaited_count -= count;
  if (connection.awaited_count > 0) return Done{};
  if (connection.unsent_count > 0) return begin_batch(connection);
  --busy_count_;
  return Done{};
}

Outcome LoadLoop::run() {
  if (!epoll_) return system_error("epoll_create1");
  for (Connection& connection : connections_) {
    Outcome watched = watch(connection, EPOLL_CTL_ADD, false);
    if (!watched) return watched;
    if (connection.unsent_count == 0) continue;
    ++busy_count_;
    Outcome begun = begin_batch(connection);
    if (!begun) return begun;
  }
  std::vector<epoll_event> events(kEventCountMax);
  while (busy_count_ > 0) {
    const int ready_count = ::epoll_wait(epoll_.get(), events.data(), kEventCountMax, kSilenceMaxMs);
    if (ready_count == 0)
      return Error{ExitStatus::kRuntime, 0, "epoll_wait: no reply from the server for 30 s"};
    if (ready_count < 0 && errno != EINTR) return system_error("epoll_wait");
    for (int index = 0; index < ready_count; ++index) {
      const epoll_event& event = events[static_cast<std::size_t>(index)];
      Connection& connection = *static_cast<Connection*>(event.data.ptr);
      if ((event.events & EPOLLOUT) != 0) {
        Outcome sent = send_batch(connection);
        if (!sent) return sent;
      }
      if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
        Outcome received = receive(connection);
        if (!received) return received;
      }
    }
  }
  return Done{};
}

}  // namespace

Result<LoadResult> run_load(const LoadPlan& plan, const Workload& workload) {
  const std::size_t thread_count = std::min(plan.thread_count, plan.connection_count);
  std::vector<LoadLoop> loops;
  loops.reserve(thread_count);
  for (std::size_t index = 0; index < thread_count; ++index) loops.emplace_back(plan, workload);

  // Connection i does the requests [n*i/c, n*(i+1)/c): together each request of the plan once.
  for (std::size_t index = 0; index < plan.connection_count; ++index) {
    const std::size_t begin = plan.request_count * index / plan.connection_count;
    const std::size_t end = plan.request_count * (index + 1) / plan.connection_count;
    const Outcome connected = loops[index % thread_count].connect(begin, end - begin);
    if (!connected) return connected.error();
  }

  std::vector<std::optional<Error>> failures(thread_count);
  std::latch start(1);
  std::vector<std::jthread> threads;
  for (std::size_t index = 0; index < thread_count; ++index) {
    threads.emplace_back([&loop = loops[index], &failure = failures[index], &start] {
      start.wait();
      const Outcome ran = loop.run();
      if (!ran) failure = ran.error();
    });
  }
  const std::int64_t begin_ns = monotonic_time_ns();
  start.count_down();
  for (std::jthread& thread : threads) thread.join();
  const std::int64_t end_ns = monotonic_time_ns();

  LoadResult result;
  result.elapsed_s = static_cast<double>(end_ns - begin_ns) / 1e9;
  for (const std::optional<Error>& failure : failures) {
    if (failure) return *failure;
  }
  for (const LoadLoop& loop : loops) loop.add_to(result);
  return result;
}

}  // namespace memento
