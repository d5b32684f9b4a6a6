// See reply_values.h.
#include "worker/script/reply_values.h"

#include <cassert>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

namespace memento {
namespace {

constexpr int kDepthLimit = 1000;  // of a script's value: tables in tables
constexpr int kStackPerLevel = 6;

std::string_view take_line(std::string_view* bytes) {
  const std::size_t end = bytes->find('\r');
  assert(end != std::string_view::npos);
  const std::string_view line = bytes->substr(0, end);
  bytes->remove_prefix(end + 2);
  return line;
}

std::int64_t integer_of(std::string_view digits) {
  std::int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::string_view take_blob(std::string_view* bytes, std::int64_t size) {
  const std::string_view blob = bytes->substr(0, static_cast<std::size_t>(size));
  bytes->remove_prefix(blob.size() + 2);
  return blob;
}

void push_text(lua_State* lua, std::string_view text) { lua_pushlstring(lua, text.data(), text.size()); }

// {name = text}
void push_field(lua_State* lua, const char* name, std::string_view text) {
  lua_createtable(lua, 0, 1);
  push_text(lua, text);
  lua_setfield(lua, -2, name);
}

void push_array(lua_State* lua, std::int64_t count, std::string_view* bytes) {
  if (count < 0) return lua_pushboolean(lua, 0);
  lua_createtable(lua, static_cast<int>(count), 0);
  for (std::int64_t i = 1; i <= count; ++i) {
    push_reply(lua, bytes);
    lua_rawseti(lua, -2, static_cast<int>(i));
  }
}

// {map = {key = value}} or {set = {member = true}}
void push_table(lua_State* lua, const char* name, std::int64_t count, bool has_values,
                std::string_view* bytes) {
  lua_createtable(lua, 0, 1);
  lua_createtable(lua, 0, static_cast<int>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    push_reply(lua, bytes);
    if (has_values) {
      push_reply(lua, bytes);
    } else {
      lua_pushboolean(lua, 1);
    }
    lua_rawset(lua, -3);
  }
  lua_setfield(lua, -2, name);
}

void push_verbatim(lua_State* lua, std::string_view blob) {
  lua_createtable(lua, 0, 1);
  lua_createtable(lua, 0, 2);
  push_text(lua, blob.substr(4));
  lua_setfield(lua, -2, "string");
  push_text(lua, blob.substr(0, 3));
  lua_setfield(lua, -2, "format");
  lua_setfield(lua, -2, "verbatim_string");
}

void push_double(lua_State* lua, std::string_view digits) {
  lua_createtable(lua, 0, 1);
  lua_pushnumber(lua, std::strtod(std::string(digits).c_str(), nullptr));
  lua_setfield(lua, -2, "double");
}

// One script's value on its way into a reply.
class Writer {
 public:
  Writer(lua_State* lua, const ReplyForm& form, ReplyWriter& reply)
      : lua_(lua), form_(form), reply_(reply), begin_(reply.mark().size) {}

  // The value on top of the stack, which stays there.
  bool write(int depth);

 private:
  bool write_table(int depth);
  bool write_array(int depth);
  bool write_map(int depth);
  bool write_set(int depth);
  bool write_verbatim();
  bool has_field(const char* name, int type);
  std::string_view text_on_top() const;
  std::size_t count_pairs() const;

  lua_State* const lua_;
  const ReplyForm& form_;
  ReplyWriter& reply_;
  const std::size_t begin_;
};

bool Writer::write(int depth) {
  if (reply_.since(begin_).size() > form_.limit_bytes) return false;
  switch (lua_type(lua_, -1)) {
    case LUA_TSTRING:
      reply_.bulk(text_on_top());
      return true;
    case LUA_TBOOLEAN:
      if (form_.is_resp3) {
        reply_.boolean(lua_toboolean(lua_, -1) != 0);
      } else if (lua_toboolean(lua_, -1) != 0) {
        reply_.integer(1);
      } else {
        reply_.nil();
      }
      return true;
    case LUA_TNUMBER: {
      // What no integer holds becomes what x86-64's conversion makes of it, as in Redis.
      const double number = lua_tonumber(lua_, -1);
      const bool fits = number >= -0x1p63 && number < 0x1p63;
      reply_.integer(fits ? static_cast<std::int64_t>(number) : INT64_MIN);
      return true;
    }
    case LUA_TTABLE:
      return depth < kDepthLimit && lua_checkstack(lua_, kStackPerLevel) != 0 && write_table(depth + 1);
    default:
      reply_.nil();
      return true;
  }
}

std::string_view Writer::text_on_top() const {
  std::size_t size = 0;
  const char* const bytes = lua_tolstring(lua_, -1, &size);
  return {bytes, size};
}

// True: the table on top of the stack has a field of that type, which is now on top of it.
bool Writer::has_field(const char* name, int type) {
  lua_pushstring(lua_, name);
  lua_rawget(lua_, -2);
  if (lua_type(lua_, -1) == type) return true;
  lua_pop(lua_, 1);
  return false;
}

bool Writer::write_table(int depth) {
  bool is_whole = true;
  if (has_field("err", LUA_TSTRING)) {
    reply_.error(text_on_top());
  } else if (has_field("ok", LUA_TSTRING)) {
    std::string line(text_on_top());
    for (char& c : line) {
      if (c == '\r' || c == '\n') c = ' ';
    }
    reply_.status(line);
  } else if (has_field("double", LUA_TNUMBER)) {
    reply_.number(lua_tonumber(lua_, -1));
  } else if (has_field("map", LUA_TTABLE)) {
    is_whole = write_map(depth);
  } else if (has_field("set", LUA_TTABLE)) {
    is_whole = write_set(depth);
  } else if (has_field("big_number", LUA_TSTRING)) {
    std::string digits(text_on_top());
    for (char& c : digits) {
      if (c == '\r' || c == '\n') c = ' ';
    }
    reply_.big_number(digits);
  } else if (has_field("verbatim_string", LUA_TTABLE)) {
    is_whole = write_verbatim();
  } else {
    return write_array(depth);
  }
  lua_pop(lua_, 1);
  return is_whole;
}

bool Writer::write_array(int depth) {
  int count = 0;
  for (;; ++count) {
    lua_rawgeti(lua_, -1, count + 1);
    const bool is_end = lua_isnil(lua_, -1);
    lua_pop(lua_, 1);
    if (is_end) break;
  }
  reply_.begin_array(static_cast<std::size_t>(count));
  for (int i = 1; i <= count; ++i) {
    lua_rawgeti(lua_, -1, i);
    const bool is_whole = write(depth);
    lua_pop(lua_, 1);
    if (!is_whole) return false;
  }
  reply_.end();
  return true;
}

std::size_t Writer::count_pairs() const {
  std::size_t count = 0;
  for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; lua_pop(lua_, 1)) ++count;
  return count;
}

bool Writer::write_map(int depth) {
  reply_.begin_map(count_pairs());
  for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; lua_pop(lua_, 1)) {
    lua_pushvalue(lua_, -2);
    bool is_whole = write(depth);
    lua_pop(lua_, 1);
    is_whole = is_whole && write(depth);
    if (is_whole) continue;
    lua_pop(lua_, 2);
    return false;
  }
  reply_.end();
  return true;
}

bool Writer::write_set(int depth) {
  reply_.begin_set(count_pairs());
  for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; lua_pop(lua_, 1)) {
    lua_pushvalue(lua_, -2);
    const bool is_whole = write(depth);
    lua_pop(lua_, 1);
    if (is_whole) continue;
    lua_pop(lua_, 2);
    return false;
  }
  reply_.end();
  return true;
}

