// See background.h.
#include "worker/net/background.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace memento {
namespace {

constexpr std::int64_t kMaintenanceUs = 1000;
constexpr std::int64_t kRestUs = 1'000'000;
constexpr std::int64_t kRatePeriodMs = 1000;

}  // namespace

bool Background::tick(std::size_t connection_count) {
  update_statistics(connection_count);
  const std::int64_t now_ms = monotonic_time_ms();
  if (!is_busy_ && now_ms - round_ms_ < period_ms()) return false;
  round_ms_ = now_ms;
  hub_.disk().look(context_.settings.disk_timeout_ms, context_.settings.stops_writes_on_disk_error);
  if (hub_.disk().is_loading()) return false;  // nobody but who loads it touches the keyspace
  const WorkShare share{context_.index, std::max(context_.options.workers, 1u)};
  is_busy_ = keyspace_.maintain(kMaintenanceUs, context_.settings.expires_in_background, share, kRestUs);
  hub_.tracking().tell(nullptr);
  return is_busy_;
}

std::int64_t Background::period_ms() const { return 1000 / context_.settings.background_hz; }

std::int64_t Background::pause_ms(bool is_busy) const {
  return std::min(is_busy ? kBusyTickMs : kTickMs, period_ms());
}

// What clients have made the heap grow by lies between what is used: only there for the next ones, or for
// nobody.
void Background::give_back_memory() {
  const std::size_t free_bytes = mallinfo2().fordblks;
  if (free_bytes > trimmed_bytes_ + kKeptHeapBytes) {
    malloc_trim(kKeptHeapBytes);
    trimmed_bytes_ = mallinfo2().fordblks;
  } else {
    trimmed_bytes_ = std::min(trimmed_bytes_, free_bytes);
  }
}

// What others read of this worker and no event counts.
void Background::update_statistics(std::size_t connection_count) {
  WorkerStatistics& record = context_.settings.statistics[context_.process];
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto microseconds = [](const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec * 1'000'000 + time.tv_usec);
  };
  record.cpu_user_us.store(microseconds(usage.ru_utime), std::memory_order_relaxed);
  record.cpu_system_us.store(microseconds(usage.ru_stime), std::memory_order_relaxed);
  record.process_id.store(static_cast<std::uint64_t>(getpid()), std::memory_order_relaxed);
  record.connected_clients.store(connection_count, std::memory_order_relaxed);
  DiskWaits& disk = hub_.disk();
  record.waiting_clients.store(hub_.clients().waiting_count() + disk.waiting_count(),
                               std::memory_order_relaxed);
  record.held_clients.store(disk.held_count(), std::memory_order_relaxed);
  add_to(record.room_waits, disk.take_room_waits());
  const std::uint64_t used_bytes = keyspace_.memory_used_bytes();
  StatisticsWord& peak_bytes = context_.settings.statistics->memory_peak_bytes;
  if (used_bytes > peak_bytes.load()) peak_bytes = used_bytes;
  const std::int64_t now_ms = monotonic_time_ms();
  if (now_ms - rated_ms_ < kRatePeriodMs) return;
  give_back_memory();
  update_rate(record, now_ms);
}

void Background::update_rate(WorkerStatistics& record, std::int64_t now_ms) {
  const auto elapsed_ms = static_cast<std::uint64_t>(now_ms - rated_ms_);
  const std::uint64_t executed = record.executed.load(std::memory_order_relaxed);
  const std::uint64_t rate = (executed - rated_executed_) * 1000 / elapsed_ms;
  record.operations_per_second.store(rated_ms_ == 0 ? 0 : rate, std::memory_order_relaxed);
  rated_executed_ = executed;
  const auto rate_bytes = [&](Counter counter, std::uint64_t* rated, StatisticsWord& bytes_per_second) {
    const std::uint64_t bytes = keyspace_.counter_sum(counter);
    if (rated_ms_ != 0 && bytes >= *rated) bytes_per_second = (bytes - *rated) * 1000 / elapsed_ms;
    *rated = bytes;
  };
  StatisticsFront& front = *context_.settings.statistics.operator->();
  rate_bytes(Counter::kBytesRead, &rated_input_bytes_, front.input_bytes_per_second);
  rate_bytes(Counter::kBytesWritten, &rated_output_bytes_, front.output_bytes_per_second);
  rated_ms_ = now_ms;
}

}  // namespace memento
