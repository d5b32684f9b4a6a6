// The functions of Lua's `string` that may work for long or take much memory: find, match, gmatch, gsub, rep.
// They give what Lua 5.1's own give, under the script's limits: a pattern that tries for ever is stopped, as
// no hook of Lua's could.
#pragma once

#include "worker/script/lua.h"

namespace memento {

/// Puts them in the place of Lua's own. REQUIRES: the library's table is on top of the stack, in a state of
/// ScriptLimits::open().
void replace_string_functions(lua_State* lua);

}  // namespace memento
