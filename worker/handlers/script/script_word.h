// LiveSettings::long_scripts: how a worker tells that it has been running a script for a while, and how
// others tell it to stop. One word for each process record, written by the worker, and by SCRIPT KILL in any
// worker, which sets kKilled in it. Runs in workers.
#pragma once

#include <atomic>
#include <cstdint>

#include "conf/live_settings.h"

namespace memento {

/// Whose kill ends it: SCRIPT KILL a script's, FUNCTION KILL a function's.
enum class RunKind : std::uint8_t { kScript = 0, kFunction = 1 };

struct ScriptWord {
  static constexpr std::uint64_t kRuns = 1, kKilled = 2, kFunction = 4;

  static std::uint64_t make(RunKind kind, std::uint64_t begin_ms) {
    return begin_ms << 3 | kRuns | (kind == RunKind::kFunction ? kFunction : 0);
  }
  static std::uint64_t begin_ms(std::uint64_t word) { return word >> 3; }
  static RunKind kind(std::uint64_t word) {
    return (word & kFunction) != 0 ? RunKind::kFunction : RunKind::kScript;
  }
};

enum class KillOutcome { kKilled, kNoneRuns, kOtherKindRuns };

/// Tells every worker that has been running one of that kind for a while to stop it.
inline KillOutcome kill_scripts(LiveSettings& settings, RunKind kind) {
  KillOutcome outcome = KillOutcome::kNoneRuns;
  for (std::atomic<std::uint64_t>& word : settings.long_scripts) {
    std::uint64_t found = word.load(std::memory_order_acquire);
    if (found == 0) continue;
    if (ScriptWord::kind(found) != kind) {
      if (outcome == KillOutcome::kNoneRuns) outcome = KillOutcome::kOtherKindRuns;
    } else if (word.compare_exchange_strong(found, found | ScriptWord::kKilled)) {
      outcome = KillOutcome::kKilled;
    }
  }
  return outcome;
}

}  // namespace memento
