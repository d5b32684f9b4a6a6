// ScriptHost: what a running script asks of the server. The handlers of EVAL implement it
// (worker/handlers/script), so that the interpreter knows no commands. Runs in workers.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "worker/wire/reply_writer.h"

namespace memento {

/// Levels of redis.log(), by Redis's numbers.
enum class ScriptLogLevel : int { kDebug = 0, kVerbose = 1, kNotice = 2, kWarning = 3 };

class ScriptHost {
 public:
  virtual ~ScriptHost() = default;

  /// Executes a command; its reply in that protocol, RESP2 or RESP3, valid until the next call. A command
  /// that is refused replies with an error. REQUIRES: there is at least one word.
  virtual std::string_view call(std::span<const std::string_view> words, Protocol protocol) = 0;
  std::uint64_t call_ticks = 0;  ///< that the last call's command took
  /// Is there such a command?
  virtual bool has_command(std::span<const std::string_view> words) = 0;
  virtual void log(ScriptLogLevel level, std::string_view text) = 0;
  /// As ScriptLimits::Watch.
  virtual const char* stop_reason() noexcept = 0;
};

}  // namespace memento
