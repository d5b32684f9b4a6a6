// Interpreter: one Lua state with what scripts may use, and running a script in it. One per worker. It knows
// no commands and no keyspace: those are behind ScriptHost. Runs in workers.
//
// A chunk is compiled once and run many times. It leaves nothing behind: globals are read-only (sandbox.h),
// KEYS and ARGV are made anew. So a run that did not count is repeated as it was; the state of math.random is
// put back for that (ScriptRandom).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/script/lua.h"
#include "worker/script/script_host.h"
#include "worker/script/script_limits.h"

namespace memento {

struct FunctionLibrary;

/// What one call of a script gets.
struct ScriptCall {
  std::string_view name;  ///< in errors: its SHA-1, or a function's name
  std::span<const std::string_view> keys;
  std::span<const std::string_view> arguments;
  /// It gets both as its parameters, and no KEYS and ARGV.
  bool is_function = false;
};

class Interpreter {
 public:
  static constexpr std::size_t kMemoryLimitBytes = 64 << 20;

  explicit Interpreter(std::size_t memory_limit_bytes = kMemoryLimitBytes);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  /// False: there was no memory to make it, and nothing else may be called.
  bool is_usable() const { return lua_ != nullptr; }

  /// A compiled chunk; forget() it when it is not run any more.
  using Chunk = int;
  struct Compiled {
    Chunk chunk = LUA_NOREF;
    std::string error;  ///< not empty: it was not compiled, and why
  };
  Compiled compile(std::string_view text, const char* name);
  void forget(Chunk chunk);
  /// Compiles and runs a library's text without its first line, and adds what it registers: chunks to be run
  /// as functions. Not empty: what is wrong; then there are none. (function_library.cc.) REQUIRES: no script
  /// runs in this interpreter.
  std::string load_library(std::string_view text, ScriptHost& host, FunctionLibrary* library);

  enum class End {
    kWhole,    ///< it has returned
    kByError,  ///< its own, or a command's
    kByLimit   ///< it was stopped, or took more memory than it may, or gave a reply that is too long
  };
  /// Runs it, and writes the reply in that protocol: what it returns, or the error that it ended with. What
  /// the host has written meanwhile to the same output is rolled back. REQUIRES: no script runs in this
  /// interpreter.
  End run(Chunk chunk, const ScriptCall& call, ScriptHost& host, ReplyWriter& reply, Protocol protocol);

  /// The error of the last run that ended kByLimit.
  const std::string& limit_error() const { return limit_error_; }

  std::size_t memory_used_bytes() const { return limits_.memory_used_bytes(); }
  /// Gives back what nothing refers to, when it may be much. REQUIRES: no script runs in this interpreter.
  void collect();

  /// The sequence of math.random: where it stands.
  std::uint64_t random_state() const { return random_state_; }
  void set_random_state(std::uint64_t state) { random_state_ = state; }
  double next_random();

  // For the functions of redis.*, which find it by their lua_State. REQUIRES: a script runs.
  static Interpreter& of(lua_State* lua);
  ScriptHost& host() { return *host_; }
  Protocol call_protocol = Protocol::kResp2;  ///< of redis.call()'s replies
  std::vector<std::string_view> words{};      ///< of the command that is called
  std::string numbers{};                      ///< those of its words that were numbers

 private:
  struct Run;
  static int set_up(lua_State* lua);
  void set_global(int name, std::span<const std::string_view> values, bool is_set);
  static int compile_protected(lua_State* lua);
  static int run_protected(lua_State* lua);
  static int handle_error(lua_State* lua);
  void finish_run(Run& run);
  void write_error(Run& run);

  ScriptLimits limits_;
  lua_State* lua_;
  // Places in the registry:
  int error_handler_ = LUA_NOREF;
  int runner_ = LUA_NOREF;   ///< run_protected()
  int globals_ = LUA_NOREF;  ///< what stands behind the globals that scripts see
  int keys_name_ = LUA_NOREF, arguments_name_ = LUA_NOREF;
  ScriptHost* host_ = nullptr;
  std::string limit_error_{};
  std::uint64_t random_state_ = 0x330e;
};

}  // namespace memento
