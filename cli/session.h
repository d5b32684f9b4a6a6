// How memento-cli talks to a server without a terminal: one command, or a script from stdin. prompt.h is the
// third way, and shares what is here.
//
// Each returns the tool's exit status. Replies, errors among them, go to stdout; what the tool itself has to
// say goes to stderr, with what to do next.
#pragma once

#include <string>
#include <string_view>

#include "cli/client.h"

namespace memento {

/// memento-cli's exit statuses; part of its manual page.
enum class CliStatus : int { kOk = 0, kErrorReply = 1, kUsage = 2, kNoConnection = 3 };

/// The request a typed line stands for: no blanks around it, `help` in any case as HELP. Empty: nothing to
/// send.
std::string request_of(std::string_view line);

/// True for QUIT and EXIT in any case.
bool is_quit(std::string_view request);

/// One line on stderr, after the tool's name.
void complain(const std::string& message);

/// A reply and a line end on stdout.
void print_reply(const std::string& reply);

/// Connects; when that fails stderr says why, and what to do.
Result<Client> connect_or_complain(const Address& address);

CliStatus run_command(const Address& address, const std::string& command);

/// One command a line from the descriptor until its end, or a QUIT. A chunk's commands are sent ahead of
/// their replies (bounded), and all replies of a chunk are written before more input is waited for.
CliStatus run_script(const Address& address, int input);

}  // namespace memento
