// memento-cli: the command line client. Splits its arguments into its own (options, HOST, PORT) and a
// command, and picks the way to run: a command given, a prompt at a terminal, else a script from stdin.
//
// The split comes before CLI11 sees anything: all after PORT is the command, verbatim, so that `INC key -5`
// or `ECHO --help` reach the server. The tool's own options are therefore flags and stand first.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <clocale>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/prompt.h"
#include "cli/session.h"

namespace memento {
namespace {

constexpr int kOwnPositionalCount = 2;  // HOST PORT

/// The index of the first argument that belongs to the command.
int command_begin(int argc, char** argv) {
  int positional_count = 0;
  int index = 1;
  for (; index < argc && positional_count < kOwnPositionalCount; ++index) {
    if (argv[index][0] != '-') ++positional_count;
  }
  return index;
}

int main_of_cli(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "");
  const int begin = command_begin(argc, argv);
  const std::vector<std::string> words(argv + begin, argv + argc);

  Address address;
  CLI::App app(
      "The command line client of memento: a prompt at a terminal, a script when stdin is not one,\n"
      "or one command given after HOST and PORT.",
      "memento-cli");
  app.footer(
      "Exit status: 0 done, 1 a reply was an error, 2 wrong usage, 3 no connection.\n"
      "Examples:\n"
      "  memento-cli\n"
      "  memento-cli 127.0.0.1 6737 SET city Turin\n"
      "  printf 'SET a 1\\nINC a\\n' | memento-cli");
  app.add_option("HOST", address.host, "The server's name or address")->capture_default_str();
  app.add_option("PORT", address.port, "The server's port")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  std::vector<std::string> unused;  // for --help alone: the command is never among the arguments parsed here
  app.add_option("COMMAND", unused, "A command and its arguments, sent as they are");
  try {
    app.parse(begin, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : static_cast<int>(CliStatus::kUsage);
  }

  if (!words.empty()) return static_cast<int>(run_command(address, CLI::detail::join(words, " ")));
  if (isatty(STDIN_FILENO) != 0) return static_cast<int>(run_prompt(address));
  return static_cast<int>(run_script(address, STDIN_FILENO));
}

}  // namespace
}  // namespace memento

int main(int argc, char** argv) { return memento::main_of_cli(argc, argv); }
