// A library of functions: what its text says of it, and its functions, which it registers while it is loaded.
// Runs in workers.
//
//   #!lua name=mylib
//   redis.register_function('f', function(keys, args) return args[1] end)
//
// The text is run once (Interpreter::load_library()); it sees redis.register_function, redis.log and
// constants, and nothing else. Then its functions see what scripts see, but for KEYS and ARGV.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/script/lua.h"

namespace memento {

struct LibraryFunction {
  enum Flag : std::uint8_t {
    kNoWrites = 1,
    kAllowOom = 2,
    kAllowStale = 4,
    kNoCluster = 8,
    kAllowCrossSlotKeys = 16
  };

  std::string name;
  std::optional<std::string> description;
  std::uint8_t flags = 0;
  int chunk = LUA_NOREF;  ///< Interpreter::Chunk, while the library is loaded
};

/// The flags' names, in Redis's order.
struct FunctionFlagName {
  LibraryFunction::Flag flag;
  const char* name;
};
inline constexpr FunctionFlagName kFunctionFlags[] = {
    {LibraryFunction::kNoWrites, "no-writes"},
    {LibraryFunction::kAllowOom, "allow-oom"},
    {LibraryFunction::kAllowStale, "allow-stale"},
    {LibraryFunction::kNoCluster, "no-cluster"},
    {LibraryFunction::kAllowCrossSlotKeys, "allow-cross-slot-keys"}};

struct FunctionLibrary {
  static constexpr std::size_t kNameLimitBytes = 1024;
  static constexpr std::size_t kFunctionLimit = 10'000;
  static constexpr std::size_t kWordsLimitBytes = 1 << 20;  ///< of names and descriptions

  std::string name;
  std::vector<LibraryFunction> functions;
};

/// Takes the first line of a library's text, but not its end, so that lines keep their numbers. Not empty:
/// what is wrong with it.
std::string take_library_line(std::string_view* text, std::string* name);

/// Whether it may be the name of a library or a function.
bool is_library_word(std::string_view word);

}  // namespace memento
