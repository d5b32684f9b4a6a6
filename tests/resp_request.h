// A request as Redis's clients send it, and an array of strings as servers answer it.
#pragma once

#include <string>
#include <string_view>

namespace memento::testing {

/// `words`: a range of strings.
template <class Words>
std::string resp_request(const Words& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words)
    bytes.append("$" + std::to_string(word.size()) + "\r\n").append(word).append("\r\n");
  return bytes;
}

}  // namespace memento::testing
