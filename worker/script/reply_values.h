// Replies as Lua's values and back, by Redis's rules. Runs in workers.
//
// A reply in RESP2 or RESP3 becomes: an integer a number, a bulk string a string, nil false (RESP2) or nil
// (RESP3), a status {ok = text}, an error {err = text}, an array a table; of RESP3 a map {map = table}, a set
// {set = table}, a double {double = number}, a boolean itself, {big_number = digits}, {verbatim_string =
// {string = text, format = "txt"}}.
//
// A script's value becomes a reply the same way round: a number the integer in front of its fraction, true 1,
// false and nil nil; a table with a field `err`, `ok`, `double`, `map`, `set`, `big_number` or
// `verbatim_string` that type, any other an array up to its first nil.
#pragma once

#include <string_view>

#include "worker/script/lua.h"
#include "worker/wire/reply_writer.h"

namespace memento {

/// Pushes the reply at the front of `*bytes`, which moves behind it. REQUIRES: a whole reply, as ReplyWriter
/// writes them.
void push_reply(lua_State* lua, std::string_view* bytes);

/// What write_reply() has to look out for.
struct ReplyForm {
  bool is_resp3 = false;        ///< the script has said redis.setresp(3): booleans stay booleans
  std::size_t limit_bytes = 0;  ///< of the reply
};

/// Writes the value on top of the stack, and leaves it there. False: it is nested too deeply or longer than
/// the limit, and what was written is to be rolled back. Raises nothing but Lua's own errors of memory.
bool write_reply(lua_State* lua, const ReplyForm& form, ReplyWriter& reply);

}  // namespace memento
