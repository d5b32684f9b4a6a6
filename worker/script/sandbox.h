// The sandbox: what of Lua a script sees. Runs in workers.
//
// A script's globals, and the tables of its libraries, are read-only, as in Redis. Lua 5.1 has no such
// tables: what a script is given is an empty table whose metatable leads to the real one, and every function
// that would write to a table, or look into it, past its metatable (rawset, rawget, next, table.insert, ...)
// is one of ours that knows. No script ever gets hold of a real one.
//
// Left out: all of io, os, package and debug; print, dofile, loadfile, require, newproxy (its finalizers run
// where no hook stops them), getfenv, setfenv. load and loadstring take text only: bytecode can be made to
// crash Lua. xpcall calls its handler when the error has unwound the stack, since in Lua's own no hook is
// called, and a handler that loops would never end. collectgarbage cannot stop the collector.
#pragma once

#include <cstddef>

#include "worker/script/lua.h"

namespace memento {

/// Longer chunks are refused: while Lua compiles nothing stops it.
inline constexpr std::size_t kChunkLimitBytes = 1 << 20;

/// So are those with more words that make the parser link jumps (and, or, elseif, break): it walks the whole
/// chain for each.
inline constexpr std::size_t kJumpWordLimit = 5000;

/// Opens the libraries into a fresh state, whose globals are then what scripts see. May raise.
/// `add_libraries` is called in the middle: the table on top of the stack is the real table of globals, into
/// which it puts more functions and libraries.
void set_up_sandbox(lua_State* lua, void (*add_libraries)(lua_State*));

/// Pushes the real table of globals.
void push_real_globals(lua_State* lua);
/// Pushes the table of globals as scripts see it.
void push_globals(lua_State* lua);

/// Compiles text of that name into a function with the script's globals, or leaves an error's text; as
/// lua_load().
int load_text(lua_State* lua, const char* text, std::size_t size_bytes, const char* name);

/// Puts a read-only view of the table on top of the stack in its place.
void protect(lua_State* lua);
/// Makes the view, which is second on the stack, lead to the table on top, which it takes off.
void redirect_view(lua_State* lua);
/// Makes what the table on top of the stack has not an error, as that of globals.
void refuse_missing_names(lua_State* lua);

}  // namespace memento
