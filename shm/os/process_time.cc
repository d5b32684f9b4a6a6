// See process_time.h.
#include "shm/os/process_time.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "shm/os/fd.h"

namespace memento {
namespace {

std::uint64_t cpu_time_ns(std::uint32_t process_id) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(static_cast<pid_t>(process_id), &clock) != 0 || clock_gettime(clock, &used) != 0)
    return 0;
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(used.tv_nsec);
}

// The second number of schedstat: time on a run queue (Linux: Documentation/scheduler/sched-stats). Kernels
// without it say nothing.
std::uint64_t queued_time_ns(std::uint32_t process_id) {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/%u/schedstat", process_id);
  const Fd file(open(path.data(), O_RDONLY | O_CLOEXEC));
  std::array<char, 96> text{};
  if (!file || read(file.get(), text.data(), text.size() - 1) <= 0) return 0;
  unsigned long long run = 0;
  unsigned long long queued = 0;
  return std::sscanf(text.data(), "%llu %llu", &run, &queued) == 2 ? queued : 0;
}

}  // namespace

// To the clocks 0 would be the caller.
std::uint64_t active_time_ns(std::uint32_t process_id) {
  return process_id == 0 ? 0 : cpu_time_ns(process_id) + queued_time_ns(process_id);
}

void ActivityWatch::look(std::uint32_t process_id, std::int64_t now_ms) {
  const std::uint64_t active_ns = active_time_ns(process_id);
  if (!is_set_) begin_ms_ = now_ms;
  if (!is_set_ || active_ns > seen_ns_) active_ms_ = now_ms;
  is_set_ = true;
  seen_ns_ = active_ns;
}

}  // namespace memento
