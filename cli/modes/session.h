// How memento-cli talks to a server without a terminal: one command, or a script. prompt.h is the third way,
// and shares what is here.
//
// Each returns the tool's exit status. The tool's own messages go to stderr, with what to do next; so do
// error replies, but for those of plain text sessions (options.h), which stay in their place among the
// replies.
#pragma once

#include <string>
#include <string_view>

#include "cli/options.h"

namespace memento::cli {

/// The request a typed line stands for: no blanks around it, `help` in any case as HELP. Empty: nothing to
/// send.
std::string request_of(std::string_view line);

/// The words of a typed line: parted by blanks, quoted as in a shell. An error says what is wrong with the
/// quotes.
Result<Words> words_of(std::string_view line);

/// True for QUIT and EXIT in any case.
bool is_quit(std::string_view request);

/// True for commands whose replies go on until the connection ends: SUBSCRIBE and its like, MONITOR.
bool is_endless(std::string_view command);
/// True for commands that RESP3 answers by pushes alone.
bool is_answered_by_push(std::string_view command);

/// One line on stderr, after the tool's name.
void complain(const std::string& message);
/// The error of a connection, and what to do next; the exit status.
CliStatus complain_of(const Error& error, const Endpoint& endpoint);

/// Connects; when that fails stderr says why, and what to do.
Result<Connection> connect_or_complain(const Endpoint& endpoint);

/// Writes to stdout, and says so once when that fails; false then.
bool write_output(std::string_view bytes);

/// Writes a reply to stdout, an error reply of RESP to stderr; what that means for the exit status.
CliStatus print_reply(const Reply& reply, const Options& options, std::string_view where = {});

/// Prints what comes until Ctrl-C or the connection's end.
CliStatus print_stream(Connection& connection, const Options& options);

CliStatus run_command(const Options& options);

/// One command a line from the descriptor until its end, or a QUIT. A chunk's commands are sent ahead of
/// their replies (bounded), and all replies of a chunk are written before more input is waited for.
CliStatus run_script(const Options& options);

}  // namespace memento::cli
