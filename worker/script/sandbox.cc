// See sandbox.h.
#include "worker/script/sandbox.h"

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "worker/script/library_guards.h"
#include "worker/script/lua_cmsgpack.h"
#include "worker/script/lua_patterns.h"
#include "worker/script/lua_struct.h"
#include "worker/script/lua_tables.h"
#include "worker/script/script_limits.h"

// Debian's headers of these two declare them for the Lua that is compiled as C.
extern "C" {
int luaopen_bit(lua_State* lua);
int luaopen_cjson(lua_State* lua);
}

namespace memento {
namespace {

constexpr const char* kReadonly = "Attempt to modify a readonly table";
// Fields of the registry, and of a view's metatable, by their addresses.
char real_globals_key, globals_key, view_key;

// What of the base library is there, and stays as it is.
constexpr const char* kBaseFunctions[] = {"assert",   "error",    "gcinfo",   "ipairs", "rawequal", "select",
                                          "_VERSION", "tonumber", "tostring", "type",   "unpack"};
constexpr const char* kLibraries[] = {"string", "table", "math",   "coroutine",
                                      "bit",    "cjson", "struct", "cmsgpack"};

void push_registered(lua_State* lua, char* key) {
  lua_pushlightuserdata(lua, key);
  lua_rawget(lua, LUA_REGISTRYINDEX);
}

void set_registered(lua_State* lua, char* key) {
  lua_pushlightuserdata(lua, key);
  lua_insert(lua, -2);
  lua_rawset(lua, LUA_REGISTRYINDEX);
}

// True: the value is a view, and the real table is pushed.
bool push_real(lua_State* lua, int index) {
  if (lua_type(lua, index) != LUA_TTABLE || lua_getmetatable(lua, index) == 0) return false;
  lua_pushlightuserdata(lua, &view_key);
  lua_rawget(lua, -2);
  lua_remove(lua, -2);
  if (lua_istable(lua, -1)) return true;
  lua_pop(lua, 1);
  return false;
}

void refuse_view(lua_State* lua, int index) {
  if (!push_real(lua, index)) return;
  lua_pushstring(lua, kReadonly);
  lua_error(lua);
}

// Puts the real table where its view is among the arguments.
void look_behind_view(lua_State* lua, int index) {
  if (push_real(lua, index)) lua_replace(lua, index);
}

int refuse_write(lua_State* lua) { return luaL_error(lua, "%s", kReadonly); }

int miss_global(lua_State* lua) {
  const char* const name = lua_isstring(lua, 2) != 0 ? lua_tostring(lua, 2) : luaL_typename(lua, 2);
  return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'", name);
}

// rawset, setmetatable, table.insert, table.remove, table.sort: change their first argument.
int change_table(lua_State* lua) {
  refuse_view(lua, 1);
  return go_on_as_own(lua);
}

// rawget, table.foreach: look into their first argument.
int look_into_table(lua_State* lua) {
  look_behind_view(lua, 1);
  return go_on_as_own(lua);
}

int next_pair(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_settop(lua, 2);
  look_behind_view(lua, 1);
  if (lua_next(lua, 1) != 0) return 2;
  lua_pushnil(lua);
  return 1;
}

// The upvalue is next.
int pairs(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_pushvalue(lua, lua_upvalueindex(1));
  lua_pushvalue(lua, 1);
  lua_pushnil(lua);
  return 3;
}

// A view has none that a script could see.
int get_metatable(lua_State* lua) {
  luaL_checkany(lua, 1);
  if (push_real(lua, 1) || lua_getmetatable(lua, 1) == 0) return lua_pushnil(lua), 1;
  luaL_getmetafield(lua, 1, "__metatable");
  return 1;
}

// An error that is a table with a text is caught as that text, as in Redis.
int finish_protected_call(lua_State* lua, int status) {
  if (status != 0 && lua_istable(lua, -1)) {
    lua_getfield(lua, -1, "err");
    if (lua_isstring(lua, -1) != 0) {
      lua_replace(lua, -2);
    } else {
      lua_pop(lua, 1);
    }
  }
  lua_pushboolean(lua, status == 0 ? 1 : 0);
  lua_replace(lua, 1);
  return lua_gettop(lua);
}

int protected_call(lua_State* lua) {
  luaL_checkany(lua, 1);
  lua_pushnil(lua);  // becomes the first result
  lua_insert(lua, 1);
  return finish_protected_call(lua, lua_pcall(lua, lua_gettop(lua) - 2, LUA_MULTRET, 0));
}

int protected_call_with_handler(lua_State* lua) {
  luaL_checkany(lua, 2);
  lua_settop(lua, 2);
  lua_pushnil(lua);
  lua_insert(lua, 1);
  lua_insert(lua, 2);  // nil, handler, function
  const int status = lua_pcall(lua, 0, LUA_MULTRET, 0);
  if (status == 0) {
    lua_remove(lua, 2);
    return finish_protected_call(lua, 0);
  }
  if (lua_pcall(lua, 1, 1, 0) != 0) {
    lua_pop(lua, 1);
    lua_pushliteral(lua, "error in error handling");
  }
  lua_pushboolean(lua, 0);
  lua_replace(lua, 1);
  return 2;
}

// What a script may ask of the collector; the rest has no effect.
int collect_garbage(lua_State* lua) {
  static constexpr const char* kOptions[] = {"collect",  "count",      "stop", "restart",
                                             "setpause", "setstepmul", "step", nullptr};
  const int option = luaL_checkoption(lua, 1, "collect", kOptions);
  if (option == 1) {
    const double kilobytes = lua_gc(lua, LUA_GCCOUNT, 0) + lua_gc(lua, LUA_GCCOUNTB, 0) / 1024.0;
    return lua_pushnumber(lua, kilobytes), 1;
  }
  if (option == 0) {
    const ScriptLimits& limits = ScriptLimits::of(lua);
    ScriptLimits::of(lua).spend(lua, static_cast<std::int64_t>(limits.memory_used_bytes() / 16));
    lua_gc(lua, LUA_GCCOLLECT, 0);
  } else if (option == 6) {
    ScriptLimits::of(lua).spend(lua, 1000);
    return lua_pushboolean(lua, lua_gc(lua, LUA_GCSTEP, 0)), 1;
  }
  return lua_pushinteger(lua, 0), 1;
}

// The words of text, strings and comments included.
std::size_t count_jump_words(std::string_view text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  std::size_t count = 0;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    std::size_t end = begin;
    while (end < text.size() && is_letter(text[end])) ++end;
    const std::string_view word = text.substr(begin, end - begin);
    if (word == "and" || word == "or" || word == "elseif" || word == "break") ++count;
    begin = end;
  }
  return count;
}

// nil and the error's text, or the function.
int finish_load(lua_State* lua, const char* text, std::size_t size_bytes, const char* name) {
  ScriptLimits::of(lua).spend(lua, static_cast<std::int64_t>(size_bytes));
  if (load_text(lua, text, size_bytes, name) == 0) return 1;
  lua_pushnil(lua);
  lua_insert(lua, -2);
  return 2;
}

int load_string(lua_State* lua) {
  std::size_t size_bytes = 0;
  const char* const text = luaL_checklstring(lua, 1, &size_bytes);
  return finish_load(lua, text, size_bytes, luaL_optstring(lua, 2, text));
}

// The pieces that a function gives, up to nil or an empty one.
int load_pieces(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TFUNCTION);
  const char* const name = luaL_optstring(lua, 2, "=(load)");
  lua_settop(lua, 2);
  lua_pushliteral(lua, "");
  for (;;) {
    lua_pushvalue(lua, 1);
    lua_call(lua, 0, 1);
    if (lua_isnil(lua, -1)) break;
    std::size_t size_bytes = 0;
    if (lua_tolstring(lua, -1, &size_bytes) == nullptr)
      return luaL_error(lua, "reader function must return a string");
    if (size_bytes == 0) break;
    lua_concat(lua, 2);
    lua_tolstring(lua, -1, &size_bytes);
    ScriptLimits::of(lua).spend(lua, static_cast<std::int64_t>(size_bytes / 16));
    if (size_bytes > kChunkLimitBytes) break;
    lua_pushnil(lua);
    lua_pop(lua, 1);
  }
  lua_settop(lua, 3);
  std::size_t size_bytes = 0;
  const char* const text = lua_tolstring(lua, 3, &size_bytes);
  return finish_load(lua, text, size_bytes, name);
}

