// The one command table. Constant; any process.
#pragma once

#include <span>
#include <string_view>

#include "worker/command/command.h"

namespace memento {

/// All commands, grouped, in the order HELP lists them.
std::span<const Command> all_commands();

/// The command of that name in any case, or nullptr.
const Command* find_command(std::string_view name);

std::string_view group_title(CommandGroup group);

}  // namespace memento
