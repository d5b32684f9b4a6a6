// LibraryCalls: random calls of the libraries that scripts have, as text in Lua. Most make sense, some have
// wrong, hostile or missing arguments. The same seed gives the same calls.
#pragma once

#include <string>
#include <string_view>

#include "tests/differential/random_choice.h"

namespace memento::testing {

class LibraryCalls : private RandomChoice {
 public:
  explicit LibraryCalls(std::uint64_t seed) : RandomChoice(seed) {}

  std::string next_struct();
  std::string next_cmsgpack();
  std::string next_string();
  std::string next_table();

  /// A script that gives all values of the call, or its error, as one line of text.
  static std::string script(const std::string& call);

 private:
  std::string bytes(std::size_t limit);
  std::string number();
  std::string text();
  std::string value(int depth);
  std::string table(int depth);
  std::string format();
  std::string arguments(std::string_view format);
  std::string packed(int depth);
  std::string pattern_item();
  std::string pattern();
  std::string elements();
};

}  // namespace memento::testing
