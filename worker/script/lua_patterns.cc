// See lua_patterns.h.
#include "worker/script/lua_patterns.h"

#include <cctype>
#include <cstring>
#include <string_view>

#include "worker/script/lua_bytes.h"
#include "worker/script/pattern_match.h"
#include "worker/script/script_limits.h"

namespace memento {
namespace {

constexpr const char* kSpecialBytes = "^$*+?.([%-";

std::string_view check_text(lua_State* lua, int argument) {
  std::size_t size = 0;
  const char* const text = luaL_checklstring(lua, argument, &size);
  return {text, size};
}

void spend_bytes(lua_State* lua, std::size_t byte_count) {
  ScriptLimits::of(lua).spend(lua, static_cast<std::int64_t>(byte_count / 16));
}

// Where a search begins: a position from 1 on, or from the end where it is negative, within the text.
std::size_t first_offset(lua_Integer position, std::size_t size) {
  if (position < 0) position += static_cast<lua_Integer>(size) + 1;
  if (position <= 0) return 0;
  return static_cast<std::size_t>(position) - 1 < size ? static_cast<std::size_t>(position) - 1 : size;
}

int find_plain(lua_State* lua, std::string_view subject, std::size_t offset, std::string_view text) {
  spend_bytes(lua, subject.size() - offset + text.size());
  // In time that is linear in both.
  const void* const found =
      memmem(subject.data() + offset, subject.size() - offset, text.data(), text.size());
  if (found == nullptr) return lua_pushnil(lua), 1;
  const std::ptrdiff_t at = static_cast<const char*>(found) - subject.data();
  lua_pushinteger(lua, at + 1);
  lua_pushinteger(lua, at + static_cast<std::ptrdiff_t>(text.size()));
  return 2;
}

// string.find and string.match.
int search(lua_State* lua, bool tells_place) {
  const std::string_view subject = check_text(lua, 1);
  const std::string_view text = check_text(lua, 2);
  const std::size_t offset = first_offset(luaL_optinteger(lua, 3, 1), subject.size());
  if (tells_place && (lua_toboolean(lua, 4) != 0 || std::strpbrk(text.data(), kSpecialBytes) == nullptr))
    return find_plain(lua, subject, offset, text);
  const bool is_anchored = text.data()[0] == '^';
  PatternMatch pattern(lua, subject, text.data() + (is_anchored ? 1 : 0));
  const char* const end = subject.data() + subject.size();
  for (const char* at = subject.data() + offset;; ++at) {
    const char* const to = pattern.match_at(at);
    if (to != nullptr) {
      if (!tells_place) return pattern.push_captures(at, to);
      lua_pushinteger(lua, at - subject.data() + 1);
      lua_pushinteger(lua, to - subject.data());
      return pattern.push_captures(nullptr, nullptr) + 2;
    }
    if (is_anchored || at == end) return lua_pushnil(lua), 1;
  }
}

int find(lua_State* lua) { return search(lua, true); }
int match(lua_State* lua) { return search(lua, false); }

// The iterator of gmatch. Its upvalues: the subject, the pattern, the offset from which it goes on.
int next_match(lua_State* lua) {
  std::size_t size = 0;
  const char* const subject = lua_tolstring(lua, lua_upvalueindex(1), &size);
  PatternMatch pattern(lua, {subject, size}, lua_tostring(lua, lua_upvalueindex(2)));
  for (auto at = static_cast<std::size_t>(lua_tointeger(lua, lua_upvalueindex(3))); at <= size; ++at) {
    const char* const to = pattern.match_at(subject + at);
    if (to == nullptr) continue;
    // Behind an empty match the next byte is left out.
    lua_pushinteger(lua, to - subject + (to == subject + at ? 1 : 0));
    lua_replace(lua, lua_upvalueindex(3));
    return pattern.push_captures(subject + at, to);
  }
  return 0;
}

int gmatch(lua_State* lua) {
  luaL_checkstring(lua, 1);
  luaL_checkstring(lua, 2);
  lua_settop(lua, 2);
  lua_pushinteger(lua, 0);
  lua_pushcclosure(lua, next_match, 3);
  return 1;
}

// The replacement is a string; % and a digit in it is a capture.
void append_expanded(lua_State* lua, LuaBytes& bytes, PatternMatch& pattern, const char* from,
                     const char* to) {
  std::size_t size = 0;
  const char* const text = lua_tolstring(lua, 3, &size);
  ScriptLimits::of(lua).spend(lua, static_cast<std::int64_t>(size));
  for (std::size_t i = 0; i < size; ++i) {
    if (text[i] != '%') {
      bytes.append(text[i]);
      continue;
    }
    const char what = text[++i];  // the zero byte behind the string at the most
    if (std::isdigit(static_cast<unsigned char>(what)) == 0) {
      bytes.append(what);
    } else if (what == '0') {
      spend_bytes(lua, static_cast<std::size_t>(to - from));
      bytes.append(from, static_cast<std::size_t>(to - from));
    } else {
      pattern.push_capture(what - '1', from, to);
      std::size_t capture_size = 0;
      const char* const capture = lua_tolstring(lua, -1, &capture_size);
      bytes.append(capture, capture_size);
      lua_pop(lua, 1);
    }
  }
}

// What stands in the place of the match [from, to).
void append_replacement(lua_State* lua, LuaBytes& bytes, PatternMatch& pattern, const char* from,
                        const char* to) {
  const int type = lua_type(lua, 3);
  if (type == LUA_TSTRING || type == LUA_TNUMBER) return append_expanded(lua, bytes, pattern, from, to);
  if (type == LUA_TFUNCTION) {
    lua_pushvalue(lua, 3);
    lua_call(lua, pattern.push_captures(from, to), 1);
  } else {
    pattern.push_capture(0, from, to);
    lua_gettable(lua, 3);
  }
  if (lua_toboolean(lua, -1) == 0) {
    bytes.append(from, static_cast<std::size_t>(to - from));  // as it was
  } else {
    std::size_t size = 0;
    const char* const text = lua_tolstring(lua, -1, &size);
    if (text == nullptr) luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
    spend_bytes(lua, size);
    bytes.append(text, size);
  }
  lua_pop(lua, 1);
}

int gsub(lua_State* lua) {
  const std::string_view subject = check_text(lua, 1);
  const char* const text = luaL_checkstring(lua, 2);
  const int type = lua_type(lua, 3);
  const int most = luaL_optint(lua, 4, static_cast<int>(subject.size() + 1));
  luaL_argcheck(lua,
                type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
                "string/function/table expected");
  lua_settop(lua, 4);
  const bool is_anchored = text[0] == '^';
  PatternMatch pattern(lua, subject, text + (is_anchored ? 1 : 0));
  LuaBytes bytes(lua);
  const char* at = subject.data();
  const char* const end = at + subject.size();
  int count = 0;
  while (count < most) {
    const char* const to = pattern.match_at(at);
    if (to != nullptr) {
      ++count;
      append_replacement(lua, bytes, pattern, at, to);
    }
    if (to != nullptr && to > at) {
      at = to;
    } else if (at < end) {
      bytes.append(*at++);
    } else {
      break;
    }
    if (is_anchored) break;
  }
  spend_bytes(lua, static_cast<std::size_t>(end - at));
  bytes.append(at, static_cast<std::size_t>(end - at));
  bytes.push();
  lua_pushinteger(lua, count);
  return 2;
}

int rep(lua_State* lua) {
  const std::string_view text = check_text(lua, 1);
  const int count = luaL_checkint(lua, 2);
  if (count <= 0 || text.empty()) return lua_pushliteral(lua, ""), 1;
  LuaBytes bytes(lua);
  bytes.reserve(text.size() * static_cast<std::size_t>(count));  // more than there is memory for ends here
  ScriptLimits::of(lua).spend(lua, count + static_cast<std::int64_t>(text.size() / 16) * count);
  for (int i = 0; i < count; ++i) bytes.append(text.data(), text.size());
  bytes.push();
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"find", find},    {"match", match}, {"gmatch", gmatch},
                                   {"gfind", gmatch},  // its name in Lua 5.0, which 5.1 has still
                                   {"gsub", gsub},    {"rep", rep},     {nullptr, nullptr}};

}  // namespace

void replace_string_functions(lua_State* lua) { luaL_register(lua, nullptr, kFunctions); }

}  // namespace memento
