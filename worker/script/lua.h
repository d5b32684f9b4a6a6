// Lua 5.1 as scripts use it: the library that is compiled as C++, so that an error of Lua's is an exception
// and unwinds the frames it leaves. Nothing may hold it back, and no exception of ours may reach Lua: a C
// function that allocates catches std::bad_alloc (raise_out_of_memory()). Runs in workers.
#pragma once

#include <lua5.1/lua.hpp>
