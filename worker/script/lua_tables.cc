// See lua_tables.h.
#include "worker/script/lua_tables.h"

#include <algorithm>
#include <utility>

#include "worker/script/lua_bytes.h"
#include "worker/script/script_limits.h"

namespace memento {
namespace {

// A step that goes through the table's hash costs so much.
constexpr std::int64_t kStepsPerElement = 4;

int check_length(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  return static_cast<int>(lua_objlen(lua, 1));
}

void move_element(lua_State* lua, int from, int to) {
  ScriptLimits::of(lua).spend(lua, kStepsPerElement);
  lua_rawgeti(lua, 1, from);
  lua_rawseti(lua, 1, to);
}

int insert(lua_State* lua) {
  int end = check_length(lua) + 1;
  int position = end;
  if (lua_gettop(lua) == 3) {
    position = luaL_checkint(lua, 2);
    end = std::max(end, position);
  } else if (lua_gettop(lua) != 2) {
    return luaL_error(lua, "wrong number of arguments to 'insert'");
  }
  for (int i = end; i > position; --i) move_element(lua, i - 1, i);
  lua_rawseti(lua, 1, position);
  return 0;
}

int remove(lua_State* lua) {
  const int last = check_length(lua);
  const int position = luaL_optint(lua, 2, last);
  if (position < 1 || position > last) return 0;
  lua_rawgeti(lua, 1, position);
  for (int i = position; i < last; ++i) move_element(lua, i + 1, i);
  lua_pushnil(lua);
  lua_rawseti(lua, 1, last);
  return 1;
}

void append_element(lua_State* lua, LuaBytes& bytes, int index) {
  lua_rawgeti(lua, 1, index);
  if (lua_isstring(lua, -1) == 0)
    luaL_error(lua, "invalid value (%s) at index %d in table for 'concat'", luaL_typename(lua, -1), index);
  std::size_t size = 0;
  const char* const text = lua_tolstring(lua, -1, &size);
  ScriptLimits::of(lua).spend(lua, kStepsPerElement + static_cast<std::int64_t>(size / 16));
  bytes.append(text, size);
  lua_pop(lua, 1);
}

int concat(lua_State* lua) {
  std::size_t separator_size = 0;
  const char* const separator = luaL_optlstring(lua, 2, "", &separator_size);
  luaL_checktype(lua, 1, LUA_TTABLE);
  const int first = luaL_optint(lua, 3, 1);
  const int last = lua_isnoneornil(lua, 4) ? static_cast<int>(lua_objlen(lua, 1)) : luaL_checkint(lua, 4);
  LuaBytes bytes(lua);
  for (std::int64_t i = first; i <= last; ++i) {
    append_element(lua, bytes, static_cast<int>(i));
    if (i == last) break;
    ScriptLimits::of(lua).spend(lua, static_cast<std::int64_t>(separator_size / 16));
    bytes.append(separator, separator_size);
  }
  bytes.push();
  return 1;
}

int maxn(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_Number greatest = 0;
  lua_pushnil(lua);
  while (lua_next(lua, 1) != 0) {
    lua_pop(lua, 1);
    ScriptLimits::of(lua).spend(lua, kStepsPerElement);
    if (lua_type(lua, -1) == LUA_TNUMBER) greatest = std::max(greatest, lua_tonumber(lua, -1));
  }
  lua_pushnumber(lua, greatest);
  return 1;
}

// foreach and foreachi end with the first value that the function returns. REQUIRES: key and value are on
// top.
bool call_with_pair(lua_State* lua) {
  ScriptLimits::of(lua).spend(lua, kStepsPerElement);
  lua_pushvalue(lua, 2);
  lua_insert(lua, -3);
  lua_call(lua, 2, 1);
  if (!lua_isnil(lua, -1)) return true;
  lua_pop(lua, 1);
  return false;
}

int foreach (lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_checktype(lua, 2, LUA_TFUNCTION);
  lua_pushnil(lua);
  while (lua_next(lua, 1) != 0) {
    lua_pushvalue(lua, -2);
    lua_insert(lua, -2);
    if (call_with_pair(lua)) return 1;
  }
  return 0;
}

int foreachi(lua_State* lua) {
  const int last = check_length(lua);
  luaL_checktype(lua, 2, LUA_TFUNCTION);
  for (int i = 1; i <= last; ++i) {
    lua_pushinteger(lua, i);
    lua_rawgeti(lua, 1, i);
    if (call_with_pair(lua)) return 1;
  }
  return 0;
}

/// Sorts the table at 1, by the function at 2 where there is one. The same comparisons in the same order as
/// Lua 5.1's, so that elements which are equal come out in its order: quicksort (Sedgewick), the median of
/// the first, middle and last as pivot.
class Sorter {
 public:
  explicit Sorter(lua_State* lua) : lua_(lua), limits_(ScriptLimits::of(lua)) {}

