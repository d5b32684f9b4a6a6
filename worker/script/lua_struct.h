// The library `struct` of scripts: numbers and strings as C lays them out, with the results and errors of
// Redis's.
//
//   struct.pack(format, values...)          the bytes
//   struct.unpack(format, bytes, [position]) the values, and the position behind them
//   struct.size(format)                     how many bytes a format of fixed size takes
//
// A format is a row of: `b` `h` `i` `l` (1, 2, 4, 8 bytes with a sign; capitals without one, `T` like `L`),
// `iN` `IN` (N bytes, up to 32), `f` `d`, `s` (a string and a zero byte), `cN` (N characters; `c0`: the whole
// string, or as many as the number before says), `x` (a zero byte); `<` `>` set the byte order, `!N` aligns
// to N bytes at most; spaces count nothing.
#pragma once

#include "worker/script/lua.h"

namespace memento {

/// Pushes the library's table; for lua_pushcfunction(). REQUIRES: a state of ScriptLimits::open().
int open_lua_struct(lua_State* lua);

}  // namespace memento
