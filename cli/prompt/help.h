// The prompt's help, from the catalog. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/prompt/catalog.h"

namespace memento::cli {

/// All commands by group, or what the words name: a command, a container's subcommands, or a group.
std::string help_text(const Catalog& catalog, const std::vector<std::string>& words, bool colour);

/// The prompt's own commands and keys.
std::string own_help_text();

}  // namespace memento::cli
