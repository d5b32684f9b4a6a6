// Glob patterns as Redis matches them: * ? [a-z] [^x] and \ for a literal. Linear in practice: a failed match
// goes back to the last * only.
#pragma once

#include <string_view>

namespace memento {

bool glob_match(std::string_view pattern, std::string_view text);
bool is_subsequence(std::string_view pattern, std::string_view text);

}  // namespace memento