// REQUIRES: the real globals are on top of the stack.
void set_function(lua_State* lua, const char* name, lua_CFunction function) {
  lua_pushcfunction(lua, function);
  lua_setfield(lua, -2, name);
}

void open_library(lua_State* lua, const char* name, lua_CFunction open) {
  lua_pushcfunction(lua, open);
  lua_pushstring(lua, name);
  lua_call(lua, 1, 0);
}

// One that gives its table, and sets no global.
void open_table(lua_State* lua, const char* name, lua_CFunction open) {
  lua_pushcfunction(lua, open);
  lua_call(lua, 0, 1);
  lua_setglobal(lua, name);
}

// From Lua's own globals, which are second on the stack, to those on top.
void take_over(lua_State* lua, const char* name) {
  lua_getfield(lua, -2, name);
  lua_setfield(lua, -2, name);
}

void set_base_functions(lua_State* lua) {
  for (const char* const name : kBaseFunctions) take_over(lua, name);
  for (const char* const name : {"rawset", "setmetatable"}) {
    take_over(lua, name);
    wrap_function(lua, name, change_table);
  }
  take_over(lua, "rawget");
  wrap_function(lua, "rawget", look_into_table);
  set_function(lua, "next", next_pair);
  lua_pushcfunction(lua, next_pair);
  lua_pushcclosure(lua, pairs, 1);
  lua_setfield(lua, -2, "pairs");
  set_function(lua, "getmetatable", get_metatable);
  set_function(lua, "pcall", protected_call);
  set_function(lua, "xpcall", protected_call_with_handler);
  set_function(lua, "collectgarbage", collect_garbage);
  set_function(lua, "loadstring", load_string);
  set_function(lua, "load", load_pieces);
}

