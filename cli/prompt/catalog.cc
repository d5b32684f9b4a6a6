// See catalog.h.
#include "cli/prompt/catalog.h"

#include <algorithm>

#include "worker/command/command_table.h"
#include "worker/text/words.h"

namespace memento::cli {
namespace {

constexpr std::size_t kDocumentDepth = 8;  // of COMMAND DOCS' arguments within arguments

std::string upper_case(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return upper;
}

CommandEntry entry_of(const Command& command) {
  std::string name(command.name);
  std::ranges::replace(name, '|', ' ');
  return CommandEntry{name, std::string(command.arguments), std::string(command.summary),
                      std::string(group_title(command.group)), std::string(command.since)};
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && is_word(text.substr(0, prefix.size()), upper_case(prefix));
}

/// The words of a syntax in capitals: its options.
std::vector<std::string> options_of(std::string_view syntax) {
  std::vector<std::string> options;
  std::string word;
  const auto end_word = [&] {
    const bool is_option = word.size() > 1 &&
                           std::ranges::none_of(word, [](char c) { return c >= 'a' && c <= 'z'; }) &&
                           word[0] >= 'A' && word[0] <= 'Z';
    if (is_option && std::ranges::find(options, word) == options.end()) options.push_back(word);
    word.clear();
  };
  for (const char c : syntax) {
    if (std::string_view(" []|").find(c) != std::string_view::npos) {
      end_word();
    } else {
      word += c;
    }
  }
  end_word();
  return options;
}

/// What an option's value is called: "s" for EX in "[EX s | PX ms]"; empty: it has none, or is no option of
/// this syntax.
std::string value_of_option(std::string_view syntax, std::string_view option) {
  for (std::size_t at = 0; (at = syntax.find(option, at)) != syntax.npos; at += option.size()) {
    const std::size_t end = at + option.size();
    const bool is_word_of_its_own =
        (at == 0 || std::string_view(" [").find(syntax[at - 1]) != std::string_view::npos) &&
        end < syntax.size() && syntax[end] == ' ';
    if (!is_word_of_its_own) continue;
    const std::string_view rest = syntax.substr(end + 1);
    const std::size_t value_end = rest.find_first_of(" ]|[");
    const std::string_view value = rest.substr(0, value_end);
    if (!value.empty() && options_of(value).empty()) return std::string(value);
  }
  return "";
}

std::string flags_of(const Reply& argument) {
  std::string flags;
  if (const Reply* list = argument.field("flags")) {
    for (const Reply& flag : list->elements) flags.append(flag.text).append(" ");
  }
  return flags;
}

std::string argument_syntax(const Reply& argument, std::size_t depth);

std::string joined_syntax(const Reply& arguments, const char* separator, std::size_t depth) {
  std::string text;
  for (const Reply& argument : arguments.elements) {
    const std::string one = argument_syntax(argument, depth + 1);
    if (!one.empty()) text.append(text.empty() ? "" : separator).append(one);
  }
  return text;
}

std::string argument_syntax(const Reply& argument, std::size_t depth) {
  if (depth > kDocumentDepth) return "...";
  const auto text_of = [&](const char* name) {
    const Reply* value = argument.field(name);
    return value != nullptr ? value->to_text() : std::string();
  };
  const std::string type = text_of("type");
  const std::string token = text_of("token");
  const std::string flags = flags_of(argument);
  std::string text;
  const Reply* inner = argument.field("arguments");
  if (type == "oneof" && inner != nullptr) {
    text = joined_syntax(*inner, " | ", depth);
  } else if (type == "block" && inner != nullptr) {
    text = joined_syntax(*inner, " ", depth);
  } else if (type != "pure-token") {
    text = text_of("display_text").empty() ? text_of("name") : text_of("display_text");
  }
  if (!token.empty()) text = token + (text.empty() ? "" : " " + text);
  if (flags.find("multiple") != flags.npos) text += " [" + text + " ...]";
  const bool is_optional = flags.find("optional") != flags.npos;
  if (is_optional) return "[" + text + "]";
  return type == "oneof" && depth < 2 ? "<" + text + ">" : text;
}

}  // namespace

std::vector<std::string> syntax_parts(std::string_view syntax) {
  std::vector<std::string> parts;
  int depth = 0;
  std::string part;
  for (const char c : syntax) {
    if (c == '[' || c == '<') ++depth;
    if (c == ']' || c == '>') --depth;
    if (c == ' ' && depth == 0) {
      if (!part.empty()) parts.push_back(part);
      part.clear();
    } else {
      part += c;
    }
  }
  if (!part.empty()) parts.push_back(part);
  return parts;
}

std::string syntax_of(const Reply& arguments) { return joined_syntax(arguments, " ", 0); }

Catalog::Catalog() {
  for (const Command& command : all_commands()) {
    entries_.push_back(entry_of(command));
    if (!command.has(kContainer)) continue;
    for (const Command& subcommand : subcommands_of(command)) {
      entries_.push_back(entry_of(subcommand));
      entries_.back().group = entries_[entries_.size() - 2].group;
    }
  }
}

void Catalog::replace_by(const Reply& docs) {
  if (!docs.is_aggregate() || docs.elements.size() < 2) return;
  entries_.clear();
  add_documents("", docs);
  std::ranges::stable_sort(entries_, {}, &CommandEntry::group);
}

void Catalog::add_documents(const std::string& container, const Reply& docs) {
  const std::string group_before = entries_.empty() ? "" : entries_.back().group;
  for (std::size_t i = 0; i + 1 < docs.elements.size(); i += 2) {
    const Reply& facts = docs.elements[i + 1];
    if (!facts.is_aggregate()) continue;
    const auto text_of = [&](const char* name) {
      const Reply* value = facts.field(name);
      return value != nullptr ? value->to_text() : std::string();
    };
    std::string name = upper_case(docs.elements[i].text);
    std::ranges::replace(name, '|', ' ');
    CommandEntry entry{name, text_of("syntax"), text_of("summary"), text_of("group"), text_of("since")};
    if (!container.empty()) entry.group = group_before;
    if (const Reply* arguments = facts.field("arguments")) entry.arguments = syntax_of(*arguments);
    entries_.push_back(std::move(entry));
    const Reply* subcommands = facts.field("subcommands");
    if (container.empty() && subcommands != nullptr) add_documents(name, *subcommands);
  }
}

const CommandEntry* Catalog::find(const std::vector<std::string>& words, std::size_t* word_count) const {
  const CommandEntry* found = nullptr;
  if (words.empty()) return nullptr;
  const std::string two = words.size() > 1 ? words[0] + " " + words[1] : std::string();
  for (const CommandEntry& entry : entries_) {
    if (found == nullptr && is_word(words[0], entry.name)) {
      found = &entry;
      *word_count = 1;
    }
    if (!two.empty() && is_word(two, entry.name)) {
      *word_count = 2;
      return &entry;
    }
  }
  return found;
}

std::vector<std::string> Catalog::completions(const std::vector<std::string>& words) const {
  std::vector<std::string> found;
  if (words.empty()) return found;
  const std::string& begun = words.back();
  if (words.size() == 1 || (words.size() == 2 && is_word(words[0], "HELP"))) {
    for (const CommandEntry& entry : entries_) {
      if (entry.name.find(' ') == std::string::npos && starts_with_ignoring_case(entry.name, begun))
        found.push_back(entry.name);
    }
    std::ranges::sort(found);
    return found;
  }
  const std::vector<std::string> before(words.begin(), words.end() - 1);
  if (words.size() == 2) {
    for (const CommandEntry& entry : entries_) {
      const std::size_t space = entry.name.find(' ');
      if (space != std::string::npos && is_word(words[0], entry.name.substr(0, space)) &&
          starts_with_ignoring_case(std::string_view(entry.name).substr(space + 1), begun))
        found.push_back(entry.name.substr(space + 1));
    }
  }
  std::size_t word_count = 0;
  const CommandEntry* entry = find(before, &word_count);
  if (entry == nullptr) return found;
  for (const std::string& option : options_of(entry->arguments)) {
    const bool is_given =
        std::ranges::any_of(before, [&](const std::string& word) { return is_word(word, option); });
    if (!is_given && starts_with_ignoring_case(option, begun)) found.push_back(option);
  }
  return found;
}

std::string Catalog::hint(const std::vector<std::string>& words, bool ends_in_blank) const {
  std::size_t word_count = 0;
  const CommandEntry* entry = find(words, &word_count);
  if (entry == nullptr) return "";
  if (words.size() < word_count || (words.size() == word_count && !ends_in_blank)) {
    return entry->arguments.empty() ? "" : " " + entry->arguments;
  }
  const std::vector<std::string> parts = syntax_parts(entry->arguments);
  const std::string value =
      words.size() > word_count + 1 ? value_of_option(entry->arguments, upper_case(words.back())) : "";
  if (!value.empty()) return ends_in_blank ? value : " " + value;
  std::size_t given = words.size() - word_count;
  std::string text;
  std::size_t required = 0;
  while (required < parts.size() && parts[required][0] != '[') ++required;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i < required) {
      if (i >= given) text.append(text.empty() ? "" : " ").append(parts[i]);
      continue;
    }
    // An option that was given is not asked for again; what may be repeated stays.
    const std::vector<std::string> options = options_of(parts[i]);
    const bool is_given = std::ranges::any_of(options, [&](const std::string& option) {
      return std::ranges::any_of(words, [&](const std::string& word) { return is_word(word, option); });
    });
    if (is_given) continue;
    const bool is_plain = options.empty() && parts[i].find("...") == std::string::npos;
    if (is_plain && given > i) continue;
    text.append(text.empty() ? "" : " ").append(parts[i]);
  }
  if (text.empty()) return "";
  return ends_in_blank ? text : " " + text;
}

}  // namespace memento::cli
