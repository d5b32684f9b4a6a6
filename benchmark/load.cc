// Runs a load: connects, starts the threads' loops, watches them from the main thread, and adds their results
// up. See load.h.
#include "benchmark/load.h"

#include <fcntl.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <limits>
#include <mutex>
#include <thread>

#include "benchmark/load_loop.h"
#include "benchmark/memcached_scanner.h"
#include "benchmark/resp_scanner.h"
#include "benchmark/text_scanner.h"

namespace memento {
namespace {

constexpr std::int64_t kLatenessMaxNs = 1'000'000'000;

/// Sends a request that is not part of the load, and waits for the answer; an error reply is an error.
template <class Scanner>
Outcome ask(int socket, const std::string& what, std::string_view request) {
  if (::send(socket, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return system_error("send(" + what + ")");
  }
  Scanner scanner;
  std::string refusal;
  bool is_answered = false;
  char bytes[4096];
  while (!is_answered) {
    const ssize_t size = ::recv(socket, bytes, sizeof bytes, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return system_error("recv of " + what + "'s reply");
    if (size == 0) return Error{ExitStatus::kSystem, 0, what + ": connection closed by the server"};
    const bool is_known = scanner.feed({bytes, static_cast<std::size_t>(size)}, [&](const Reply& reply) {
      is_answered = true;
      if (reply.kind == ReplyKind::kError && refusal.empty()) refusal = reply.text;
    });
    if (!is_known)
      return Error{ExitStatus::kRuntime, 0, what + ": the reply is not RESP; does the server speak it?"};
  }
  if (!refusal.empty()) return Error{ExitStatus::kRuntime, 0, what + ": refused: " + refusal};
  return Done{};
}

/// Gives the password, and asks for RESP3 where that is spoken.
Outcome greet(int socket, const LoadPlan& plan) {
  if (!plan.password.empty()) {
    Outcome let_in = plan.protocol == ServerProtocol::kText
                         ? ask<TextScanner>(socket, "AUTH", "AUTH " + plan.password + "\n")
                         : ask<RespScanner>(socket, "AUTH", resp_request({"AUTH", plan.password}));
    if (!let_in) return let_in;
  }
  if (plan.protocol != ServerProtocol::kResp3) return Done{};
  return ask<RespScanner>(socket, "HELLO 3", resp_request({"HELLO", "3"}));
}

Result<Fd> open_connection(const LoadPlan& plan) {
  Result<Fd> socket = connect_tcp(plan.server);
  if (!socket) return socket.error();
  if (Outcome greeted = greet(socket->get(), plan); !greeted) return greeted.error();
  const int flags = ::fcntl(socket->get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket->get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return system_error("fcntl(O_NONBLOCK)");
  return socket;
}

/// What the main thread does while the loops run: CPU times at the measurement's begin, and progress.
class Watch {
 public:
  Watch(const LoadPlan& plan, std::size_t thread_count)
      : plan_(plan), server_(plan.server_processes), running_count_(thread_count) {}

  void loop_ended() {
    const std::lock_guard lock(mutex_);
    --running_count_;
    changed_.notify_one();
  }

  void run(const LoadWindow& window, const LoadProgress& progress) {
    std::unique_lock lock(mutex_);
    std::int64_t next_line_ns = window.begin_ns + kLineIntervalNs;
    bool is_measuring = false;
    std::uint64_t last_count = 0;
    while (running_count_ > 0) {
      const std::int64_t now_ns = monotonic_time_ns();
      if (!is_measuring && now_ns >= window.measure_begin_ns) {
        is_measuring = true;
        begin_measurement(now_ns);
      }
      if (plan_.shows_progress && now_ns >= next_line_ns) {
        next_line_ns += kLineIntervalNs;
        const std::uint64_t count = progress.reply_count.load();
        print_line(now_ns - window.begin_ns, count - last_count, progress.error_count.load(), is_measuring);
        last_count = count;
      }
      std::int64_t wake_ns = is_measuring ? kNever : window.measure_begin_ns;
      if (plan_.shows_progress) wake_ns = std::min(wake_ns, next_line_ns);
      if (wake_ns == kNever) {
        changed_.wait(lock);
      } else {
        changed_.wait_for(lock, std::chrono::nanoseconds(std::max<std::int64_t>(wake_ns - now_ns, 0)));
      }
    }
    if (!is_measuring) begin_measurement(monotonic_time_ns());
    end_ns_ = monotonic_time_ns();
    client_end_cpu_ns_ = own_cpu_ns();
    server_end_cpu_ns_ = server_.total_ns();
  }

  void add_to(LoadResult& result, std::size_t thread_count) const {
    const auto available_ns = static_cast<double>(end_ns_ - begin_ns_) *
                              static_cast<double>(std::min(thread_count, own_cpu_count()));
    if (available_ns > 0) {
      result.client_cpu_share = static_cast<double>(client_end_cpu_ns_ - client_begin_cpu_ns_) / available_ns;
    }
    if (server_begin_cpu_ns_ && server_end_cpu_ns_ && result.reply_count > 0) {
      result.server_cpu_ns_per_reply = static_cast<double>(*server_end_cpu_ns_ - *server_begin_cpu_ns_) /
                                       static_cast<double>(result.reply_count);
    }
  }

 private:
  static constexpr std::int64_t kLineIntervalNs = 1'000'000'000;
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  void begin_measurement(std::int64_t now_ns) {
    begin_ns_ = now_ns;
    client_begin_cpu_ns_ = own_cpu_ns();
    server_begin_cpu_ns_ = server_.total_ns();
  }

  static void print_line(std::int64_t elapsed_ns, std::uint64_t count, std::uint64_t error_count,
                         bool is_measuring) {
    std::fprintf(stderr, "%6.0f s %12llu op/s %8llu errors%s\n", static_cast<double>(elapsed_ns) / 1e9,
                 static_cast<unsigned long long>(count), static_cast<unsigned long long>(error_count),
                 is_measuring ? "" : "  (warm-up)");
  }

  const LoadPlan& plan_;
  ServerCpu server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t running_count_;  ///< guarded by mutex_
  std::int64_t begin_ns_ = 0;
  std::int64_t end_ns_ = 0;
  std::int64_t client_begin_cpu_ns_ = 0;
  std::int64_t client_end_cpu_ns_ = 0;
  std::optional<std::int64_t> server_begin_cpu_ns_;
  std::optional<std::int64_t> server_end_cpu_ns_;
};

template <class Scanner>
Result<LoadResult> run_load_with(const LoadPlan& plan, Workload& workload) {
  const std::size_t thread_count = std::min(plan.thread_count, plan.connection_count);
  std::optional<ExpectedValues> expected;
  if (plan.verifies) expected.emplace(workload.key_count());
  LoadProgress progress;
  std::vector<LoadLoop<Scanner>> loops;
  loops.reserve(thread_count);
  for (std::size_t index = 0; index < thread_count; ++index) {
    loops.emplace_back(plan, workload, LoadShare{index, thread_count}, expected ? &*expected : nullptr,
                       progress);
  }
  // In a counted closed loop connection i has the share [n*i/c, n*(i+1)/c) of the requests.
  for (std::size_t index = 0; index < plan.connection_count; ++index) {
    Result<Fd> socket = open_connection(plan);
    if (!socket) return socket.error();
    const std::size_t begin = plan.request_count * index / plan.connection_count;
    const std::size_t end = plan.request_count * (index + 1) / plan.connection_count;
    loops[index % thread_count].add(std::move(*socket), index, end - begin);
  }

  Watch watch(plan, thread_count);
  LoadWindow window;
  window.begin_ns = monotonic_time_ns();
  window.measure_begin_ns = window.begin_ns + plan.warmup_ns;
  window.end_ns = plan.duration_ns > 0 ? window.measure_begin_ns + plan.duration_ns
                                       : std::numeric_limits<std::int64_t>::max();
  window.late_end_ns = plan.duration_ns > 0 ? window.end_ns + kLatenessMaxNs : window.end_ns;
  std::vector<std::optional<Error>> failures(thread_count);
  std::vector<std::jthread> threads;
  for (std::size_t index = 0; index < thread_count; ++index) {
    threads.emplace_back([&loop = loops[index], &failure = failures[index], &watch, &window] {
      const Outcome ran = loop.run(window);
      if (!ran) failure = ran.error();
      watch.loop_ended();
    });
  }
  watch.run(window, progress);
  threads.clear();
  for (const std::optional<Error>& failure : failures) {
    if (failure) return *failure;
  }
  LoadResult result;
  for (const LoadLoop<Scanner>& loop : loops) loop.add_to(result, window);
  watch.add_to(result, thread_count);
  return result;
}

}  // namespace

Result<LoadResult> run_load(const LoadPlan& plan, Workload& workload) {
  switch (plan.protocol) {
    case ServerProtocol::kText:
      return run_load_with<TextScanner>(plan, workload);
    case ServerProtocol::kResp2:
    case ServerProtocol::kResp3:
      return run_load_with<RespScanner>(plan, workload);
    case ServerProtocol::kMemcached:
      return run_load_with<MemcachedScanner>(plan, workload);
  }
  return Error{ExitStatus::kUsage, 0, "unknown protocol"};
}

}  // namespace memento
