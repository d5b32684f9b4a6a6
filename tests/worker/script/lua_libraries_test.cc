// struct and cmsgpack with what means harm: tables that hold themselves, counts without elements, nesting
// without end. Their results are compared with redis-server's in tests/differential/libraries_test.cc.
#include <gtest/gtest.h>

#include <string>

#include "worker/script/lua_cmsgpack.h"
#include "worker/script/lua_struct.h"
#include "worker/script/script_limits.h"

namespace memento {
namespace {

class LuaLibrariesTest : public ::testing::Test {
 protected:
  LuaLibrariesTest() : lua_(limits_.open()) {
    luaL_openlibs(lua_);
    add("struct", open_lua_struct);
    add("cmsgpack", open_lua_cmsgpack);
    limits_.begin(
        lua_,
        [](void* looks_left) -> const char* {
          return --*static_cast<int*>(looks_left) < 0 ? "stopped" : nullptr;
        },
        &looks_left_);
  }
  ~LuaLibrariesTest() override { lua_close(lua_); }

  // What the chunk returns, as a string, or its error.
  std::string run(const char* text) {
    if (luaL_loadbuffer(lua_, text, std::char_traits<char>::length(text), "@user_script") == 0)
      (void)lua_pcall(lua_, 0, 1, 0);
    const char* const result = lua_tostring(lua_, -1);
    std::string copy = result == nullptr ? "" : result;
    lua_settop(lua_, 0);
    return copy;
  }

  int looks_left_ = 1000;

 private:
  void add(const char* name, lua_CFunction open) {
    lua_pushcfunction(lua_, open);
    lua_call(lua_, 0, 1);
    lua_setglobal(lua_, name);
  }

  ScriptLimits limits_{std::size_t{8} << 20};
  lua_State* lua_;
};

// A table that holds itself ten times would give 10^16 values: the packer is stopped, or has no more memory.
TEST_F(LuaLibrariesTest, PackingIsStopped) {
  EXPECT_EQ(run("local t = {} for i = 1, 10 do t[i] = t end return cmsgpack.pack(t)"), "not enough memory");
  looks_left_ = 10;
  EXPECT_EQ(run("local t = {} for i = 1, 10 do t[i] = t end return cmsgpack.pack(t)"), "stopped");
}

// Counts of four billion reserve nothing; what is missing is said.
TEST_F(LuaLibrariesTest, CountsWithoutElementsCostNothing) {
  for (const char* header : {"\\221", "\\223", "\\219"}) {
    const std::string call = "cmsgpack.unpack('" + std::string(header) + "\\255\\255\\255\\255\\1')";
    EXPECT_EQ(run(("return select(2, pcall(function() return " + call + " end))").c_str()),
              "user_script:1: Missing bytes in input.");
  }
}

// Input that nests without end runs against the limit of Lua's stack.
TEST_F(LuaLibrariesTest, NestingEnds) {
  EXPECT_EQ(run("return select(2, pcall(cmsgpack.unpack, string.rep('\\145', 1000000)))"),
            "stack overflow (in function mp_decode_to_lua_array)");
  EXPECT_EQ(run("return select(2, pcall(cmsgpack.unpack, string.rep('\\129\\1', 1000000)))"),
            "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)");
  EXPECT_EQ(run("return #cmsgpack.pack(cmsgpack.unpack(string.rep('\\145', 3999)..'\\1'))"), "17");
}

// Alignment, counts and padding that would pass what can be counted.
TEST_F(LuaLibrariesTest, StructBoundsHold) {
  EXPECT_EQ(run("return select(2, pcall(struct.pack, 'c2147483647', 'x'))"),
            "bad argument #3 to '?' (string too short)");
  EXPECT_EQ(run("return select(2, pcall(struct.unpack, 'bc0', '\\255'))"),
            "bad argument #2 to '?' (data string too short)");
  EXPECT_EQ(run("return select(2, pcall(struct.unpack, '!8i', 'x', -1))"),
            "bad argument #2 to '?' (data string too short)");
  EXPECT_EQ(run("return struct.size(string.rep('!1073741824i', 100))"), "400");
  EXPECT_EQ(run("local s = string.rep('c2147483647', 9) return struct.size(s) / 2147483647"), "9");
  looks_left_ = 10;
  EXPECT_EQ(run("return #struct.pack(string.rep('x', 1000000))"), "stopped");
}

}  // namespace
}  // namespace memento
