// See lua_cmsgpack.h.
#include "worker/script/lua_cmsgpack.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "worker/script/lua_bytes.h"
#include "worker/script/msgpack_format.h"
#include "worker/script/script_limits.h"

namespace memento {
namespace {

constexpr int kDeepestTable = 16;

/// Writes values of Lua as MessagePack.
class Packer {
 public:
  Packer(lua_State* lua) : lua_(lua), limits_(ScriptLimits::of(lua)), bytes_(lua) {}

  void pack(int index, int depth = 0) {
    luaL_checkstack(lua_, 8, "in cmsgpack.pack");
    switch (lua_type(lua_, index)) {
      case LUA_TSTRING:
        pack_string(index);
        break;
      case LUA_TBOOLEAN:
        bytes_.append(static_cast<char>(lua_toboolean(lua_, index) != 0 ? msgpack::kTrue : msgpack::kFalse));
        break;
      case LUA_TNUMBER:
        pack_number(lua_tonumber(lua_, index));
        break;
      case LUA_TTABLE:
        if (depth < kDeepestTable) {
          pack_table(index, depth + 1);
          break;
        }
        [[fallthrough]];
      default:
        bytes_.append(static_cast<char>(msgpack::kNil));
    }
    limits_.spend(lua_, 1);
  }
  void push() const { bytes_.push(); }

 private:
  // The type, and the number in `count` bytes, the highest first.
  void append(msgpack::Type type, std::uint64_t value, int count) {
    bytes_.append(static_cast<char>(type));
    for (int shift = 8 * (count - 1); shift >= 0; shift -= 8)
      bytes_.append(static_cast<char>(value >> shift & 0xff));
  }

  void pack_string(int index) {
    std::size_t size = 0;
    const char* text = lua_tolstring(lua_, index, &size);
    if (size < 32) {
      append(static_cast<msgpack::Type>(msgpack::kShortString | size), 0, 0);
    } else if (size <= 0xff) {
      append(msgpack::kString8, size, 1);
    } else if (size <= 0xffff) {
      append(msgpack::kString16, size, 2);
    } else {
      append(msgpack::kString32, size, 4);
    }
    bytes_.append(text, size);
    limits_.spend(lua_, static_cast<std::int64_t>(size / 16));
  }

  void pack_number(lua_Number number) {
    constexpr lua_Number kTwoTo63 = 9223372036854775808.0;
    if (number >= -kTwoTo63 && number < kTwoTo63 && std::trunc(number) == number) {
      pack_integer(static_cast<std::int64_t>(number));
      return;
    }
    const auto shorter = static_cast<float>(number);
    if (static_cast<lua_Number>(shorter) == number) {
      append(msgpack::kFloat32, std::bit_cast<std::uint32_t>(shorter), 4);
    } else {
      append(msgpack::kFloat64, std::bit_cast<std::uint64_t>(number), 8);
    }
  }

  void pack_integer(std::int64_t value) {
    const auto word = static_cast<std::uint64_t>(value);
    if (value >= -32 && value < 128) {
      bytes_.append(static_cast<char>(value));
    } else if (value >= 0) {
      if (word <= 0xff) return append(msgpack::kUnsigned8, word, 1);
      if (word <= 0xffff) return append(msgpack::kUnsigned16, word, 2);
      if (word <= 0xffffffff) return append(msgpack::kUnsigned32, word, 4);
      append(msgpack::kUnsigned64, word, 8);
    } else {
      if (value >= INT8_MIN) return append(msgpack::kSigned8, word, 1);
      if (value >= INT16_MIN) return append(msgpack::kSigned16, word, 2);
      if (value >= INT32_MIN) return append(msgpack::kSigned32, word, 4);
      append(msgpack::kSigned64, word, 8);
    }
  }

  void pack_table(int index, int depth) {
    std::size_t count = 0;
    if (is_array(index, &count)) {
      append_count(msgpack::kShortArray, msgpack::kArray16, count);
      for (std::size_t i = 1; i <= count; ++i) {
        lua_rawgeti(lua_, index, static_cast<int>(i));
        pack(lua_gettop(lua_), depth);
        lua_pop(lua_, 1);
      }
      return;
    }
    append_count(msgpack::kShortMap, msgpack::kMap16, count);
    lua_pushnil(lua_);
    while (lua_next(lua_, index) != 0) {
      const int value = lua_gettop(lua_);
      pack(value - 1, depth);
      pack(value, depth);
      lua_pop(lua_, 1);
    }
  }

