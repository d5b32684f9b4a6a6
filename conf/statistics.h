// Statistics of the workers beside the keyspace's own counters: commands, error codes, slow commands. They
// lie in a memory file that all processes of a server share: a front, and one record for each process record
// of the segment. Records that nobody used are never touched. An upgrade hands the file over; it ends with
// the server.
//
// A record is written by its worker alone, with plain relaxed stores; the worker that next gets the same
// process record goes on with it. To reset is to count up a generation: each owner clears its record when it
// notices, readers skip older ones.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <new>
#include <utility>

#include "shm/os/fd.h"
#include "shm/os/file.h"
#include "shm/os/mapping.h"

namespace memento {

using StatisticsWord = std::atomic<std::uint64_t>;

/// The owner's way to count: no locked instruction.
inline void add_to(StatisticsWord& word, std::uint64_t amount) {
  word.store(word.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

inline constexpr std::size_t kStatisticsLimit = 136;  // process records
inline constexpr std::size_t kCommandStatisticsLimit = 256;
inline constexpr std::size_t kErrorCodeLimit = 16;
inline constexpr std::size_t kLatencyBuckets = 32;
inline constexpr std::size_t kSlowLineLimit = 128;
inline constexpr std::size_t kSlowTextBytes = 464;
inline constexpr std::size_t kLatencySampleLimit = 160;
inline constexpr std::size_t kLatencyEvents = 2;  // "command", "fast-command"
inline constexpr std::size_t kCounterLimit = 16;

struct alignas(64) CommandStatistics {
  StatisticsWord calls;
  StatisticsWord nanoseconds;
  StatisticsWord rejected;  ///< refused before they were executed
  StatisticsWord failed;
  /// Calls that took less than 2^i microseconds, and not less than half.
  std::array<StatisticsWord, kLatencyBuckets> buckets;
};

/// A slow command. `number` is 0 while the rest is being written, so a line cut off by a kill is not shown.
struct SlowLine {
  StatisticsWord number;  ///< unique over all workers
  std::uint64_t time_s;
  std::uint64_t duration_us;
  std::uint64_t text_bytes;
  std::uint64_t argument_count;
  std::uint64_t reserved;
  /// Address, name, arguments: 16 bits of length and the bytes of each.
  std::array<char, kSlowTextBytes> text;
};

/// Samples of one latency event, a word each: seconds << 32 | milliseconds.
struct LatencyEvent {
  StatisticsWord generation;  ///< of LATENCY RESET
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
  StatisticsWord process_id;  ///< of the worker that has the record, or had it last
  StatisticsWord connected_clients;
  StatisticsWord waiting_clients;  ///< whose request waits
  StatisticsWord held_clients;     ///< whose replies wait for the disk
  StatisticsWord room_waits;       ///< requests that found no room in the journal
  std::array<StatisticsWord, kErrorCodeLimit> errors;
  std::array<CommandStatistics, kCommandStatisticsLimit> commands;
  std::array<LatencyEvent, kLatencyEvents> latency;
  StatisticsWord slow_count;
  std::array<SlowLine, kSlowLineLimit> slow_lines;
};

/// Figures that all workers have in common.
struct StatisticsFront {
  StatisticsWord layout;        ///< what the words of the file mean, as its maker had them
  StatisticsWord record_count;  ///< records below it were used
  StatisticsWord generation;    ///< counted up by CONFIG RESETSTAT
  std::array<StatisticsWord, kCounterLimit> counter_floors;  ///< what the keyspace's counters were then
  StatisticsWord slow_next;                                  ///< number of the last line of SLOWLOG
  StatisticsWord slow_floor;                                 ///< lines up to it were reset
  std::array<StatisticsWord, kLatencyEvents> latency_generations;
  StatisticsWord memory_peak_bytes;
  /// Of all workers, in the last second; each worker writes what it finds.
  StatisticsWord input_bytes_per_second;
  StatisticsWord output_bytes_per_second;
};

/// The front by ->, the records by []. Children inherit the mapping.
class StatisticsRecords {
 public:
  /// All zero, which is an empty record.
  StatisticsRecords() : file_(memfd_create("memento-statistics", MFD_CLOEXEC)) {
    if (!file_ || ftruncate(file_.get(), kBytes) != 0 || !map()) throw std::bad_alloc();
    use(1);
  }
  StatisticsRecords(const StatisticsRecords&) = delete;
  StatisticsRecords& operator=(const StatisticsRecords&) = delete;

  StatisticsFront* operator->() const { return front_; }
  WorkerStatistics& operator[](std::size_t record) const { return records_[record]; }
  int descriptor() const { return file_.get(); }

  /// Notes the layout of these records: a number that differs when a word of the file means something else.
  void begin(std::uint64_t layout) { front_->layout = layout_of(layout); }
  /// Goes on with the records that another program left in this file. False, and the file is closed, when
  /// they have another layout.
  bool take_over(Fd file, std::uint64_t layout) {
    if (file_size_bytes(file.get()) != kBytes) return false;
    Result<Mapping> mapping = Mapping::of_file(file.get(), kBytes, kObject);
    if (!mapping || front_of(*mapping)->layout.load() != layout_of(layout)) return false;
    file_ = std::move(file);
    set(std::move(*mapping));
    return true;
  }
  /// Notes that a process is about to get this record.
  void use(std::uint64_t record) {
    if (front_->record_count.load() <= record) front_->record_count = record + 1;
  }

 private:
  static constexpr std::size_t kFrontBytes = 4096;
  static_assert(sizeof(StatisticsFront) <= kFrontBytes);
  static constexpr std::size_t kBytes = kFrontBytes + sizeof(WorkerStatistics) * kStatisticsLimit;

  static constexpr const char* kObject = "the statistics";

  static std::uint64_t layout_of(std::uint64_t layout) { return layout * 31 + sizeof(StatisticsFront); }
  static StatisticsFront* front_of(const Mapping& mapping) {
    return reinterpret_cast<StatisticsFront*>(mapping.data());
  }
  bool map() {
    Result<Mapping> mapping = Mapping::of_file(file_.get(), kBytes, kObject);
    return mapping ? set(std::move(*mapping)), true : false;
  }
  void set(Mapping mapping) {
    mapping_ = std::move(mapping);
    front_ = front_of(mapping_);
    records_ = reinterpret_cast<WorkerStatistics*>(mapping_.data() + kFrontBytes);
  }

  Fd file_;
  Mapping mapping_;
  StatisticsFront* front_ = nullptr;
  WorkerStatistics* records_ = nullptr;
};

}  // namespace memento
