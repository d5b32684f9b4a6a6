// The libraries of scripts with what means harm: tables that hold themselves, counts without elements,
// nesting without end, patterns that try for ever. Their results are compared with redis-server's and Lua's
// in tests/differential/libraries_test.cc.
#include <gtest/gtest.h>

#include <string>

#include "tests/worker/script/library_state.h"

namespace memento {
namespace {

using testing::LibraryState;

class LuaLibrariesTest : public ::testing::Test {
 protected:
  LuaLibrariesTest() {
    state_.replace_functions();
    state_.limits().begin(
        state_.lua(),
        [](void* looks_left) -> const char* {
          return --*static_cast<int*>(looks_left) < 0 ? "stopped" : nullptr;
        },
        &looks_left_);
  }

  std::string run(const std::string& text) { return state_.run(text); }

  int looks_left_ = 1000;

 private:
  LibraryState state_{std::size_t{8} << 20};
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

// Patterns that would try for years are stopped, in each function that has one.
TEST_F(LuaLibrariesTest, PatternStormsAreStopped) {
  for (const char* call :
       {"string.find(s, p)", "string.match(s, p)", "string.gmatch(s, p)()", "string.gsub(s, p, '')"}) {
    looks_left_ = 10;
    const std::string chunk =
        "local s, p = string.rep('a', 5000), string.rep('.-', 30)..'x' while true do pcall(function() "
        "return " +
        std::string(call) + " end) end";
    EXPECT_EQ(run(chunk.c_str()), "stopped") << call;
  }
}

// One item costs what it looks at: long sets, balances, captures, plain text.
TEST_F(LuaLibrariesTest, LongItemsAreStopped) {
  for (const char* chunk :
       {"local s = string.rep('a', 100000) string.find(s, '['..string.rep('b', 100000)..']')",
        "local s = string.rep('(', 100000) string.find(s, '%b()')",
        "local s = string.rep('a', 100000) string.find(s, '(.+)%1b')",
        "local s = string.rep('a', 1000000) for i = 1, 900 do string.find(s, 'b', 1, true) end"}) {
    looks_left_ = 10;
    EXPECT_EQ(run(chunk), "stopped") << chunk;
  }
}

// What nests deeper than the process's stack may hold is an error.
TEST_F(LuaLibrariesTest, DeepPatternsAreRefused) {
  EXPECT_EQ(run("return select(2, pcall(string.find, string.rep('a', 100000), string.rep('a?', 100000)))"),
            "pattern too complex");
  EXPECT_EQ(run("return select(2, string.find(string.rep('a', 900), string.rep('a?', 900)))"), "900");
}

// Text that is looked for as it stands is found in linear time: for the other 10^11 comparisons nobody would
// wait.
TEST_F(LuaLibrariesTest, PlainSearchIsLinear) {
  EXPECT_EQ(run("local s, t = string.rep('a', 1000000), string.rep('a', 400000)..'b' return "
                "tostring(s:find(t, 1, true))"),
            "nil");
}

// More than there is memory for is refused before it is begun, and empty text costs nothing however often.
TEST_F(LuaLibrariesTest, RepetitionIsBounded) {
  EXPECT_EQ(run("return string.rep('ab', 2000000000)"), "not enough memory");
  EXPECT_EQ(run("return '<'..string.rep('', 2000000000)..'>'"), "<>");
  EXPECT_EQ(run("return #string.rep('x', 3000000)"), "3000000");
}

// Each function that goes through a table in one call, with one that is long, or far positions.
TEST_F(LuaLibrariesTest, LongTablesAreStopped) {
  for (const char* call : {"table.insert(t, 1, 1)", "table.remove(t, 1)", "table.concat(t)", "table.sort(t)",
                           "table.maxn(t)", "table.foreach(t, math.randomseed)",
                           "table.foreachi(t, math.randomseed)", "table.insert(t, -2147483647, 1)"}) {
    looks_left_ = 200;  // filling the table takes fewer
    const std::string chunk =
        "local t = {} for i = 1, 50000 do t[i] = 'x' end for i = 1, 100 do " + std::string(call) + " end";
    EXPECT_EQ(run(chunk.c_str()), "stopped") << call;
  }
}

// Long strings with the same beginning make each comparison long.
TEST_F(LuaLibrariesTest, SortingLongStringsIsStopped) {
  looks_left_ = 50;
  EXPECT_EQ(run("local a = string.rep('x', 1000000) local b, t = a..'b', {} for i = 1, 1000 do t[i] = i % 2 "
                "== 0 and a or b end "
                "table.sort(t)"),
            "stopped");
}

// Ranges whose length overflows, or that are longer than the stack may be, are refused.
TEST_F(LuaLibrariesTest, UnpackIsBounded) {
  for (const char* range :
       {"1, 1e7", "-2147483648, 2147483647", "0, 2147483647", "-2147483648, 0", "-1, 2147483646"})
    EXPECT_EQ(run(("return select(2, pcall(unpack, {}, " + std::string(range) + "))").c_str()),
              "too many results to unpack");
  EXPECT_EQ(run("return select('#', unpack({}, 2147483000, 2147483647))"), "648");
}

}  // namespace
}  // namespace memento
