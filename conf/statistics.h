// Statistics of the workers beside the keyspace's own counters: commands, error codes, slow commands. One
// record per worker in memory that all processes of a run share; pages that nobody uses are never touched.
// They end with the run.
//
// A record is written by its worker alone, with plain relaxed stores; a worker that replaces a killed one
// goes on with it. To reset is to count up a generation: each owner clears its record when it notices,
// readers skip older ones.
#pragma once

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <new>

namespace memento {

using StatisticsWord = std::atomic<std::uint64_t>;

/// The owner's way to count: no locked instruction.
inline void add_to(StatisticsWord& word, std::uint64_t amount) {
  word.store(word.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

inline constexpr std::size_t kStatisticsLimit = 128;  // workers
inline constexpr std::size_t kCommandStatisticsLimit = 256;
inline constexpr std::size_t kErrorCodeLimit = 16;
inline constexpr std::size_t kLatencyBuckets = 32;
inline constexpr std::size_t kSlowLineLimit = 128;
inline constexpr std::size_t kSlowTextBytes = 464;
inline constexpr std::size_t kLatencySampleLimit = 160;

struct alignas(64) CommandStatistics {
  StatisticsWord calls;
  StatisticsWord nanoseconds;
  StatisticsWord rejected;  ///< refused before they were executed
  StatisticsWord failed;
  std::array<StatisticsWord, kLatencyBuckets>
      buckets;  ///< calls that took less than 2^i microseconds, and not less than half
};

/// A slow command. `number` is 0 while the rest is being written, so a line cut off by a kill is not shown.
struct SlowLine {
  StatisticsWord number;  ///< unique over all workers
  std::uint64_t time_s;
  std::uint64_t duration_us;
  std::uint64_t text_bytes;
  std::uint64_t argument_count;
  std::uint64_t reserved;
  std::array<char, kSlowTextBytes>
      text;  ///< address, name, arguments: 16 bits of length and the bytes of each
};

/// Samples of one latency event, a word each: seconds << 32 | milliseconds.
struct LatencyEvent {
  StatisticsWord count;
  StatisticsWord most_ms;
  std::array<StatisticsWord, kLatencySampleLimit> samples;
};

struct alignas(64) WorkerStatistics {
  StatisticsWord generation;  ///< of CONFIG RESETSTAT
  StatisticsWord executed;
  StatisticsWord operations_per_second;
  StatisticsWord rejected_connections;
  StatisticsWord cpu_user_us;
  StatisticsWord cpu_system_us;
  StatisticsWord latency_generation;  ///< of LATENCY RESET
  std::array<StatisticsWord, kErrorCodeLimit> errors;
  std::array<CommandStatistics, kCommandStatisticsLimit> commands;
  std::array<LatencyEvent, 2> latency;  ///< "command", "fast-command"
  StatisticsWord slow_count;
  std::array<SlowLine, kSlowLineLimit> slow_lines;
};

/// The records of all workers. Children inherit the mapping, which nothing ends but its process.
class StatisticsRecords {
 public:
  StatisticsRecords() {
    void* memory =
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    records_ = static_cast<WorkerStatistics*>(memory);  // all zero, which is an empty record
  }
  ~StatisticsRecords() { munmap(records_, kBytes); }
  StatisticsRecords(const StatisticsRecords&) = delete;
  StatisticsRecords& operator=(const StatisticsRecords&) = delete;

  WorkerStatistics& operator[](std::size_t worker) const { return records_[worker]; }

 private:
  static constexpr std::size_t kBytes = sizeof(WorkerStatistics) * kStatisticsLimit;
  WorkerStatistics* records_;
};

}  // namespace memento
