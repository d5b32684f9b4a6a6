// The limits of scripts: memory ends where it is to end, and what runs is stopped whatever it does. Each test
// runs a chunk in a bare interpreter.
#include "worker/script/script_limits.h"

#include <gtest/gtest.h>

#include <string>

namespace memento {
namespace {

constexpr const char* kReason = "it is to end";

class ScriptLimitsTest : public ::testing::Test {
 protected:
  ScriptLimitsTest() : lua_(limits_.open()) {
    luaL_openlibs(lua_);
    limits_.begin(
        lua_,
        [](void* self) -> const char* {
          auto& test = *static_cast<ScriptLimitsTest*>(self);
          return ++test.looks_ >= 10 ? kReason : nullptr;
        },
        this);
  }
  ~ScriptLimitsTest() override { lua_close(lua_); }

  // The error, or "".
  std::string run(const char* text) {
    if (luaL_loadstring(lua_, text) == 0 && lua_pcall(lua_, 0, 0, 0) == 0) return "";
    std::string error = lua_tostring(lua_, -1);
    lua_pop(lua_, 1);
    return error;
  }

  ScriptLimits limits_{4 << 20};
  lua_State* lua_;
  int looks_ = 0;
};

// What is short of the limit works, what is beyond it fails, and its memory comes back.
TEST_F(ScriptLimitsTest, MemoryEndsAtTheLimit) {
  looks_ = -1'000'000;
  EXPECT_EQ(run("local s = string.rep('x', 1000000)"), "");
  EXPECT_EQ(run("local s = string.rep('x', 5000000)"), "not enough memory");
  EXPECT_LE(limits_.memory_used_bytes(), limits_.memory_limit_bytes());
  lua_gc(lua_, LUA_GCCOLLECT, 0);
  EXPECT_LT(limits_.memory_used_bytes(), 1'000'000u);
  EXPECT_EQ(run("local t = {} for i = 1, 1e6 do t[i] = {i} end"), "not enough memory");
  EXPECT_EQ(limits_.stop_reason(), nullptr);
}

// Loops that catch errors, plain or in coroutines or in handlers of errors, end as well.
TEST_F(ScriptLimitsTest, NoLoopGoesOnBehindTheReason) {
  EXPECT_EQ(run("while true do end"), kReason);
  EXPECT_EQ(limits_.stop_reason(), kReason);
  EXPECT_EQ(run("while true do pcall(function() while true do end end) end"), kReason);
  EXPECT_EQ(run("while true do coroutine.resume(coroutine.create(function() while true do end end)) end"),
            kReason);
  EXPECT_EQ(run("local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) "
                "while true do pcall(function() return t[1] end) end"),
            kReason);
}

// A C function that says what it does is stopped between two instructions of Lua.
TEST_F(ScriptLimitsTest, WorkInCFunctionsCounts) {
  lua_register(lua_, "work", [](lua_State* lua) -> int {
    for (;;) ScriptLimits::of(lua).spend(lua, 100);
  });
  EXPECT_EQ(run("work()"), kReason);
  EXPECT_EQ(looks_, 10);
  EXPECT_EQ(run("while true do pcall(work) end"), kReason);
}

// The next script begins anew.
TEST_F(ScriptLimitsTest, BeginForgetsTheReason) {
  EXPECT_EQ(run("while true do end"), kReason);
  limits_.end(lua_);
  EXPECT_EQ(run("for i = 1, 1e5 do end"), "");
  looks_ = -1'000'000;
  limits_.begin(
      lua_, [](void*) -> const char* { return nullptr; }, nullptr);
  EXPECT_EQ(limits_.stop_reason(), nullptr);
  EXPECT_EQ(run("for i = 1, 1e5 do end"), "");
}

}  // namespace
}  // namespace memento
