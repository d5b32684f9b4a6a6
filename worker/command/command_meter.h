// CommandMeter: counts and times the commands of one call of Session::consume() in the worker's statistics,
// and logs the slow ones. Runs in workers.
//
// Reading the clock around each command would cost as much as a fifth of a GET. Commands with one key, and
// short ones without, that stand one after the other in a batch are a run, timed as one, of which each gets
// an equal share; any other command is a run of its own, and so is every command while a threshold is below
// kExactBelowUs. A run of several that is slow leaves no line, for nobody knows which of them it was: that
// concerns only such commands sent in a pipeline.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "shm/os/cpu_clock.h"
#include "worker/command/command.h"

namespace memento {

/// Codes that errors begin with, as INFO's errorstats names them; the last stands for all others.
inline constexpr std::string_view kErrorCodes[] = {"ERR",    "WRONGTYPE", "NOAUTH",  "WRONGPASS",
                                                   "OOM",    "EXECABORT", "NOPROTO", "BUSYKEY",
                                                   "DENIED", "NOSCRIPT",  "OTHER"};
static_assert(std::size(kErrorCodes) <= kErrorCodeLimit);

class CommandMeter {
 public:
  static constexpr std::int64_t kExactBelowUs = 1000;

  CommandMeter(WorkerServices& services, const ClientState& client);

  /// From now on each command is a run of its own.
  void time_each() { times_each_ = true; }
  /// In front of each command. True: it is a run of its own, call end_run() behind it.
  bool begin(const Command* command, std::size_t word_count) {
    const bool is_alone = times_each_ || command == nullptr || !is_brief(*command, word_count);
    if (is_alone && count_ > 0) [[unlikely]]
      end_run({});
    run_[count_++] = command;
    return is_alone;
  }
  /// The command begun last answered with an error; `reply` is what it wrote.
  void note_error(std::string_view reply, bool was_rejected);
  /// The command begun last has not been executed. REQUIRES: it is a run of its own.
  void drop_run() { count_ = 0; }
  /// `words` are those of the run's last command.
  void end_run(std::span<const std::string_view> words);
  void count_executed(std::uint64_t count) { add_to(record_.executed, count); }

 private:
  static bool is_brief(const Command& command, std::size_t word_count) {
    if (command.keys.first != command.keys.last) return word_count <= 2;
    return command.keys.first != 0 || (word_count <= 2 && command.has(kFast));
  }
  void log(std::span<const std::string_view> words, std::uint64_t duration_us);
  void sample(std::uint64_t duration_ms);

  LiveSettings& settings_;
  WorkerStatistics& record_;
  const ClientState& client_;
  std::array<const Command*, 16> run_;  ///< nullptr: not known, or rejected
  std::size_t count_ = 0;
  bool times_each_ = false;
  std::uint64_t slow_ticks_;
  std::uint64_t begin_ticks_;
};

}  // namespace memento