  // Whether the keys are 1, 2 and so on without a gap; the number of entries in any case. An empty table is
  // an array.
  bool is_array(int index, std::size_t* count) {
    lua_Number greatest = 0;
    bool only_positions = true;
    lua_pushnil(lua_);
    while (lua_next(lua_, index) != 0) {
      lua_pop(lua_, 1);
      ++*count;
      limits_.spend(lua_, 1);
      const lua_Number key = lua_type(lua_, -1) == LUA_TNUMBER ? lua_tonumber(lua_, -1) : 0;
      if (!(key >= 1 && key <= INT32_MAX && std::trunc(key) == key)) only_positions = false;
      if (key > greatest) greatest = key;
    }
    return only_positions && greatest == static_cast<lua_Number>(*count);
  }

  // `longer` is the type with a count of 16 bits; the next one has 32.
  void append_count(msgpack::Type shortest, msgpack::Type longer, std::size_t count) {
    if (count < 16) return append(static_cast<msgpack::Type>(shortest | count), 0, 0);
    if (count <= 0xffff) return append(longer, count, 2);
    append(static_cast<msgpack::Type>(longer + 1), count, 4);
  }

  lua_State* lua_;
  ScriptLimits& limits_;
  LuaBytes bytes_;
};

/// Reads MessagePack into values of Lua.
class Unpacker {
 public:
  Unpacker(lua_State* lua, const char* begin, std::size_t size)
      : lua_(lua), limits_(ScriptLimits::of(lua)), at_(begin), left_(size) {}

  std::size_t left() const { return left_; }

  // Pushes the next value. What is nested comes back here, each time with more of Lua's stack in use: its
  // limit ends that.
  void push_next() {
    luaL_checkstack(lua_, 1, "too many return values at once; use unpack_one or unpack_limit instead.");
    limits_.spend(lua_, 1);
    const auto type = static_cast<std::uint8_t>(*take(1));
    if (type < msgpack::kShortMap) return lua_pushnumber(lua_, type);
    if (type >= msgpack::kFirstNegative) return lua_pushnumber(lua_, static_cast<std::int8_t>(type));
    if (type < msgpack::kShortArray) return push_map(type & 0xf);
    if (type < msgpack::kShortString) return push_array(type & 0xf);
    if (type < msgpack::kNil) return push_string(type & 0x1f);
    push_long_form(static_cast<msgpack::Type>(type));
  }

 private:
  void push_long_form(msgpack::Type type) {
    switch (type) {
      case msgpack::kNil:
        return lua_pushnil(lua_);
      case msgpack::kFalse:
      case msgpack::kTrue:
        return lua_pushboolean(lua_, type == msgpack::kTrue ? 1 : 0);
      case msgpack::kFloat32:
        return lua_pushnumber(lua_, std::bit_cast<float>(static_cast<std::uint32_t>(take_number(4))));
      case msgpack::kFloat64:
        return lua_pushnumber(lua_, std::bit_cast<double>(take_number(8)));
      case msgpack::kUnsigned8:
      case msgpack::kUnsigned16:
      case msgpack::kUnsigned32:
        return lua_pushnumber(lua_, static_cast<lua_Number>(take_number(1 << (type - msgpack::kUnsigned8))));
      case msgpack::kSigned8:
        return lua_pushnumber(lua_, static_cast<std::int8_t>(take_number(1)));
      case msgpack::kSigned16:
        return lua_pushnumber(lua_, static_cast<std::int16_t>(take_number(2)));
      case msgpack::kSigned32:
        return lua_pushnumber(lua_, static_cast<std::int32_t>(take_number(4)));
      case msgpack::kUnsigned64:  // from 2^63 on it comes out negative, as in Redis
      case msgpack::kSigned64:
        return lua_pushnumber(lua_, static_cast<lua_Number>(static_cast<std::int64_t>(take_number(8))));
      case msgpack::kString8:
      case msgpack::kString16:
      case msgpack::kString32:
        return push_string(take_number(1 << (type - msgpack::kString8)));
      case msgpack::kArray16:
      case msgpack::kArray32:
        return push_array(take_number(2 << (type - msgpack::kArray16)));
      case msgpack::kMap16:
      case msgpack::kMap32:
        return push_map(take_number(2 << (type - msgpack::kMap16)));
      default:
        luaL_error(lua_, "Bad data format in input.");
    }
  }

