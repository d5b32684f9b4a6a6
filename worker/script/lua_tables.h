// The functions of Lua's `table`, and unpack, that work through a whole table in one call. They give what
// Lua 5.1's own give, under the script's limits.
#pragma once

#include "worker/script/lua.h"

namespace memento {

/// Puts concat, insert, remove, sort, maxn, foreach and foreachi in the place of Lua's own. REQUIRES: the
/// library's table is on top of the stack, in a state of ScriptLimits::open().
void replace_table_functions(lua_State* lua);

/// unpack(table, [first], [last]). Lua 5.1's own trusts a sum that may overflow (CVE-2025-46817).
int unpack_table(lua_State* lua);

}  // namespace memento
