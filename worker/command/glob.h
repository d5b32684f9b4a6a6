// Glob patterns as Redis matches them: * ? [a-z] [^x] and \ for a literal. Linear in practice: a failed match
// goes back to the last * only.
#pragma once

#include <string_view>

namespace memento {

bool glob_match(std::string_view pattern, std::string_view text);
/// The same for keys, which a lone * all matches.
inline bool key_matches(std::string_view pattern, std::string_view key) {
  return pattern == "*" || glob_match(pattern, key);
}
bool is_subsequence(std::string_view pattern, std::string_view text);

}  // namespace memento
