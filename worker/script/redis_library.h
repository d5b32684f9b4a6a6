// The table `redis`, also called `server`, and math.random, which every script has: calling commands, making
// replies, the log. Behaviour and error texts are Redis's. Runs in workers.
#pragma once

#include "worker/script/lua.h"

namespace memento {

/// Puts them into the table on top of the stack, the real globals (sandbox.h). The functions find their
/// interpreter by Interpreter::of().
void add_redis_library(lua_State* lua);

}  // namespace memento
