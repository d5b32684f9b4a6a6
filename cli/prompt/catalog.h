// The commands as the prompt knows them: names, syntax and what they do, for completion, hints and help.
//
// The server's own command table is linked into the tool (without handlers); another server's COMMAND DOCS
// adds what it has beyond that. Nothing about a command is written here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/show/reply.h"

namespace memento::cli {

struct CommandEntry {
  std::string name;  ///< upper case; a subcommand's is "CONFIG GET"
  std::string arguments;
  std::string summary;
  std::string group;
  std::string since;
};

class Catalog {
 public:
  /// What is in the server's command table.
  Catalog();

  /// Takes a server's own description of its commands: COMMAND DOCS, in RESP2 or RESP3. Any other reply
  /// changes nothing.
  void replace_by(const Reply& docs);

  /// The command or subcommand that the words at the front of a request name, or nullptr. `word_count`: how
  /// many do.
  const CommandEntry* find(const std::vector<std::string>& words, std::size_t* word_count) const;

  /// Commands, each followed by its subcommands, group by group.
  const std::vector<CommandEntry>& entries() const { return entries_; }

  /// What may stand in place of the last of `words`, which begins so: names, subcommands, words of the
  /// syntax.
  std::vector<std::string> completions(const std::vector<std::string>& words) const;

  /// The rest of the syntax behind a request's finished words; empty when it is no known command.
  std::string hint(const std::vector<std::string>& words, bool ends_in_blank) const;

 private:
  void add_documents(const std::string& container, const Reply& docs);

  std::vector<CommandEntry> entries_;
};

/// A syntax's parts: "key value [NX | XX] [EX s | PX ms]" has four.
std::vector<std::string> syntax_parts(std::string_view syntax);

/// COMMAND DOCS' `arguments` as one line.
std::string syntax_of(const Reply& arguments);

}  // namespace memento::cli