// What changes a table or looks into it.
void wrap_table_library(lua_State* lua) {
  lua_getfield(lua, -1, "table");
  for (const char* const name : {"insert", "remove", "sort"}) wrap_function(lua, name, change_table);
  for (const char* const name : {"foreach", "foreachi"}) wrap_function(lua, name, look_into_table);
  lua_pop(lua, 1);
}

// Each library becomes a view of itself; so does the metatable that all strings share.
void protect_libraries(lua_State* lua) {
  lua_pushnil(lua);
  while (lua_next(lua, -2) != 0) {
    if (!lua_istable(lua, -1)) {
      lua_pop(lua, 1);
      continue;
    }
    protect(lua);
    lua_pushvalue(lua, -2);
    lua_insert(lua, -2);
    lua_rawset(lua, -4);  // gives a field that is there another value, which a walk allows
  }
  lua_pushliteral(lua, "");
  lua_createtable(lua, 0, 2);
  lua_getfield(lua, -3, "string");
  lua_setfield(lua, -2, "__index");
  lua_pushvalue(lua, -1);
  protect(lua);
  lua_setfield(lua, -2, "__metatable");  // what getmetatable("") gives
  lua_setmetatable(lua, -2);
  lua_pop(lua, 1);
}

}  // namespace

void protect(lua_State* lua) {
  lua_newtable(lua);
  lua_createtable(lua, 0, 3);
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, refuse_write);
  lua_setfield(lua, -2, "__newindex");
  lua_pushlightuserdata(lua, &view_key);
  lua_pushvalue(lua, -4);
  lua_rawset(lua, -3);
  lua_setmetatable(lua, -2);
  lua_replace(lua, -2);
}

