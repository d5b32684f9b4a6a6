// See lua_struct.h.
#include "worker/script/lua_struct.h"

#include <bit>
#include <cctype>
#include <climits>
#include <cstring>

#include "worker/script/lua_bytes.h"
#include "worker/script/script_limits.h"

namespace memento {
namespace {

static_assert(std::endian::native == std::endian::little, "f and d are written as they lie in memory");

constexpr std::size_t kLongestIntegerBytes = 32;
constexpr int kGreatestAlignment = 8;

// The format as it is read: what comes next, and what the options so far have set.
struct FormatReader {
  lua_State* lua;
  const char* next;
  bool is_little_endian = true;
  std::size_t alignment = 1;

  // The digits here, or `otherwise` where there is none.
  int number(int otherwise) {
    if (std::isdigit(static_cast<unsigned char>(*next)) == 0) return otherwise;
    int value = 0;
    for (; std::isdigit(static_cast<unsigned char>(*next)) != 0; ++next) {
      const int digit = *next - '0';
      if (value > (INT_MAX - digit) / 10) luaL_error(lua, "integral size overflow");
      value = value * 10 + digit;
    }
    return value;
  }

  // Bytes of the item whose letter was read; 0 for `s`, for options and for letters that mean nothing.
  std::size_t item_bytes(char letter) {
    switch (letter) {
      case 'b':
      case 'B':
      case 'x':
        return 1;
      case 'h':
      case 'H':
        return sizeof(short);
      case 'l':
      case 'L':
      case 'T':
      case 'd':
        return 8;
      case 'f':
        return sizeof(float);
      case 'c':
        return static_cast<std::size_t>(number(1));
      case 'i':
      case 'I': {
        const int bytes = number(sizeof(int));
        if (static_cast<std::size_t>(bytes) > kLongestIntegerBytes)
          luaL_error(lua, "integral size %d is larger than limit of %d", bytes,
                     static_cast<int>(kLongestIntegerBytes));
        return static_cast<std::size_t>(bytes);
      }
      default:
        return 0;
    }
  }

  // Bytes to leave out before an item of `bytes` that would stand at `position`.
  std::size_t padding(char letter, std::size_t bytes, std::size_t position) const {
    if (bytes == 0 || letter == 'c') return 0;
    const std::size_t unit = bytes < alignment ? bytes : alignment;
    return (unit - (position & (unit - 1))) & (unit - 1);
  }

