// What scripts give to struct, cmsgpack and Lua's patterns: any format or pattern, then any bytes, read from
// any place on. A value that is no table and was read as MessagePack is packed to bytes that give it again.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/worker/script/library_state.h"

namespace {

using namespace memento;

constexpr const char* kStopped = "stopped";

// Gives an error only where a promise is broken, memory is out, or it was stopped.
constexpr std::string_view kChunk = R"(
  local format, bytes, position = ...
  pcall(struct.size, format)
  local read = {pcall(struct.unpack, format, bytes, position)}
  pcall(struct.pack, format, unpack(read, 2))
  pcall(string.find, bytes, format, position)
  pcall(string.gsub, bytes, format, '%1')
  pcall(cmsgpack.unpack_one, bytes, position)
  pcall(cmsgpack.unpack_limit, bytes, 2, position)
  local is_msgpack, value = pcall(cmsgpack.unpack, bytes)
  if not is_msgpack then return end
  local packed = cmsgpack.pack(value)
  if type(value) == 'table' then return pcall(cmsgpack.unpack, packed) end
  local again = cmsgpack.unpack(packed)
  assert(value == again or value ~= value and again ~= again)
)";

// Its stack holds the chunk.
struct World {
  testing::LibraryState state{std::size_t{32} << 20};

  World() {
    state.replace_functions();
    if (luaL_loadbuffer(state.lua(), kChunk.data(), kChunk.size(), "@chunk") != 0) std::abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World* const world = new World;
  if (size == 0) return 0;
  lua_State* const lua = world->state.lua();
  int looks_left = 500;
  world->state.limits().begin(
      lua, [](void* left) -> const char* { return --*static_cast<int*>(left) < 0 ? kStopped : nullptr; },
      &looks_left);
  const auto* const text = reinterpret_cast<const char*>(data);
  const std::size_t format_size = data[0] % size;
  lua_pushvalue(lua, 1);
  lua_pushlstring(lua, text + 1, format_size);
  lua_pushlstring(lua, text + 1 + format_size, size - 1 - format_size);
  lua_pushinteger(lua, data[0] / 16 - 2);
  if (lua_pcall(lua, 3, 0, 0) != 0) {
    const std::string_view error = lua_tostring(lua, -1);
    if (error != "not enough memory" && error != kStopped) {
      std::fprintf(stderr, "%s\n", lua_tostring(lua, -1));
      std::abort();
    }
  }
  world->state.limits().end(lua);
  lua_settop(lua, 1);
  return 0;
}