void redirect_view(lua_State* lua) {
  lua_getmetatable(lua, -2);
  lua_pushvalue(lua, -2);
  lua_setfield(lua, -2, "__index");
  lua_pushlightuserdata(lua, &view_key);
  lua_pushvalue(lua, -3);
  lua_rawset(lua, -3);
  lua_pop(lua, 2);
}

void refuse_missing_names(lua_State* lua) {
  lua_createtable(lua, 0, 1);
  lua_pushcfunction(lua, miss_global);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
}

void push_real_globals(lua_State* lua) { push_registered(lua, &real_globals_key); }
void push_globals(lua_State* lua) { push_registered(lua, &globals_key); }

void set_up_sandbox(lua_State* lua, void (*add_libraries)(lua_State*)) {
  open_library(lua, "", luaopen_base);
  open_library(lua, LUA_TABLIBNAME, luaopen_table);
  open_library(lua, LUA_STRLIBNAME, luaopen_string);
  lua_getglobal(lua, LUA_TABLIBNAME);
  replace_table_functions(lua);
  lua_getglobal(lua, LUA_STRLIBNAME);
  replace_string_functions(lua);
  lua_pop(lua, 2);
  lua_register(lua, "unpack", unpack_table);
  open_library(lua, LUA_MATHLIBNAME, luaopen_math);
  open_library(lua, "bit", luaopen_bit);
  open_table(lua, "cjson", luaopen_cjson);
  open_table(lua, "struct", open_lua_struct);
  open_table(lua, "cmsgpack", open_lua_cmsgpack);
  lua_pushvalue(lua, LUA_GLOBALSINDEX);
  lua_newtable(lua);
  lua_pushvalue(lua, -1);
  set_registered(lua, &real_globals_key);
  set_base_functions(lua);
  for (const char* const name : kLibraries) take_over(lua, name);
  wrap_table_library(lua);
  guard_libraries(lua);
  add_libraries(lua);
  protect_libraries(lua);
  refuse_missing_names(lua);
  lua_pushvalue(lua, -1);
  protect(lua);
  lua_pushvalue(lua, -1);
  lua_setfield(lua, -3, "_G");
  lua_pushvalue(lua, -1);
  set_registered(lua, &globals_key);
  lua_replace(lua, LUA_GLOBALSINDEX);
  lua_pop(lua, 2);
}

int load_text(lua_State* lua, const char* text, std::size_t size_bytes, const char* name) {
  if (size_bytes > kChunkLimitBytes) {
    lua_pushfstring(lua, "a script is longer than the limit of %d bytes", static_cast<int>(kChunkLimitBytes));
    return LUA_ERRSYNTAX;
  }
  if (size_bytes > 0 && text[0] == LUA_SIGNATURE[0]) {
    lua_pushliteral(lua, "a script is text, not bytecode");
    return LUA_ERRSYNTAX;
  }
  if (count_jump_words({text, size_bytes}) > kJumpWordLimit) {
    lua_pushfstring(lua, "a script has more than %d conditions", static_cast<int>(kJumpWordLimit));
    return LUA_ERRSYNTAX;
  }
  // The parser holds the name as a string that nothing keeps from being collected while it compiles; this
  // reference does (CVE-2025-49844).
  lua_pushstring(lua, name);
  const int status = luaL_loadbuffer(lua, text, size_bytes, lua_tostring(lua, -1));
  lua_remove(lua, -2);
  if (status != 0) return status;
  push_globals(lua);
  lua_setfenv(lua, -2);
  return 0;
}

}  // namespace memento
