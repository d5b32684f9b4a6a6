// The arguments of a command as a tree, out of the line that HELP shows: words in upper case stand for
// themselves, others for what a client puts there; [ ] may be left out, | separates alternatives, and ... at
// the end of [ ] says that what is in it may come again. Data and pure functions; any process.
#pragma once

#include <string_view>
#include <vector>

namespace memento {

struct Argument {
  enum class Kind { kValue, kToken, kOneOf, kBlock };
  Kind kind = Kind::kValue;
  std::string_view word;  ///< kValue, kToken
  bool is_optional = false;
  bool may_repeat = false;
  std::vector<Argument> parts;  ///< kOneOf, kBlock

  bool operator==(const Argument&) const = default;
  /// What it is called: its word, or that of its first part.
  std::string_view name() const { return parts.empty() ? word : parts.front().name(); }
};

/// `key [key ...]` is one argument that may repeat.
std::vector<Argument> parse_arguments(std::string_view line);

}  // namespace memento
