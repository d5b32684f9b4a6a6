// PatternMatch: one pattern of Lua 5.1 against one subject, step by step under the script's limits. Runs in
// workers.
//
// A pattern ends at its first zero byte, as Lua 5.1 has it. Matching goes back and tries again, so its time
// is bounded by nothing but the limits, to which each byte that is looked at counts. Each item that may match
// more or less often nests a call; beyond kDeepestNesting of them a pattern is refused, where Lua would use
// up the process's stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/script/lua.h"
#include "worker/script/script_limits.h"

namespace memento {

class PatternMatch {
 public:
  static constexpr int kMostCaptures = 32;
  static constexpr int kDeepestNesting = 1000;

  /// REQUIRES: both are strings of Lua, which end with a zero byte and outlive this.
  PatternMatch(lua_State* lua, std::string_view subject, const char* pattern)
      : lua_(lua),
        limits_(ScriptLimits::of(lua)),
        begin_(subject.data()),
        end_(subject.data() + subject.size()),
        pattern_(pattern) {}

  /// Where the match ends that begins exactly at `at`; null: there is none. Raises errors of the pattern.
  const char* match_at(const char* at);

  /// Pushes the captures of the match [from, to), or all of it where the pattern has no captures and `from`
  /// is not null. Says how many values that are.
  int push_captures(const char* from, const char* to);
  /// Pushes one capture, counted from 0.
  void push_capture(int index, const char* from, const char* to);

 private:
  // A capture that is still open, or a position, has no length.
  struct Capture {
    enum class Kind : std::uint8_t { kOpen, kPosition, kText };
    const char* begin;
    std::size_t size;
    Kind kind;
  };

  const char* match(const char* at, const char* pattern);
  const char* match_nested(const char* at, const char* pattern);
  const char* match_most(const char* at, const char* item, const char* item_end);
  const char* match_least(const char* at, const char* item, const char* item_end);
  const char* match_balanced(const char* at, const char* pattern);
  const char* match_capture(const char* at, char digit);
  const char* open_capture(const char* at, const char* pattern, Capture::Kind kind);
  const char* close_capture(const char* at, const char* pattern);
  bool is_at_frontier(const char* at, const char* set, const char* set_end);
  const char* item_end(const char* item);
  bool is_matched(const char* at, const char* item, const char* item_end);
  bool set_has(const char* set, const char* set_end, unsigned char byte);

  lua_State* lua_;
  ScriptLimits& limits_;
  const char* begin_;
  const char* end_;
  const char* pattern_;
  int nesting_ = 0;
  int capture_count_ = 0;
  Capture captures_[kMostCaptures];
};

}  // namespace memento
