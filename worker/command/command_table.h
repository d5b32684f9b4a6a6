// The one command table, and finding a row of it. The rows are in command_rows.h. Constant; any process.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "worker/command/command.h"

namespace memento {

/// All commands, grouped, in the order HELP lists them.
std::span<const Command> all_commands();
/// The rows of the containers' subcommands, those of one container together.
std::span<const Command> all_subcommands();
std::span<const Command> subcommands_of(const Command& container);

/// The command of that name in any case, or nullptr.
const Command* find_command(std::string_view name);

/// The command of a name of at most eight letters and no underscore in any case, or nullptr: the name is the
/// first `length` of the bytes of `letters`, from the lowest on. REQUIRES: 1 <= length <= 8.
const Command* find_brief_command(std::uint64_t letters, std::size_t length);

/// The subcommand of that name in any case; the container itself when it has none of that name.
const Command* find_subcommand(const Command& container, std::string_view name);

/// For a container the subcommand that words[1] names, when there is one; else the command itself.
inline const Command* resolve_subcommand(const Command* command, std::span<const std::string_view> words) {
  if (command == nullptr || !command->has(kContainer) || words.size() < 2) [[likely]]
    return command;
  return find_subcommand(*command, words[1]);
}

std::string_view group_title(CommandGroup group);
/// The group as Redis's COMMAND DOCS names it.
std::string_view group_name(CommandGroup group);

}  // namespace memento
