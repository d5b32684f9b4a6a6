// The libraries of scripts that are our own, against redis-server's, and our functions of `string` and
// `table` against Lua's: the same random calls in Lua give the same values, bytes and errors. MEMENTO_SEED
// repeats a failure, MEMENTO_COMMANDS sets how many calls are made.
#include <gtest/gtest.h>

#include <random>

#include "tests/differential/library_calls.h"
#include "tests/differential/peer.h"
#include "tests/differential/printable.h"
#include "tests/worker/script/library_state.h"

namespace memento::testing {
namespace {

constexpr std::size_t kBatch = 200;

constexpr std::size_t kMemoryBytes = std::size_t{256} << 20;
constexpr const char* kNoString = "no string";
constexpr const char* kNoMemory = "not enough memory";

void compare(std::string (LibraryCalls::*next)()) {
  const std::uint64_t seed = from_environment("MEMENTO_SEED", std::random_device{}());
  SCOPED_TRACE("MEMENTO_SEED=" + std::to_string(seed));
  RedisServer redis_server;
  Peer redis("redis", redis_server.port());
  LibraryState ours(kMemoryBytes);
  LibraryCalls calls(seed);
  const std::uint64_t count = from_environment("MEMENTO_COMMANDS", 8'000);
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

// One of them, or both at different places, had no memory for strings this long: how much they need on their
// way to the same result is their own affair.
bool is_near_the_limit(const std::string& expected, const std::string& result) {
  const bool is_short = expected.find(kNoMemory) != std::string::npos;
  if (is_short == (result.find(kNoMemory) != std::string::npos)) return is_short;
  return (is_short ? result : expected).size() > kMemoryBytes / 8;
}

// With Lua's own functions in one interpreter, and ours in another.
void compare_with_lua(std::string (LibraryCalls::*next)()) {
  const std::uint64_t seed = from_environment("MEMENTO_SEED", std::random_device{}());
  SCOPED_TRACE("MEMENTO_SEED=" + std::to_string(seed));
  LibraryState lua(kMemoryBytes);
  LibraryState ours(kMemoryBytes);
  ours.replace_functions();
  LibraryCalls calls(seed);
  for (std::uint64_t left = from_environment("MEMENTO_COMMANDS", 8'000); left > 0; --left) {
    const std::string call = (calls.*next)();
    const std::string script = LibraryCalls::script(call);
    const std::string expected = lua.run(script, kNoString), result = ours.run(script, kNoString);
    if (is_near_the_limit(expected, result)) continue;
    ASSERT_EQ(printable(expected), printable(result)) << call;
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