  void push_string(std::uint64_t size) {
    const char* const bytes = take(size);
    limits_.spend(lua_, static_cast<std::int64_t>(size / 16));
    lua_pushlstring(lua_, bytes, size);
  }

  // Tables grow with the elements that are there: a count alone reserves nothing.
  void push_array(std::uint64_t count) {
    lua_newtable(lua_);
    luaL_checkstack(lua_, 1, "in function mp_decode_to_lua_array");
    for (std::uint64_t i = 1; i <= count; ++i) {
      lua_pushnumber(lua_, static_cast<lua_Number>(i));
      push_next();
      lua_rawset(lua_, -3);
    }
  }

  void push_map(std::uint64_t count) {
    lua_newtable(lua_);
    for (; count > 0; --count) {
      push_next();
      push_next();
      lua_rawset(lua_, -3);
    }
  }

  const char* take(std::uint64_t size) {
    if (size > left_) luaL_error(lua_, "Missing bytes in input.");
    const char* bytes = at_;
    at_ += size;
    left_ -= size;
    return bytes;
  }
  std::uint64_t take_number(int size) {
    const char* bytes = take(static_cast<std::uint64_t>(size));
    std::uint64_t value = 0;
    for (int i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }

  lua_State* lua_;
  ScriptLimits& limits_;
  const char* at_;
  std::size_t left_;
};

int pack(lua_State* lua) {
  const int count = lua_gettop(lua);
  luaL_argcheck(lua, count > 0, 0, "MessagePack pack needs input.");
  luaL_argcheck(lua, lua_checkstack(lua, count), 0, "Too many arguments for MessagePack pack.");
  Packer packer(lua);
  for (int argument = 1; argument <= count; ++argument) packer.pack(argument);
  packer.push();
  return 1;
}

// Pushes up to `limit` values from `offset` on; `tells_offset`: behind the offset where the next would begin.
int unpack_from(lua_State* lua, lua_Integer limit, lua_Integer offset, bool tells_offset) {
  std::size_t size = 0;
  const char* bytes = luaL_checklstring(lua, 1, &size);
  if (offset < 0 || limit < 0)
    return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.",
                      static_cast<int>(offset), static_cast<int>(size));
  if (static_cast<std::size_t>(offset) > size)
    return luaL_error(lua, "Start offset %d greater than input length %d.", static_cast<int>(offset),
                      static_cast<int>(size));
  lua_settop(lua, 1);
  Unpacker unpacker(lua, bytes + offset, size - static_cast<std::size_t>(offset));
  int count = 0;
  for (; unpacker.left() > 0 && count < limit; ++count) unpacker.push_next();
  if (!tells_offset) return count;
  luaL_checkstack(lua, 1, "in cmsgpack.unpack");
  lua_pushinteger(lua, unpacker.left() == 0 ? -1 : static_cast<lua_Integer>(size - unpacker.left()));
  lua_insert(lua, 2);
  return count + 1;
}

int unpack(lua_State* lua) { return unpack_from(lua, INT32_MAX, 0, false); }

int unpack_one(lua_State* lua) { return unpack_from(lua, 1, luaL_optinteger(lua, 2, 0), true); }

// Neither a limit nor an offset: all of it, as in Redis.
int unpack_limit(lua_State* lua) {
  const lua_Integer limit = luaL_checkinteger(lua, 2);
  const lua_Integer offset = luaL_optinteger(lua, 3, 0);
  return limit == 0 && offset == 0 ? unpack(lua) : unpack_from(lua, limit, offset, true);
}

constexpr luaL_Reg kFunctions[] = {{"pack", pack},
                                   {"unpack", unpack},
                                   {"unpack_one", unpack_one},
                                   {"unpack_limit", unpack_limit},
                                   {nullptr, nullptr}};

}  // namespace

int open_lua_cmsgpack(lua_State* lua) {
  lua_createtable(lua, 0, 4);
  luaL_register(lua, nullptr, kFunctions);
  return 1;
}

}  // namespace memento
