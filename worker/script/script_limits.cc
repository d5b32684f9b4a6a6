// See script_limits.h.
#include "worker/script/script_limits.h"

#include <cassert>
#include <cstdlib>

namespace memento {

lua_State* ScriptLimits::open() { return lua_newstate(&ScriptLimits::allocate, this); }

ScriptLimits& ScriptLimits::of(lua_State* lua) {
  void* self = nullptr;
  [[maybe_unused]] const lua_Alloc allocator = lua_getallocf(lua, &self);
  assert(allocator == &ScriptLimits::allocate);
  return *static_cast<ScriptLimits*>(self);
}

void* ScriptLimits::allocate(void* self, void* old, std::size_t old_bytes, std::size_t new_bytes) {
  ScriptLimits& limits = *static_cast<ScriptLimits*>(self);
  assert(limits.memory_used_bytes_ >= old_bytes);
  if (new_bytes == 0) {
    std::free(old);
    limits.memory_used_bytes_ -= old_bytes;
    return nullptr;
  }
  const std::size_t others_bytes = limits.memory_used_bytes_ - old_bytes;
  // What shrinks is never refused: Lua does not expect it.
  if (new_bytes > old_bytes && !limits.is_lifted_ && others_bytes + new_bytes > limits.memory_limit_bytes_)
    return nullptr;
  void* const bytes = std::realloc(old, new_bytes);
  if (bytes == nullptr) return new_bytes <= old_bytes ? old : nullptr;
  limits.memory_used_bytes_ = others_bytes + new_bytes;
  return bytes;
}

void ScriptLimits::begin(lua_State* lua, Watch watch, void* context) {
  watch_ = watch;
  context_ = context;
  stop_reason_ = nullptr;
  steps_left_ = kStepsPerLook;
  lua_sethook(lua, &ScriptLimits::on_hook, LUA_MASKCOUNT, kInstructionsPerLook);
}

void ScriptLimits::end(lua_State* lua) {
  watch_ = nullptr;
  lua_sethook(lua, nullptr, 0, 0);
}

void ScriptLimits::on_hook(lua_State* lua, lua_Debug*) { of(lua).look(lua); }

void ScriptLimits::look(lua_State* lua) {
  steps_left_ = kStepsPerLook;
  if (stop_reason_ == nullptr && watch_ != nullptr) stop_reason_ = watch_(context_);
  if (stop_reason_ == nullptr) return;
  // Each coroutine has a hook of its own; those that go on come here within their own next look.
  lua_sethook(lua, &ScriptLimits::on_hook, LUA_MASKCOUNT, 1);
  steps_left_ = 0;
  lua_pushstring(lua, stop_reason_);
  lua_error(lua);
}

// Lua has no call for it. Its own allocations fail with this text too.
void raise_out_of_memory(lua_State* lua) {
  lua_pushliteral(lua, "not enough memory");
  lua_error(lua);
  std::abort();
}

}  // namespace memento
