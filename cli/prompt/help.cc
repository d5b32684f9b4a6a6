// See help.h.
#include "cli/prompt/help.h"

#include "cli/show/format.h"
#include "worker/text/words.h"

namespace memento::cli {
namespace {

constexpr std::size_t kNameColumns = 18;
constexpr const char* kBold = "1";

std::string padded(const std::string& text, std::size_t columns) {
  return text.size() < columns ? text + std::string(columns - text.size(), ' ') : text + " ";
}

std::string line_of(const CommandEntry& entry) {
  return "  " + padded(entry.name, kNameColumns) + entry.summary + "\n";
}

std::string command_help(const CommandEntry& entry, bool colour) {
  std::string text = "  " + styled(entry.name, kBold, colour) +
                     (entry.arguments.empty() ? "" : " " + entry.arguments) + "\n";
  text += "  " + entry.summary + "\n";
  text += "  Group: " + entry.group;
  if (entry.since == "memento") {
    text += "; memento's own";
  } else if (!entry.since.empty()) {
    text += "; in Redis since " + entry.since;
  }
  return text + "\n";
}

}  // namespace

std::string help_text(const Catalog& catalog, const std::vector<std::string>& words, bool colour) {
  std::string text;
  std::string group;
  if (!words.empty()) {
    std::size_t word_count = 0;
    const CommandEntry* found = catalog.find(words, &word_count);
    if (found != nullptr) {
      text = command_help(*found, colour);
      for (const CommandEntry& entry : catalog.entries()) {
        if (entry.name.starts_with(found->name + " ")) text += line_of(entry);
      }
      return text;
    }
    for (const CommandEntry& entry : catalog.entries()) {
      const bool is_group = lower_case(entry.group).find(lower_case(words[0])) != std::string::npos;
      if (is_group && entry.name.find(' ') == std::string::npos) text += line_of(entry);
    }
    return text.empty()
               ? "There is no command or group " + without_controls(words[0]) + "; `help` lists them.\n"
               : text;
  }
  for (const CommandEntry& entry : catalog.entries()) {
    if (entry.name.find(' ') != std::string::npos) continue;
    if (entry.group != group) {
      group = entry.group;
      text += (text.empty() ? "" : "\n") + styled(group, kBold, colour) + "\n";
    }
    text += line_of(entry);
  }
  return text + "\n`help COMMAND` says more about one, `:help` about the prompt itself.\n";
}

std::string own_help_text() {
  return "  :output type|raw|json|csv|quoted   how replies are shown\n"
         "  :pretty [on|off]                   values that are JSON over several lines\n"
         "  :connect URI | HOST PORT           another server\n"
         "  Tab completes, Ctrl-R searches the history, Ctrl-C drops the line or ends a wait, Ctrl-D "
         "leaves.\n"
         "  Words with blanks stand in \"quotes\", which know \\n \\t \\\" \\xHH; an open quote goes on in "
         "the next line.\n";
}

}  // namespace memento::cli