// A verbatim string without its text or format is nil, as in Redis.
bool Writer::write_verbatim() {
  if (!has_field("format", LUA_TSTRING)) return reply_.nil(), true;
  std::string format(text_on_top().substr(0, 3));
  format.resize(3, ' ');
  lua_pop(lua_, 1);
  if (!has_field("string", LUA_TSTRING)) return reply_.nil(), true;
  reply_.verbatim(text_on_top(), format);
  lua_pop(lua_, 1);
  return true;
}

}  // namespace

void push_reply(lua_State* lua, std::string_view* bytes) {
  luaL_checkstack(lua, kStackPerLevel, "a reply is nested too deeply");
  const char type = bytes->front();
  bytes->remove_prefix(1);
  const std::string_view line = take_line(bytes);
  switch (type) {
    case '$': {
      const std::int64_t size = integer_of(line);
      if (size < 0) return lua_pushboolean(lua, 0);
      return push_text(lua, take_blob(bytes, size));
    }
    case ':':
      return lua_pushnumber(lua, static_cast<lua_Number>(integer_of(line)));
    case '+':
      return push_field(lua, "ok", line);
    case '-':  // with the same fields as in Redis: scripts give such tables to cjson and cmsgpack
      push_field(lua, "err", line);
      lua_pushboolean(lua, 1);
      return lua_setfield(lua, -2, "ignore_error_stats_update");
    case '*':
    case '>':
      return push_array(lua, integer_of(line), bytes);
    case '_':
      return lua_pushnil(lua);
    case '#':
      return lua_pushboolean(lua, line == "t" ? 1 : 0);
    case ',':
      return push_double(lua, line);
    case '(':
      return push_field(lua, "big_number", line);
    case '=':
      return push_verbatim(lua, take_blob(bytes, integer_of(line)));
    case '%':
      return push_table(lua, "map", integer_of(line), true, bytes);
    case '~':
      return push_table(lua, "set", integer_of(line), false, bytes);
    default:
      assert(false && "a type of reply that ReplyWriter does not write");
      return lua_pushnil(lua);
  }
}

bool write_reply(lua_State* lua, const ReplyForm& form, ReplyWriter& reply) {
  return Writer(lua, form, reply).write(0);
}

}  // namespace memento
