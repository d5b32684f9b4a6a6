// Background: what a worker does from tick to tick beside serving clients: expiry and the freeing of memory
// in the keyspace, the figures that others read of this worker, and giving unused heap back. Runs in workers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "conf/statistics.h"
#include "worker/clients/message_hub.h"
#include "worker/net/worker.h"

namespace memento {

class Background {
 public:
  static constexpr int kKeptHeapBytes = 32 << 20;
  static constexpr std::int64_t kTickMs = 100;
  static constexpr std::int64_t kBusyTickMs = 10;  ///< while work is left: a tenth of the worker's time

  Background(WorkerContext& context, Keyspace& keyspace, MessageHub& hub)
      : context_(context), keyspace_(keyspace), hub_(hub) {}

  /// For about a millisecond, as often as the setting `hz` says, and more often while there is more to do,
  /// which true tells.
  bool tick(std::size_t connection_count);
  /// Until the next tick.
  std::int64_t pause_ms(bool is_busy) const;

 private:
  std::int64_t period_ms() const;
  void update_statistics(std::size_t connection_count);
  void update_rate(WorkerStatistics& record, std::int64_t now_ms);
  void give_back_memory();

  WorkerContext& context_;
  Keyspace& keyspace_;
  MessageHub& hub_;
  std::int64_t round_ms_ = 0;      ///< monotonic; the keyspace's work was done then
  bool is_busy_ = false;           ///< and left some
  std::size_t trimmed_bytes_ = 0;  ///< free bytes of the heap when memory was given back last
  std::int64_t rated_ms_ = 0;      ///< monotonic; operations per second were found then
  std::uint64_t rated_executed_ = 0;
  std::uint64_t rated_input_bytes_ = 0;  ///< of all workers
  std::uint64_t rated_output_bytes_ = 0;
};

}  // namespace memento
