// The libraries of scripts that are our own, against redis-server's, and our functions of `string` and
// `table` against Lua's: the same random calls in Lua give the same values, bytes and errors. MEMENTO_SEED
// repeats a failure, MEMENTO_COMMANDS sets how many calls are made.
#include <gtest/gtest.h>

#include <random>

#include "tests/differential/library_calls.h"
#include "tests/differential/peer.h"
#include "tests/differential/printable.h"
#include "worker/script/lua_cmsgpack.h"
#include "worker/script/lua_patterns.h"
#include "worker/script/lua_struct.h"
#include "worker/script/lua_tables.h"
#include "worker/script/script_limits.h"

namespace memento::testing {
namespace {

constexpr std::size_t kBatch = 200;

// Our libraries in an interpreter without a server. A script gives a string.
class Interpreter {
 public:
  Interpreter() : limits_(std::size_t{256} << 20), lua_(limits_.open()) {
    luaL_openlibs(lua_);
    add("struct", open_lua_struct);
    add("cmsgpack", open_lua_cmsgpack);
  }
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;
  ~Interpreter() { lua_close(lua_); }

  // Our functions in the place of Lua's.
  void replace_functions() {
    lua_getglobal(lua_, "string");
    replace_string_functions(lua_);
    lua_getglobal(lua_, "table");
    replace_table_functions(lua_);
    lua_register(lua_, "unpack", unpack_table);
    lua_settop(lua_, 0);
  }

  std::string run(const std::string& text) {
    if (luaL_loadbuffer(lua_, text.data(), text.size(), "@user_script") == 0) (void)lua_pcall(lua_, 0, 1, 0);
    std::size_t size = 0;
    const char* const result = lua_tolstring(lua_, -1, &size);
    std::string copy(result == nullptr ? "no string" : result, size);
    lua_settop(lua_, 0);
    lua_gc(lua_, LUA_GCCOLLECT, 0);  // Lua 5.1 does not when memory runs out
    return copy;
  }

 private:
  void add(const char* name, lua_CFunction open) {
    lua_pushcfunction(lua_, open);
    lua_call(lua_, 0, 1);
    lua_setglobal(lua_, name);
  }

  ScriptLimits limits_;
  lua_State* lua_;
};

void compare(std::string (LibraryCalls::*next)()) {
  const std::uint64_t seed = from_environment("MEMENTO_SEED", std::random_device{}());
  SCOPED_TRACE("MEMENTO_SEED=" + std::to_string(seed));
  RedisServer redis_server;
  Peer redis("redis", redis_server.port());
  Interpreter ours;
  LibraryCalls calls(seed);
  const std::uint64_t count = from_environment("MEMENTO_COMMANDS", 20'000);
  for (std::uint64_t made = 0; made < count; made += kBatch) {
    std::vector<Words> batch;
    std::vector<std::string> texts;
    while (texts.size() < kBatch) {
      texts.push_back((calls.*next)());
      batch.push_back({"EVAL", LibraryCalls::script(texts.back()), "0"});
    }
    batch.push_back({"SCRIPT", "FLUSH"});  // it keeps all that it ran
    const std::vector<std::string> expected = redis.ask(batch);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string result = ours.run(batch[i][1]);
      const std::string reply = "$" + std::to_string(result.size()) + "\r\n" + result + "\r\n";
      ASSERT_EQ(i < expected.size() ? printable(expected[i]) : "the end of the connection", printable(reply))
          << texts[i];
    }
  }
}

// With Lua's own functions in one interpreter, and ours in another.
void compare_with_lua(std::string (LibraryCalls::*next)()) {
  const std::uint64_t seed = from_environment("MEMENTO_SEED", std::random_device{}());
  SCOPED_TRACE("MEMENTO_SEED=" + std::to_string(seed));
  Interpreter lua;
  Interpreter ours;
  ours.replace_functions();
  LibraryCalls calls(seed);
  for (std::uint64_t left = from_environment("MEMENTO_COMMANDS", 20'000); left > 0; --left) {
    const std::string call = (calls.*next)();
    const std::string script = LibraryCalls::script(call);
    ASSERT_EQ(printable(lua.run(script)), printable(ours.run(script))) << call;
  }
}

// Matches, captures, replacements, errors.
TEST(DifferentialLibraries, Patterns) { compare_with_lua(&LibraryCalls::next_string); }

// Results, what became of the tables, errors, and the order of what is equal.
TEST(DifferentialLibraries, Tables) { compare_with_lua(&LibraryCalls::next_table); }

// Bytes, values, positions and errors of struct.
TEST(DifferentialLibraries, Struct) { compare(&LibraryCalls::next_struct); }

// Bytes, values, offsets and errors of cmsgpack.
TEST(DifferentialLibraries, Cmsgpack) { compare(&LibraryCalls::next_cmsgpack); }

}  // namespace
}  // namespace memento::testing
