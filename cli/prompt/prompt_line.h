// The prompt's line while it is typed, and the prompt's own commands, which begin with a colon. Pure.
#pragma once

#include <string>
#include <vector>

namespace memento::cli {

/// A line's finished words and the one being typed, for completion and hints; quotes may be open.
std::vector<std::string> typed_words(const std::string& line, bool* ends_in_blank);

/// True when a double quote is open at the line's end: the next line belongs to it.
bool is_unfinished(const std::string& line);

/// True for lines that the prompt executes itself.
bool is_own(const std::string& line);
std::string own_hint(const std::string& line);
/// What may replace the last word; sets how many bytes it has.
std::vector<std::string> own_completions(const std::string& line, std::size_t* begun_bytes);

}  // namespace memento::cli
