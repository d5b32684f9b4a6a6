// See library_guards.h.
#include "worker/script/library_guards.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "worker/script/script_limits.h"

namespace memento {
namespace {

// What cjson.encode would write of the value on top of the stack is counted before: it asks nobody whether it
// may go on, and ends the process where there is no memory. A table that stands at several places counts each
// time.
void count_encoded(lua_State* lua, int depth, std::int64_t* bytes_left) {
  constexpr int kDepthLimit = 1000;  // cjson's own
  ScriptLimits::of(lua).spend(lua, 10);
  *bytes_left -=
      lua_type(lua, -1) == LUA_TSTRING ? 6 * static_cast<std::int64_t>(lua_objlen(lua, -1)) + 32 : 32;
  if (*bytes_left < 0) raise_out_of_memory(lua);
  if (!lua_istable(lua, -1)) return;
  if (depth > kDepthLimit) luaL_error(lua, "Cannot serialise, excessive depth (%d)", depth);
  luaL_checkstack(lua, 4, nullptr);
  double last = 0;
  for (lua_pushnil(lua); lua_next(lua, -2) != 0; lua_pop(lua, 1)) {
    count_encoded(lua, depth + 1, bytes_left);
    if (lua_type(lua, -2) == LUA_TNUMBER) {
      last = std::max(last, lua_tonumber(lua, -2));
    } else if (lua_type(lua, -2) == LUA_TSTRING) {
      *bytes_left -= 6 * static_cast<std::int64_t>(lua_objlen(lua, -2));
    }
  }
  // The places between an array's elements are written too, when cjson was told so.
  if (5 * last > static_cast<double>(*bytes_left)) raise_out_of_memory(lua);
  *bytes_left -= static_cast<std::int64_t>(5 * last);
}

int encode_json(lua_State* lua) {
  const ScriptLimits& limits = ScriptLimits::of(lua);
  auto bytes_left = static_cast<std::int64_t>(limits.memory_limit_bytes());
  if (lua_gettop(lua) == 1) count_encoded(lua, 1, &bytes_left);
  return lua_tocfunction(lua, lua_upvalueindex(2))(lua);
}

// The memory limit is not in force while this lives.
class LiftedLimit {
 public:
  explicit LiftedLimit(ScriptLimits& limits) : limits_(limits) { limits_.lift(true); }
  ~LiftedLimit() { limits_.lift(false); }
  LiftedLimit(const LiftedLimit&) = delete;
  LiftedLimit& operator=(const LiftedLimit&) = delete;

 private:
  ScriptLimits& limits_;
};

// cjson.decode keeps a buffer that an error of Lua's memory would leave behind. So it is asked only when
// there is room for all that the text can become, and then meets no limit.
int decode_json(lua_State* lua) {
  constexpr std::uint64_t kValueBytes = 128;  // of a table, or its places when it grows
  ScriptLimits& limits = ScriptLimits::of(lua);
  std::size_t size = 0;
  const char* const text = lua_gettop(lua) == 1 ? lua_tolstring(lua, 1, &size) : nullptr;
  if (text != nullptr) {
    limits.spend(lua, static_cast<std::int64_t>(size / 4));
    const auto values = static_cast<std::uint64_t>(std::count_if(
        text, text + size, [](char c) { return c == ',' || c == '[' || c == '{' || c == ':'; }));
    const std::uint64_t needed = 2 * size + values * kValueBytes;
    if (limits.memory_used_bytes() + needed > limits.memory_limit_bytes()) lua_gc(lua, LUA_GCCOLLECT, 0);
    if (limits.memory_used_bytes() + needed > limits.memory_limit_bytes()) raise_out_of_memory(lua);
  }
  const LiftedLimit lifted(limits);
  return lua_tocfunction(lua, lua_upvalueindex(2))(lua);
}

// The buffer is kept, or not, as the server needs it.
int keep_buffer(lua_State* lua) { return lua_pushboolean(lua, 1), 1; }

// cjson's functions have their settings as upvalue, which stays the first.
void wrap_json_function(lua_State* lua, const char* name, lua_CFunction function) {
  lua_getfield(lua, -1, name);
  lua_getupvalue(lua, -1, 1);
  lua_insert(lua, -2);
  lua_pushcclosure(lua, function, 2);
  lua_setfield(lua, -2, name);
}

// Another instance of cjson would have functions that nothing stands in front of.
void wrap_json(lua_State* lua) {
  lua_getfield(lua, -1, "cjson");
  wrap_json_function(lua, "encode", encode_json);
  wrap_json_function(lua, "decode", decode_json);
  lua_pushcfunction(lua, keep_buffer);
  lua_setfield(lua, -2, "encode_keep_buffer");
  lua_pushnil(lua);
  lua_setfield(lua, -2, "new");
  lua_pop(lua, 1);
}

// bit.tohex writes as many digits as the negative of its second argument, which the least number has none of
// (CVE-2024-31449).
int to_hex(lua_State* lua) {
  if (!lua_isnone(lua, 2)) {
    const double digits = luaL_checknumber(lua, 2);
    const auto low = std::isfinite(digits)
                         ? static_cast<std::int32_t>(static_cast<std::int64_t>(std::fmod(digits, 0x1p32)))
                         : 0;
    lua_pushinteger(lua, std::clamp(low, -8, 8));
    lua_replace(lua, 2);
  }
  return go_on_as_own(lua);
}

// A coroutine counts its instructions from its own beginning: many short ones would never be looked at.
int make_coroutine(lua_State* lua) {
  ScriptLimits::of(lua).spend(lua, ScriptLimits::kStepsPerLook / 10);
  return go_on_as_own(lua);
}

void wrap_bits_and_coroutines(lua_State* lua) {
  lua_getfield(lua, -1, "bit");
  wrap_function(lua, "tohex", to_hex);
  lua_pop(lua, 1);
  lua_getfield(lua, -1, "coroutine");
  for (const char* const name : {"create", "wrap"}) wrap_function(lua, name, make_coroutine);
  lua_pop(lua, 1);
}

}  // namespace

int go_on_as_own(lua_State* lua) { return lua_tocfunction(lua, lua_upvalueindex(1))(lua); }

void wrap_function(lua_State* lua, const char* name, lua_CFunction function) {
  lua_getfield(lua, -1, name);
  lua_pushcclosure(lua, function, 1);
  lua_setfield(lua, -2, name);
}

void guard_libraries(lua_State* lua) {
  wrap_json(lua);
  wrap_bits_and_coroutines(lua);
}

}  // namespace memento
