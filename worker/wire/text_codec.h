// The text protocol's requests: one a line, ended by \n or \r\n; words parted by spaces. A command may declare
// that one of its arguments takes the rest of the line as it is, so that a value may hold spaces. Runs in workers.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace memento {

/// A request's words, pointing into the line. args[0] is the command as typed.
using Arguments = std::vector<std::string_view>;

/// The line at the front of `bytes` without its end; false when it is not whole yet. `scanned` (in and out) is how
/// many bytes are known to hold no \n. `taken`: bytes of the line and its end.
bool next_line(std::string_view bytes, std::size_t* scanned, std::string_view* line, std::size_t* taken);

/// Cuts the first word off `line`; empty when there is none. What is left begins with the separator.
std::string_view take_word(std::string_view* line);

/// Appends the words of `line` to `arguments`. The `rest_index`-th word of the request (0: none has it) is all that
/// follows one space after the word before it, be it empty. `count` is how many words the request has so far.
void split_words(std::string_view line, std::size_t rest_index, std::size_t count, Arguments* arguments);

}  // namespace memento
