// ScriptLimits: how much memory an interpreter of scripts may take, and how a script that is running is
// stopped, whatever it does. It is the user data of the interpreter's allocator, so that every C function
// finds it by its lua_State. One per interpreter. Runs in workers.
//
// Lua calls the hook every kInstructionsPerLook instructions, in each coroutine. C functions that may run
// long on few instructions (patterns, sorting) say what they do by spend(). Either asks the watch, which says
// why the script must end; from then on every instruction raises that reason again, so that no pcall, handler
// or coroutine of the script goes on.
//
// Small blocks that Lua frees are kept, by size, for the next ones: a brief script takes a dozen, and the
// process's allocator would cost more than its commands.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "worker/script/lua.h"

namespace memento {

class ScriptLimits {
 public:
  /// Why the script must end: a constant text, which becomes its error; nullptr: it may go on. It must not
  /// throw.
  using Watch = const char* (*)(void* context);

  static constexpr int kInstructionsPerLook = 1000;
  static constexpr std::int64_t kStepsPerLook = 10'000;  ///< of C functions, a few nanoseconds each

  /// `owner`: whose interpreter it is.
  explicit ScriptLimits(std::size_t memory_limit_bytes, void* owner = nullptr)
      : memory_limit_bytes_(memory_limit_bytes), owner_(owner) {}
  ~ScriptLimits();
  ScriptLimits(const ScriptLimits&) = delete;
  ScriptLimits& operator=(const ScriptLimits&) = delete;

  /// An interpreter over these limits; nullptr: no memory. It is to be closed before they go.
  lua_State* open();
  /// REQUIRES: the state was made by open().
  static ScriptLimits& of(lua_State* lua);

  /// From here on scripts are watched, and no reason to stop is known.
  void begin(lua_State* lua, Watch watch, void* context);
  /// The script has ended. Nothing is watched until the next begin().
  void end(lua_State* lua);

  /// A C function did so much work: so many bytes or elements looked at. Raises when the script must end.
  void spend(lua_State* lua, std::int64_t steps) {
    steps_left_ -= steps;
    if (steps_left_ <= 0) [[unlikely]]
      look(lua);
  }
  /// nullptr: nothing has stopped it.
  const char* stop_reason() const { return stop_reason_; }

  /// For the collector, which needs some memory to give more back: the limit does not hold.
  void lift(bool is_lifted) { is_lifted_ = is_lifted; }

  void* owner() const { return owner_; }
  std::size_t memory_used_bytes() const { return memory_used_bytes_; }
  std::size_t memory_limit_bytes() const { return memory_limit_bytes_; }

 private:
  static void* allocate(void* self, void* old, std::size_t old_bytes, std::size_t new_bytes);
  static constexpr std::size_t kSmallBytes = 256;
  static constexpr std::size_t kStepBytes = 16;  ///< of small blocks' sizes
  static constexpr std::size_t kKeptBytes = 512 << 10;
  struct KeptBlock {
    KeptBlock* next;
  };
  static std::size_t size_class(std::size_t bytes) { return (bytes - 1) / kStepBytes; }
  static std::size_t block_bytes(std::size_t bytes) {
    return bytes <= kSmallBytes ? (size_class(bytes) + 1) * kStepBytes : bytes;
  }
  void* take_block(std::size_t bytes);
  void give_block(void* block, std::size_t bytes);
  void* resize_block(void* old, std::size_t old_bytes, std::size_t new_bytes);
  static void on_hook(lua_State* lua, lua_Debug*);
  void look(lua_State* lua);

  const std::size_t memory_limit_bytes_;
  void* const owner_;
  std::array<KeptBlock*, kSmallBytes / kStepBytes> kept_{};
  std::size_t kept_bytes_ = 0;
  std::size_t memory_used_bytes_ = 0;
  bool is_lifted_ = false;
  std::int64_t steps_left_ = kStepsPerLook;
  const char* stop_reason_ = nullptr;
  Watch watch_ = nullptr;
  void* context_ = nullptr;
};

/// Raises Lua's own error for that.
[[noreturn]] void raise_out_of_memory(lua_State* lua);

}  // namespace memento
