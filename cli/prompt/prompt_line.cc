// See prompt_line.h.
#include "cli/prompt/prompt_line.h"

#include <utility>

namespace memento::cli {
namespace {

struct OwnCommand {
  const char* name;
  const char* arguments;
  std::vector<std::string> values;  ///< what its argument may be
};
const OwnCommand kOwnCommands[] = {
    {":connect", "URI | HOST PORT", {}},
    {":help", "", {}},
    {":output", "type | raw | json | csv | quoted", {"csv", "json", "quoted", "raw", "type"}},
    {":pretty", "on | off", {"off", "on"}}};

}  // namespace

std::vector<std::string> typed_words(const std::string& line, bool* ends_in_blank) {
  std::vector<std::string> words;
  std::string word;
  bool is_begun = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == '\\' && i + 1 < line.size()) ++i;
      if (c == quote) quote = 0;
      word += c;
    } else if (c == ' ' || c == '\t') {
      if (is_begun) words.push_back(std::exchange(word, {}));
      is_begun = false;
    } else {
      if (c == '"' || c == '\'') quote = c;
      word += c;
      is_begun = true;
    }
  }
  *ends_in_blank = !is_begun;
  if (is_begun) words.push_back(word);
  return words;
}

bool is_unfinished(const std::string& line) {
  bool is_open = false;
  bool is_single = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\' && (is_open || is_single)) {
      ++i;
    } else if (line[i] == '"' && !is_single) {
      is_open = !is_open;
    } else if (line[i] == '\'' && !is_open) {
      is_single = !is_single;
    }
  }
  return is_open;
}

bool is_own(const std::string& line) {
  const std::size_t first = line.find_first_not_of(" \t");
  return first != line.npos && line[first] == ':';
}

std::string own_hint(const std::string& line) {
  for (const OwnCommand& command : kOwnCommands) {
    if (line == command.name) return command.arguments[0] == '\0' ? "" : std::string(" ") + command.arguments;
    if (line == std::string(command.name) + " ") return command.arguments;
  }
  return "";
}

std::vector<std::string> own_completions(const std::string& line, std::size_t* begun_bytes) {
  const std::size_t space = line.find(' ');
  const std::string begun = space == line.npos ? line : line.substr(line.rfind(' ') + 1);
  *begun_bytes = begun.size();
  std::vector<std::string> candidates;
  for (const OwnCommand& command : kOwnCommands) {
    if (space == line.npos) {
      candidates.emplace_back(command.name);
    } else if (line.substr(0, space) == command.name) {
      candidates = command.values;
    }
  }
  std::erase_if(candidates, [&](const std::string& candidate) { return !candidate.starts_with(begun); });
  return candidates;
}

}  // namespace memento::cli
