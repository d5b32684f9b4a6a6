// CommandMeter: counts and times the commands of one call of Session::consume(), or of one wake-up's brief
// turns (brief_turns.h), in the worker's statistics, and logs the slow ones. Runs in workers.
//
// Reading the clock around each command would cost as much as a fifth of a GET. Brief commands (with one key
// and in constant time but for the value's size, or short ones without) that stand one after the other in a
// batch are a run, timed as one, of which each gets an equal share; any other command is a run of its own,
// and so is every command while a threshold is below kExactBelowUs.
//
// A brief command is slow for few reasons, which can be told without a clock: much was given or got, it
// waited for a lock, memory had to be found. Then the run ends with it: if that was slow, it was this
// command, and its line says how long the run took, of which the others hardly are a part. A run that was
// slow for no such reason (the processor was taken away, a page of memory was not there) is logged with its
// last command and the remark that it was one of so many; what was rejected or queued is never logged. Of a
// run over several clients' turns only the turn that was slow is logged so, as if it had been alone.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <span>
#include <string_view>

#include "conf/live_settings.h"
#include "conf/statistics.h"
#include "shm/os/cpu_clock.h"
#include "worker/clients/client_state.h"
#include "worker/command/command.h"

namespace memento {

/// Codes that errors begin with, as INFO's errorstats names them; the last stands for all others.
inline constexpr std::string_view kErrorCodes[] = {
    "ERR",     "WRONGTYPE", "NOAUTH",   "WRONGPASS", "OOM",     "EXECABORT", "NOPROTO",
    "BUSYKEY", "DENIED",    "NOSCRIPT", "LOADING",   "MISCONF", "OTHER"};
static_assert(std::size(kErrorCodes) <= kErrorCodeLimit);

/// What commands and error codes the statistics count in which place: a number that differs with it.
std::uint64_t statistics_layout();

class CommandMeter {
 public:
  static constexpr std::int64_t kExactBelowUs = 1000;
  static constexpr std::size_t kRunLimit = 64;
  static constexpr std::size_t kMuchBytes = 16 * 1024;

  /// `process`: whose record the statistics go to.
  CommandMeter(LiveSettings& settings, std::uint32_t process, const ClientState& client);

  /// The commands from here on are this client's.
  void turn_to(const ClientState& client) { client_ = &client; }
  /// A client's turn ends, the run may go on with another's: what each took is looked at by itself. `words`
  /// as in end_run().
  void end_turn(std::span<const std::string_view> words);
  /// The turn ends in an exception: what is left of its commands is not counted.
  void drop_turn() { count_ = earlier_count_; }
  /// The run ends with the turn that ended last.
  void end_turns();
  /// So many commands more fit into the run.
  bool has_room_for(std::size_t count) const { return count_ + count <= kRunLimit; }

  /// From now on each command is a run of its own.
  void time_each() { times_each_ = true; }
  bool times_each() const { return times_each_; }
  /// In front of each command. previous_words(): those of the command before it in the batch. True: it is a
  /// run of its own, call end_run() behind it.
  template <class Words>
  bool begin(const Command* command, std::size_t word_count, Words&& previous_words) {
    const bool is_alone = times_each_ || command == nullptr || !is_brief(*command, word_count);
    if (is_alone && count_ > 0) [[unlikely]]
      end_run(previous_words(), false);
    run_[count_++] = command != nullptr ? command : &kNotExecuted;
    return is_alone;
  }
  /// begin() for a command that is_brief() whatever its words, when commands are not timed one by one.
  void begin_brief(const Command* command) { run_[count_++] = command; }
  /// The command begun last answered with an error; `reply` is what it wrote.
  void note_error(std::string_view reply, bool was_rejected);
  /// The command begun last is not counted: it was queued, or there is no such subcommand.
  void skip() { run_[count_ - 1] = &kNotExecuted; }
  /// The command begun last has not been executed. REQUIRES: it is a run of its own.
  void drop_run() { count_ = 0; }
  /// The same of a command that may be in a run with others.
  void drop_last() {
    assert(count_ > earlier_count_);
    --count_;
  }
  /// `words` are those of the run's last command; `was_long`: there was a reason for it to take long.
  void end_run(std::span<const std::string_view> words, bool was_long);
  /// A command inside EXEC or a script that took so long; `error` is its reply when that was one.
  void add_call(const Command& command, std::span<const std::string_view> words, std::uint64_t ticks,
                std::string_view error);
  /// CONFIG RESETSTAT: what this worker counted is forgotten at once, and this command counts already.
  static void begin_anew(LiveSettings& settings, WorkerStatistics& record);
  /// By the clock as it was read last: when a command that may take long was done, or a run ended.
  bool is_past(std::uint64_t ticks) const { return begin_ticks_ >= ticks; }
  void count_executed(std::uint64_t count) { add_to(record_.executed, count); }

 private:
  void count_error(const Command& command, std::string_view reply, bool was_rejected);
  void count_calls(const Command& command, std::uint64_t count, std::uint64_t share_ns);
  void finish_run(std::uint64_t ticks, std::span<const std::string_view> words, bool was_long);
  void book(std::size_t begin, std::size_t end, std::uint64_t ticks);
  static bool is_brief(const Command& command, std::size_t word_count) {
    if (command.has(kReadonly) && !command.has(kFast)) return false;
    if (command.keys.first != command.keys.last) return word_count <= 2;
    return command.keys.first != 0 || (word_count <= 2 && command.has(kFast));
  }
  void log_run(std::uint64_t duration_us, std::span<const std::string_view> words, bool was_long);
  void log(const Command& command, std::span<const std::string_view> words, std::string_view remark,
           std::uint64_t duration_us);
  void sample(const Command& command, std::uint64_t duration_ms);

  static constexpr Command kNotExecuted{};  ///< stands in a run for what is not known, was rejected or queued

  LiveSettings& settings_;
  WorkerStatistics& record_;
  const ClientState* client_;
  std::array<const Command*, kRunLimit> run_;  ///< the first `count_` are set; none of those is nullptr
  std::size_t count_ = 0;
  std::size_t earlier_count_ = 0;    ///< of them, those of turns that ended
  std::uint64_t earlier_ticks_ = 0;  ///< and what these took
  bool times_each_ = false;
  std::uint64_t slow_ticks_;
  std::uint64_t begin_ticks_;
};

}  // namespace memento
