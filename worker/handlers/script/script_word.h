// LiveSettings::long_scripts: how a worker tells that it has been running a script for a while, and how
// others tell it to stop. One word for each process record, written by the worker, and by SCRIPT KILL in any
// worker, which sets kKilled in it. Beside it, in LiveSettings::script_texts, is what the script is called
// and the request that runs it: written before the word, and not changed while the word stands. Runs in
// workers.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

/// The words, each cut to 254 bytes, as far as there is room.
inline void write_script_text(LiveSettings::ScriptText& text, std::span<const std::string_view> words) {
  char bytes[sizeof text] = {};  // each word behind its length; a length of 0 ends them
  std::size_t at = 0;
  for (const std::string_view word : words) {
    const std::size_t size = std::min<std::size_t>({word.size() + 1, 255, sizeof bytes - at});
    if (size == 0 || (size == 1 && !word.empty())) break;
    bytes[at] = static_cast<char>(size);
    std::memcpy(bytes + at + 1, word.data(), size - 1);
    at += size;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + i * sizeof word, sizeof word);
    text[i].store(word, std::memory_order_relaxed);
  }
}

struct LongScript {
  std::uint64_t word;
  std::vector<std::string> text;  ///< its name, and its request's words
};

/// The script that the process of this record has been running for a while. Nothing: there is none.
inline std::optional<LongScript> long_script(const LiveSettings& settings, std::size_t record) {
  const std::uint64_t word = settings.long_scripts[record].load(std::memory_order_acquire);
  if (word == 0) return std::nullopt;
  const LiveSettings::ScriptText& text = settings.script_texts[record];
  char bytes[sizeof text];
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint64_t part = text[i].load(std::memory_order_relaxed);
    std::memcpy(bytes + i * sizeof part, &part, sizeof part);
  }
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::uint64_t now = settings.long_scripts[record].load(std::memory_order_relaxed);
  if ((now | ScriptWord::kKilled) != (word | ScriptWord::kKilled)) return std::nullopt;  // it has ended
  LongScript script{word, {}};
  for (std::size_t at = 0; at < sizeof bytes;) {
    const std::size_t size = static_cast<unsigned char>(bytes[at]);
    if (size == 0 || at + size > sizeof bytes) break;
    script.text.emplace_back(bytes + at + 1, size - 1);
    at += size;
  }
  return script;
}

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
