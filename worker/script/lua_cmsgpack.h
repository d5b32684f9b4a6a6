// The library `cmsgpack` of scripts: MessagePack, with the bytes, results and errors of Redis's.
//
//   cmsgpack.pack(values...)                      the bytes of all, one behind the other
//   cmsgpack.unpack(bytes)                        all values
//   cmsgpack.unpack_one(bytes, [offset])          the offset behind it, or -1 at the end, and one value
//   cmsgpack.unpack_limit(bytes, limit, [offset]) that offset, and up to `limit` values
//
// Strings are written as MessagePack's `str`; tables deeper than 16, and what it has no form for, as nil;
// numbers without a fraction as integers, others as floats where those lose nothing. Types `bin` and `ext`
// are refused.
#pragma once

#include "worker/script/lua.h"

namespace memento {

/// Pushes the library's table; for lua_pushcfunction(). REQUIRES: a state of ScriptLimits::open().
int open_lua_cmsgpack(lua_State* lua);

}  // namespace memento
