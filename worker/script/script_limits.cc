// See script_limits.h.
#include "worker/script/script_limits.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace memento {

lua_State* ScriptLimits::open() { return lua_newstate(&ScriptLimits::allocate, this); }

ScriptLimits& ScriptLimits::of(lua_State* lua) {
  void* self = nullptr;
  [[maybe_unused]] const lua_Alloc allocator = lua_getallocf(lua, &self);
  assert(allocator == &ScriptLimits::allocate);
  return *static_cast<ScriptLimits*>(self);
}

// AddressSanitizer sees what is used after it was freed only when it is freed.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeepsBlocks = false;
#else
constexpr bool kKeepsBlocks = true;
#endif

ScriptLimits::~ScriptLimits() {
  for (KeptBlock* block : kept_) {
    while (block != nullptr) std::free(std::exchange(block, block->next));
  }
}

void* ScriptLimits::take_block(std::size_t bytes) {
  if (bytes > kSmallBytes) return std::malloc(bytes);
  KeptBlock*& kept = kept_[size_class(bytes)];
  if (kept == nullptr) return std::malloc(block_bytes(bytes));
  kept_bytes_ -= block_bytes(bytes);
  return std::exchange(kept, kept->next);
}

void ScriptLimits::give_block(void* block, std::size_t bytes) {
  if (!kKeepsBlocks || bytes > kSmallBytes || kept_bytes_ >= kKeptBytes) return std::free(block);
  KeptBlock*& kept = kept_[size_class(bytes)];
  kept = new (block) KeptBlock{kept};
  kept_bytes_ += block_bytes(bytes);
}

void* ScriptLimits::resize_block(void* old, std::size_t old_bytes, std::size_t new_bytes) {
  if (block_bytes(old_bytes) == block_bytes(new_bytes)) return old;
  if (old_bytes > kSmallBytes) return std::realloc(old, block_bytes(new_bytes));
  void* const block = take_block(new_bytes);
  if (block == nullptr) return nullptr;
  std::memcpy(block, old, std::min(old_bytes, new_bytes));
  give_block(old, old_bytes);
  return block;
}

// A block is never smaller than what its size is rounded up to; one that could not be made smaller is larger.
void* ScriptLimits::allocate(void* self, void* old, std::size_t old_bytes, std::size_t new_bytes) {
  ScriptLimits& limits = *static_cast<ScriptLimits*>(self);
  assert(limits.memory_used_bytes_ >= old_bytes);
  if (new_bytes == 0) {
    if (old != nullptr) limits.give_block(old, old_bytes);
    limits.memory_used_bytes_ -= old_bytes;
    return nullptr;
  }
  const std::size_t others_bytes = limits.memory_used_bytes_ - old_bytes;
  // What shrinks is never refused: Lua does not expect it.
  if (new_bytes > old_bytes && !limits.is_lifted_ && others_bytes + new_bytes > limits.memory_limit_bytes_)
    return nullptr;
  void* const bytes =
      old == nullptr ? limits.take_block(new_bytes) : limits.resize_block(old, old_bytes, new_bytes);
  if (bytes == nullptr && new_bytes > old_bytes) return nullptr;
  limits.memory_used_bytes_ = others_bytes + new_bytes;
  return bytes == nullptr ? old : bytes;
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
