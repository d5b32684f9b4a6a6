// What stands in front of functions of Lua's and Debian's libraries that a script could use to take memory or
// time without a limit, or to write where it must not. Runs in workers.
#pragma once

#include "worker/script/lua.h"

namespace memento {

/// Goes on as Lua's own function, which is the upvalue: errors then name it and its caller.
int go_on_as_own(lua_State* lua);

/// Puts `function` before the one of that name in the table on top of the stack, which becomes its upvalue.
void wrap_function(lua_State* lua, const char* name, lua_CFunction function);

/// REQUIRES: the globals with cjson, bit and coroutine are on top of the stack.
void guard_libraries(lua_State* lua);

}  // namespace memento