  // What is no item: a change of order or alignment, a space, or an error.
  void option(char letter) {
    if (letter == '<' || letter == '>') {
      is_little_endian = letter == '<';
    } else if (letter == '!') {
      const int unit = number(kGreatestAlignment);
      if (unit <= 0 || !std::has_single_bit(static_cast<unsigned>(unit)))
        luaL_error(lua, "alignment %d is not a power of 2", unit);
      alignment = static_cast<std::size_t>(unit);
    } else if (letter != ' ') {
      luaL_argerror(lua, 1, lua_pushfstring(lua, "invalid format option '%c'", letter));
    }
  }
};

bool is_integer(char letter) { return std::strchr("bBhHlLTiI", letter) != nullptr; }

// The number cut to an integer of 64 bits, two's complement; what does not fit gives what x86-64's conversion
// gives.
std::uint64_t to_word(lua_Number number) {
  constexpr lua_Number kTwoTo63 = 9223372036854775808.0;
  if (!(number >= -kTwoTo63)) return std::uint64_t{1} << 63;  // a NaN, too
  if (number < 0) return static_cast<std::uint64_t>(static_cast<std::int64_t>(number));
  return number < 2 * kTwoTo63 ? static_cast<std::uint64_t>(number) : 0;
}

void append_integer(LuaBytes& bytes, std::uint64_t value, std::size_t count, bool is_little_endian) {
  char out[kLongestIntegerBytes];
  for (std::size_t i = 0; i < count; ++i) {
    out[is_little_endian ? i : count - 1 - i] = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  bytes.append(out, count);
}

lua_Number read_integer(const char* bytes, std::size_t count, bool is_little_endian, bool has_sign) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[is_little_endian ? count - 1 - i : i]);
  if (!has_sign) return static_cast<lua_Number>(value);
  // Above 8 bytes the place of the sign wraps round, as it does in Redis.
  const std::uint64_t high_bits = ~std::uint64_t{0} << ((count * 8 - 1) & 63);
  if ((value & high_bits) != 0) value |= high_bits;
  return static_cast<lua_Number>(static_cast<std::int64_t>(value));
}

template <class Float>
void append_float(LuaBytes& bytes, lua_Number number, bool is_little_endian) {
  const auto value = static_cast<Float>(number);
  char raw[sizeof(Float)];
  std::memcpy(raw, &value, sizeof(Float));
  for (std::size_t i = 0; i < sizeof(Float); ++i)
    bytes.append(raw[is_little_endian ? i : sizeof(Float) - 1 - i]);
}

template <class Float>
lua_Number read_float(const char* bytes, bool is_little_endian) {
  char raw[sizeof(Float)];
  for (std::size_t i = 0; i < sizeof(Float); ++i)
    raw[is_little_endian ? i : sizeof(Float) - 1 - i] = bytes[i];
  Float value;
  std::memcpy(&value, raw, sizeof(Float));
  return value;
}

// Appends a string of `size` characters out of the argument, or all of it where `size` is 0.
std::size_t append_string(lua_State* lua, LuaBytes& bytes, int argument, std::size_t size) {
  std::size_t length = 0;
  const char* text = luaL_checklstring(lua, argument, &length);
  if (size == 0) size = length;
  luaL_argcheck(lua, length >= size, argument + 1, "string too short");
  bytes.append(text, size);
  return size;
}

int pack(lua_State* lua) {
  ScriptLimits& limits = ScriptLimits::of(lua);
  FormatReader format{lua, luaL_checkstring(lua, 1)};
  luaL_checkstack(lua, 4, "too many arguments");
  lua_pushnil(lua);  // an argument that is missing is this
  LuaBytes bytes(lua);
  int argument = 2;
  while (*format.next != '\0') {
    const char letter = *format.next++;
    std::size_t size = format.item_bytes(letter);
    for (std::size_t left = format.padding(letter, size, bytes.size()); left > 0; --left) bytes.append('\0');
    limits.spend(lua, 1 + static_cast<std::int64_t>(size / 16));
    if (is_integer(letter)) {
      append_integer(bytes, to_word(luaL_checknumber(lua, argument++)), size, format.is_little_endian);
    } else if (letter == 'x') {
      bytes.append('\0');
    } else if (letter == 'f') {
      append_float<float>(bytes, luaL_checknumber(lua, argument++), format.is_little_endian);
    } else if (letter == 'd') {
      append_float<double>(bytes, luaL_checknumber(lua, argument++), format.is_little_endian);
    } else if (letter == 'c' || letter == 's') {
      append_string(lua, bytes, argument++, size);
      if (letter == 's') bytes.append('\0');
    } else {
      format.option(letter);
    }
  }
  bytes.push();
  return 1;
}

// Whether `size` bytes stand at `position` of a string of `length`.
bool has_bytes(std::size_t length, std::size_t position, std::size_t size) {
  return position <= length && size <= length - position;
}

// Pushes the value of an item and says how many bytes it had. `count` is how many values are pushed already,
// of which c0 takes one away.
std::size_t unpack_item(FormatReader& format, char letter, std::size_t size, const char* at, std::size_t left,
                        int* count) {
  lua_State* lua = format.lua;
  if (is_integer(letter)) {
    lua_pushnumber(lua, read_integer(at, size, format.is_little_endian, std::islower(letter) != 0));
  } else if (letter == 'f') {
    lua_pushnumber(lua, read_float<float>(at, format.is_little_endian));
  } else if (letter == 'd') {
    lua_pushnumber(lua, read_float<double>(at, format.is_little_endian));
  } else if (letter == 'c') {
    if (size == 0) {
      if (*count == 0 || lua_isnumber(lua, -1) == 0) luaL_error(lua, "format 'c0' needs a previous size");
      size = to_word(lua_tonumber(lua, -1));
      lua_pop(lua, 1);
      --*count;
      luaL_argcheck(lua, size <= left, 2, "data string too short");
    }
    lua_pushlstring(lua, at, size);
  } else {
    const void* end = std::memchr(at, '\0', left);
    if (end == nullptr) luaL_error(lua, "unfinished string in data");
    size = static_cast<std::size_t>(static_cast<const char*>(end) - at) + 1;
    lua_pushlstring(lua, at, size - 1);
  }
  ++*count;
  return size;
}

int unpack(lua_State* lua) {
  ScriptLimits& limits = ScriptLimits::of(lua);
  FormatReader format{lua, luaL_checkstring(lua, 1)};
  std::size_t length = 0;
  const char* data = luaL_checklstring(lua, 2, &length);
  // A negative one is, without its sign, far behind the end.
  auto position = static_cast<std::size_t>(luaL_optinteger(lua, 3, 1));
  luaL_argcheck(lua, position > 0, 3, "offset must be 1 or greater");
  --position;
  int count = 0;
  while (*format.next != '\0') {
    const char letter = *format.next++;
    std::size_t size = format.item_bytes(letter);
    position += format.padding(letter, size, position);
    luaL_argcheck(lua, has_bytes(length, position, size), 2, "data string too short");
    luaL_checkstack(lua, 2, "too many results");
    limits.spend(lua, 1 + static_cast<std::int64_t>(size / 16));
    if (is_integer(letter) || std::strchr("fdcs", letter) != nullptr) {
      size = unpack_item(format, letter, size, data + position, length - position, &count);
    } else if (letter != 'x') {
      format.option(letter);
    }
    position += size;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(position + 1));
  return count + 1;
}

int size(lua_State* lua) {
  ScriptLimits& limits = ScriptLimits::of(lua);
  FormatReader format{lua, luaL_checkstring(lua, 1)};
  std::size_t position = 0;
  while (*format.next != '\0') {
    const char letter = *format.next++;
    const std::size_t size = format.item_bytes(letter);
    limits.spend(lua, 1);
    position += format.padding(letter, size, position);
    if (letter == 's') luaL_argerror(lua, 1, "option 's' has no fixed size");
    if (letter == 'c' && size == 0) luaL_argerror(lua, 1, "option 'c0' has no fixed size");
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) format.option(letter);
    position += size;
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(position));
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"pack", pack}, {"unpack", unpack}, {"size", size}, {nullptr, nullptr}};

}  // namespace

int open_lua_struct(lua_State* lua) {
  lua_createtable(lua, 0, 3);
  luaL_register(lua, nullptr, kFunctions);
  return 1;
}

}  // namespace memento
