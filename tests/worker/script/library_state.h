// The libraries of scripts that are ours, in an interpreter of Lua's without a server. What a test of them
// starts from, and a fuzzer.
#pragma once

#include <cstddef>
#include <string>

#include "worker/script/lua_cmsgpack.h"
#include "worker/script/lua_patterns.h"
#include "worker/script/lua_struct.h"
#include "worker/script/lua_tables.h"
#include "worker/script/script_limits.h"

namespace memento::testing {

class LibraryState {
 public:
  explicit LibraryState(std::size_t memory_limit_bytes) : limits_(memory_limit_bytes), lua_(limits_.open()) {
    luaL_openlibs(lua_);
    add("struct", open_lua_struct);
    add("cmsgpack", open_lua_cmsgpack);
  }
  ~LibraryState() { lua_close(lua_); }
  LibraryState(const LibraryState&) = delete;
  LibraryState& operator=(const LibraryState&) = delete;

  /// Our functions in the place of Lua's.
  void replace_functions() {
    lua_getglobal(lua_, "string");
    replace_string_functions(lua_);
    lua_getglobal(lua_, "table");
    replace_table_functions(lua_);
    lua_register(lua_, "unpack", unpack_table);
    lua_settop(lua_, 0);
  }

  /// What the chunk returns, or its error; `no_string`: that is none.
  std::string run(const std::string& text, const char* no_string = "") {
    if (luaL_loadbuffer(lua_, text.data(), text.size(), "@user_script") == 0) (void)lua_pcall(lua_, 0, 1, 0);
    std::size_t size = 0;
    const char* const result = lua_tolstring(lua_, -1, &size);
    std::string copy = result == nullptr ? no_string : std::string(result, size);
    lua_settop(lua_, 0);
    lua_gc(lua_, LUA_GCCOLLECT, 0);  // Lua 5.1 does not when memory runs out
    return copy;
  }

  lua_State* lua() { return lua_; }
  ScriptLimits& limits() { return limits_; }

 private:
  void add(const char* name, lua_CFunction open) {
    lua_pushcfunction(lua_, open);
    lua_call(lua_, 0, 1);
    lua_setglobal(lua_, name);
  }

  ScriptLimits limits_;
  lua_State* lua_;
};

}  // namespace memento::testing