  void sort(int first, int last) {
    while (first < last) {
      order(first, last);
      if (last - first == 1) return;
      const int middle = static_cast<int>((static_cast<std::int64_t>(first) + last) / 2);
      if (!order(first, middle)) order(middle, last);
      if (last - first == 2) return;
      // The pivot stays on the stack while its range is parted, and stands last but one meanwhile.
      lua_rawgeti(lua_, 1, middle);
      swap(middle, last - 1);
      const int parted = part(first, last);
      lua_pop(lua_, 1);
      swap(last - 1, parted);
      // The shorter side first, and the longer one in this loop: the depth is logarithmic.
      if (parted - first < last - parted) {
        sort(first, parted - 1);
        first = parted + 1;
      } else {
        sort(parted + 1, last);
        last = parted - 1;
      }
    }
  }

 private:
  // Swaps them if the later one is less. Says whether it did.
  bool order(int early, int late) {
    lua_rawgeti(lua_, 1, late);
    lua_rawgeti(lua_, 1, early);
    const bool swaps = is_less(-2, -1);
    if (!swaps) return lua_pop(lua_, 2), false;
    lua_rawseti(lua_, 1, late);
    lua_rawseti(lua_, 1, early);
    return true;
  }

  void swap(int one, int other) {
    lua_rawgeti(lua_, 1, one);
    lua_rawgeti(lua_, 1, other);
    lua_rawseti(lua_, 1, one);
    lua_rawseti(lua_, 1, other);
  }

  // Brings what is less than the pivot, which is on top of the stack, before the place that it returns.
  int part(int first, int last) {
    int low = first;
    int high = last - 1;
    for (;;) {
      while (is_element_less(++low, true)) {
        if (low > last) luaL_error(lua_, "invalid order function for sorting");
      }
      while (is_element_less(--high, false)) {
        if (high < first) luaL_error(lua_, "invalid order function for sorting");
      }
      if (high < low) return low;
      swap(low, high);
    }
  }

  // Whether the element is less than the pivot, or, the other way round, the pivot less than it.
  bool is_element_less(int index, bool than_pivot) {
    lua_rawgeti(lua_, 1, index);
    const bool result = than_pivot ? is_less(-1, -2) : is_less(-2, -1);
    lua_pop(lua_, 1);
    return result;
  }

  bool is_less(int one, int other) {
    limits_.spend(lua_, 2 * kStepsPerElement);
    if (lua_isnil(lua_, 2)) {
      if (lua_type(lua_, one) == LUA_TSTRING && lua_type(lua_, other) == LUA_TSTRING)
        limits_.spend(
            lua_, static_cast<std::int64_t>(std::min(lua_objlen(lua_, one), lua_objlen(lua_, other)) / 16));
      return lua_lessthan(lua_, one, other) != 0;
    }
    lua_pushvalue(lua_, 2);
    lua_pushvalue(lua_, one - 1);    // one further down, since the function was pushed
    lua_pushvalue(lua_, other - 2);  // and its argument
    lua_call(lua_, 2, 1);
    const bool result = lua_toboolean(lua_, -1) != 0;
    lua_pop(lua_, 1);
    return result;
  }

  lua_State* lua_;
  ScriptLimits& limits_;
};

int sort(lua_State* lua) {
  const int length = check_length(lua);
  if (!lua_isnoneornil(lua, 2)) luaL_checktype(lua, 2, LUA_TFUNCTION);
  lua_settop(lua, 2);
  Sorter(lua).sort(1, length);
  return 0;
}

constexpr luaL_Reg kFunctions[] = {{"concat", concat},     {"insert", insert}, {"remove", remove},
                                   {"sort", sort},         {"maxn", maxn},     {"foreach", foreach},
                                   {"foreachi", foreachi}, {nullptr, nullptr}};

}  // namespace

void replace_table_functions(lua_State* lua) { luaL_register(lua, nullptr, kFunctions); }

int unpack_table(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  const int first = luaL_optint(lua, 2, 1);
  const int last = lua_isnoneornil(lua, 3) ? static_cast<int>(lua_objlen(lua, 1)) : luaL_checkint(lua, 3);
  if (first > last) return 0;
  const std::int64_t count = static_cast<std::int64_t>(last) - first + 1;
  if (count > INT32_MAX || lua_checkstack(lua, static_cast<int>(count)) == 0)
    return luaL_error(lua, "too many results to unpack");
  for (std::int64_t i = first; i <= last; ++i) lua_rawgeti(lua, 1, static_cast<int>(i));
  return static_cast<int>(count);
}

}  // namespace memento
