// Passwords on their way in: asked for at the terminal, hidden in argv.
#pragma once

#include <optional>
#include <string>

namespace memento::cli {

/// A line typed at the terminal without showing it; nothing without a terminal.
std::optional<std::string> ask_password();

/// Overwrites passwords among the arguments, so that `ps` does not show them.
void hide_passwords(int argc, char** argv);

}  // namespace memento::cli
