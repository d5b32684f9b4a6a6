// Passwords on their way in: asked for at the terminal, hidden in argv.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace memento::cli {

/// A line typed at the terminal without showing it; nothing without a terminal.
std::optional<std::string> ask_password();

/// Overwrites passwords among the tool's arguments, so that `ps` does not show them. Those from the first
/// word on that `is_command` are no longer the tool's.
void hide_passwords(int argc, char** argv, const std::function<bool(std::string_view)>& is_command);

}  // namespace memento::cli
