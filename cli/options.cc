// See options.h. CLI11 reads the options; as it stops at the first word, what follows HOST and PORT is given
// to it anew.
#include "cli/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "cli/modes/session.h"
#include "cli/net/passwords.h"
#include "worker/command/command_table.h"

namespace memento::cli {
namespace {

/// What is given as text, or chooses among several.
struct Given {
  std::string host;
  std::uint16_t port = 0;
  std::string uri;
  std::string password;
  std::string protocol;
  std::string prefix;
  std::string fuzzy;
  std::vector<std::string> channels;
  double timeout_s = 0;
  bool asks_password = false;
  bool is_typed = false;
};

struct Flag {
  const char* name;
  const char* summary;
  Mode mode;
};
constexpr Flag kModeFlags[] = {
    {"--stat", "A line of figures a second (-i: another interval)", Mode::kStat},
    {"--latency", "Round trips of PING: least, mean, most", Mode::kLatency},
    {"--latency-history", "The same, a line each 15 s (-i)", Mode::kLatencyHistory},
    {"--latency-dist", "Their distribution, a line a second (-i)", Mode::kLatencyDistribution},
    {"--bigkeys", "The keys with the longest values", Mode::kBigKeys},
    {"--memkeys", "The keys that take most memory", Mode::kMemoryKeys},
    {"--hotkeys", "The keys used most while it watches (MONITOR; -i: how long, 10 s)", Mode::kHotKeys},
    {"--scan", "All keys, one a line", Mode::kScan},
    {"--monitor", "Every command that any client has executed", Mode::kMonitor},
};

struct FormatFlag {
  const char* name;
  const char* summary;
  OutputFormat format;
};
constexpr FormatFlag kFormatFlags[] = {
    {"--raw", "The bytes; an element a line (the default when stdout is no terminal)", OutputFormat::kRaw},
    {"--json", "One JSON value a reply", OutputFormat::kJson},
    {"--csv", "One CSV line a reply", OutputFormat::kCsv},
    {"--quoted", "As --raw, strings in quotes with \\xHH", OutputFormat::kQuoted},
    {"--null", "As --raw, but a zero byte behind each element (for xargs -0)", OutputFormat::kNull},
    {"--typed", "By type, as at a terminal", OutputFormat::kByType},
};

void declare_connection(CLI::App& app, Options& options, Given& given) {
  const char* group = "Server";
  app.add_option("-h,--host", given.host, "Its name or address (127.0.0.1)")->group(group);
  app.add_option("-p,--port", given.port, "Its port (6737)")->check(CLI::Range(1, 65535))->group(group);
  app.add_option("-u,--uri", given.uri, "memento://[:password@]host:port, redis://... or unix:///path")
      ->group(group);
  app.add_option("-s,--socket", options.endpoint.socket_path, "Its unix socket")->group(group);
  app.add_option("-a,--password", given.password,
                 "The password; --askpass and MEMENTO_AUTH don't show it to others")
      ->group(group);
  app.add_option("--user", options.endpoint.user, "User the password is of (default)")->group(group);
  app.add_flag("--askpass", given.asks_password, "Ask for the password at the terminal")->group(group);
  app.add_option("-n,--db", options.endpoint.database, "Database to select")
      ->check(CLI::Range(0, 1 << 20))
      ->group(group);
  app.add_option("--protocol", given.protocol, "text, resp2 or resp3")
      ->check(CLI::IsMember({"text", "resp2", "resp3"}))
      ->group(group);
  app.add_option("--timeout", given.timeout_s, "Seconds to wait for the connection and for each reply")
      ->check(CLI::Range(0.001, 86400.0))
      ->group(group);
}

void declare_output(CLI::App& app, Options& options) {
  for (const FormatFlag& flag : kFormatFlags)
    app.add_flag(std::string(flag.name))->description(flag.summary)->group("Output (one of)");
  app.add_flag("--pretty", options.format.pretty, "Values that are JSON over several lines")->group("Output");
}

void declare_scripts(CLI::App& app, Options& options) {
  const char* group = "Scripts";
  app.add_flag("-x", options.last_from_stdin, "The command's last argument is what stdin holds")
      ->group(group);
  app.add_option("-f,--file", options.script_path, "Commands from a file, one a line (-: stdin)")
      ->group(group);
  app.add_option("-r,--repeat", options.repeat_count, "Send the command so often (0: until Ctrl-C)")
      ->group(group);
  app.add_option("-i,--interval", options.interval_s, "Seconds between repetitions, or between lines")
      ->check(CLI::Range(0.0, 86400.0))
      ->group(group);
  app.add_flag("--ignore-errors", options.ignores_errors, "Error replies don't change the exit status")
      ->group(group);
}

void declare_bulk(CLI::App& app, Options& options) {
  const char* group = "Bulk";
  app.add_flag(std::string("--pipe"))
      ->description("Send the commands of stdin, text lines or RESP, as fast as they go")
      ->group(group);
  app.add_option("--import", options.data_path, "Store the records of a .csv or .jsonl file: key, value, ttl")
      ->group(group);
  app.add_option("--export", options.data_path,
                 "Write keys, values and expiry to a .csv or .jsonl file (-: stdout)")
      ->group(group);
  app.add_option("--backup", options.data_path,
                 "Copy the server's data, as of now, to this empty folder; on its machine")
      ->group(group);
  app.add_option("--format", options.data_format, "csv or jsonl, whatever the file's name")
      ->check(CLI::IsMember({"csv", "jsonl"}))
      ->group(group);
  app.add_option("--from-line", options.from_line, "Begin an import at this line of the file")
      ->check(CLI::Range(std::uint64_t{1}, ~std::uint64_t{0}))
      ->group(group);
  app.add_option("--depth", options.depth, "Requests sent ahead of their replies (1000)")
      ->check(CLI::Range(1, 1'000'000))
      ->group(group);
}

void declare_looking(CLI::App& app, Options& options, Given& given) {
  const char* group = "Looking";
  for (const Flag& flag : kModeFlags)
    app.add_flag(std::string(flag.name))->description(flag.summary)->group(group);
  app.add_option("--subscribe", given.channels, "Messages to these channels (* ? [ in a name: a pattern)")
      ->expected(1, 1 << 16)
      ->group(group);
  app.add_option("--pattern", options.pattern, "Only keys that match the glob")->group(group);
  app.add_option("--prefix", given.prefix, "Only keys that begin so")->group(group);
  app.add_option("--fuzzy", given.fuzzy, "Only keys that contain these letters in this order")->group(group);
  app.add_option("--top", options.top_count, "How many keys to list (10)")
      ->check(CLI::Range(1, 100'000))
      ->group(group);
}

CliStatus usage_error(const std::string& message) {
  complain(message);
  complain("`memento-cli --help` lists the options");
  return CliStatus::kUsage;
}

bool is_word_of_tool(const Words& words) {
  if (words.empty()) return false;
  if (words[0] == "top") return words.size() == 1;
  if (words[0] != "cluster" || words.size() < 2) return false;
  return words[1] == "create" || words[1] == "info" || words[1] == "check" || words[1] == "call";
}

/// Takes HOST and PORT off the front of `words` when they are there.
bool take_address(Words* words, Endpoint* endpoint) {
  if (words->empty() || find_command((*words)[0]) != nullptr || is_word_of_tool(*words)) return false;
  const std::optional<std::uint16_t> port = words->size() > 1 ? parse_port((*words)[1]) : std::nullopt;
  const bool looks_like_host = words->size() == 1 || (*words)[0].find_first_of(".:") != std::string::npos;
  if (!port && !looks_like_host) return false;
  endpoint->address.host = (*words)[0];
  if (port) endpoint->address.port = *port;
  words->erase(words->begin(), words->begin() + (port ? 2 : 1));
  return true;
}

/// Parses the options at the front; what is left are words, the first of which is no option.
std::optional<CliStatus> parse_front(CLI::App& app, Words* words) {
  Words reversed(words->rbegin(), words->rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return CliStatus::kOk;
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  *words = app.remaining();
  if (!words->empty() && words->front() == "--") words->erase(words->begin());
  if (!words->empty() && words->front().size() > 1 && words->front()[0] == '-') {
    return usage_error("there is no option " + words->front());
  }
  return std::nullopt;
}

Outcome read_environment(Endpoint* endpoint) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  if (const std::string url = variable("MEMENTO_URI"); !url.empty()) {
    if (Outcome parsed = parse_uri(url, endpoint); !parsed) {
      return Error{ExitStatus::kUsage, 0, "MEMENTO_URI: " + parsed.error().message};
    }
  }
  if (const std::string host = variable("MEMENTO_HOST"); !host.empty()) endpoint->address.host = host;
  if (const std::string port = variable("MEMENTO_PORT"); !port.empty()) {
    const auto number = parse_port(port);
    if (!number) return Error{ExitStatus::kUsage, 0, "MEMENTO_PORT: a port is a number from 1 to 65535"};
    endpoint->address.port = *number;
  }
  if (const std::string password = variable("MEMENTO_AUTH"); !password.empty()) endpoint->password = password;
  return Done{};
}

std::optional<CliStatus> choose_mode(const CLI::App& app, const Given& given, Options* options) {
  std::vector<std::string> chosen;
  const auto choose = [&](const char* name, Mode mode) {
    if (app.count(name) == 0) return;
    chosen.emplace_back(name);
    options->mode = mode;
  };
  for (const Flag& flag : kModeFlags) choose(flag.name, flag.mode);
  choose("--pipe", Mode::kPipe);
  choose("--import", Mode::kImport);
  choose("--export", Mode::kExport);
  choose("--backup", Mode::kBackup);
  choose("--subscribe", Mode::kSubscribe);
  choose("--file", Mode::kScript);
  if (chosen.size() > 1) return usage_error(chosen[0] + " and " + chosen[1] + " can't go together");
  if (!chosen.empty() && !options->command.empty()) {
    return usage_error(chosen[0] + " takes no command, but there is: " + options->command[0]);
  }
  if (options->mode == Mode::kSubscribe) options->command = given.channels;
  if (!chosen.empty()) return std::nullopt;
  if (is_word_of_tool(options->command)) {
    options->mode = options->command[0] == "top" ? Mode::kTop : Mode::kCluster;
  } else if (!options->command.empty()) {
    options->mode = Mode::kCommand;
  } else {
    options->mode = isatty(STDIN_FILENO) != 0 ? Mode::kPrompt : Mode::kScript;
  }
  if (options->last_from_stdin && options->mode != Mode::kCommand) {
    return usage_error(
        "-x needs a command whose last argument it reads, as in: memento-cli -x SET key < FILE");
  }
  return std::nullopt;
}

/// Options that say something in some modes only; elsewhere they are refused rather than ignored.
struct Scope {
  const char* option;
  std::vector<Mode> modes;
};

std::optional<CliStatus> check_scopes(const CLI::App& app, const Options& options) {
  using enum Mode;
  const std::vector<Mode> key_modes = {kScan, kExport, kBigKeys, kMemoryKeys};
  const std::vector<Mode> reply_modes = {kPrompt, kCommand, kScript, kScan, kMonitor, kSubscribe, kCluster};
  std::vector<Scope> scopes = {
      {"--pattern", key_modes},
      {"--prefix", key_modes},
      {"--fuzzy", key_modes},
      {"--top", {kBigKeys, kMemoryKeys, kHotKeys}},
      {"--format", {kImport, kExport}},
      {"--from-line", {kImport}},
      {"--depth", {kPipe, kImport}},
      {"--pretty", {kPrompt, kCommand, kScript, kCluster}},
      {"--ignore-errors", {kCommand, kScript, kPipe, kImport, kCluster}},
      {"--repeat", {kCommand, kStat, kLatencyHistory, kLatencyDistribution}},
      {"--interval", {kCommand, kStat, kTop, kLatency, kLatencyHistory, kLatencyDistribution, kHotKeys}},
  };
  for (const FormatFlag& flag : kFormatFlags) scopes.push_back({flag.name, reply_modes});
  for (const Scope& scope : scopes) {
    const bool is_allowed = std::ranges::find(scope.modes, options.mode) != scope.modes.end();
    if (app.count(scope.option) > 0 && !is_allowed) {
      return usage_error(std::string(scope.option) +
                         " says nothing here; see memento-cli(1) for what it goes with");
    }
  }
  if (options.mode == kCommand && options.has_interval && !options.has_repeat) {
    return usage_error("-i needs -r: how often to send the command");
  }
  return std::nullopt;
}

std::optional<CliStatus> choose_pattern(const CLI::App& app, const Given& given, Options* options) {
  const std::size_t count = app.count("--pattern") + app.count("--prefix") + app.count("--fuzzy");
  if (count > 1) return usage_error("--pattern, --prefix and --fuzzy can't go together");
  if (app.count("--prefix") > 0) options->pattern = glob_of_text(given.prefix) + "*";
  if (app.count("--fuzzy") > 0) {
    options->pattern = "*";
    for (const char letter : given.fuzzy)
      options->pattern += glob_of_text(std::string_view(&letter, 1)) + "*";
  }
  return std::nullopt;
}

/// Whether a line of the words says the same as the words: no blank or line end in one, none empty. A single
/// word is a line as it was given.
bool is_one_line(const Words& words) {
  return words.size() <= 1 || std::ranges::none_of(words, [](const std::string& word) {
           return word.empty() || word.find_first_of(" \t\r\n") != word.npos;
         });
}

std::optional<CliStatus> choose_output(const CLI::App& app, bool is_positional_server, const Given& given,
                                       Options* options) {
  const FormatFlag* format = nullptr;
  for (const FormatFlag& flag : kFormatFlags) {
    if (app.count(flag.name) == 0) continue;
    if (format != nullptr)
      return usage_error(std::string(format->name) + " and " + flag.name + " can't go together");
    format = &flag;
  }
  const bool is_terminal = isatty(STDOUT_FILENO) != 0;
  const char* no_color = std::getenv("NO_COLOR");
  options->format.colour = is_terminal && (no_color == nullptr || *no_color == '\0');
  options->format.format = format != nullptr ? format->format
                           : is_terminal     ? OutputFormat::kByType
                                             : OutputFormat::kRaw;
  if (given.protocol == "text") options->endpoint.protocol = WireProtocol::kText;
  if (given.protocol == "resp2") options->endpoint.protocol = WireProtocol::kResp2;
  if (given.protocol == "text" && options->endpoint.is_foreign) {
    return usage_error(
        "--protocol text is memento's; a redis:// server or a unix socket needs resp2 or resp3");
  }
  const bool knows_text = options->mode == Mode::kCommand || options->mode == Mode::kScript ||
                          options->mode == Mode::kPrompt || options->mode == Mode::kPipe;
  if (given.protocol == "text" && !knows_text) {
    return usage_error("--protocol text goes with commands, scripts, the prompt and --pipe alone");
  }
  // HOST PORT COMMAND and scripts go as they are, a line each: their values are the rest of the line.
  // Arguments that a line would tear apart go as RESP.
  const bool is_plain = given.protocol.empty() && format == nullptr && !options->format.pretty &&
                        !options->last_from_stdin && !options->endpoint.is_foreign;
  const bool is_line =
      (options->mode == Mode::kCommand && is_positional_server) || options->mode == Mode::kScript;
  if (is_plain && is_line) {
    options->shows_plainly = true;
    options->format = FormatOptions{.format = OutputFormat::kRaw};
    const std::string& password = options->endpoint.password;
    const bool is_line_too = password.empty() || is_one_line({"AUTH", password});
    if (is_one_line(options->command) && is_line_too) options->endpoint.protocol = WireProtocol::kText;
  }
  return std::nullopt;
}

std::optional<CliStatus> choose_server(const CLI::App& app, const Given& given, Endpoint* endpoint) {
  if (app.count("--uri") > 0) {
    if (const Outcome parsed = parse_uri(given.uri, endpoint); !parsed)
      return usage_error(parsed.error().message);
  }
  if (app.count("--host") > 0) endpoint->address.host = given.host;
  if (app.count("--port") > 0) endpoint->address.port = given.port;
  if (app.count("--password") > 0) endpoint->password = given.password;
  if (app.count("--timeout") > 0) endpoint->timeout_ms = static_cast<int>(given.timeout_s * 1000);
  endpoint->is_foreign = endpoint->is_foreign || !endpoint->socket_path.empty();
  if (!given.asks_password) return std::nullopt;
  std::optional<std::string> password = ask_password();
  if (!password) return usage_error("--askpass needs a terminal; elsewhere give MEMENTO_AUTH");
  endpoint->password = *password;
  return std::nullopt;
}

/// CLI11's help with a usage line of our own.
class Help : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: memento-cli [HOST PORT] [OPTIONS] [COMMAND ARGS...]\n";
  }
};

constexpr const char* kFooter =
    "Exit status: 0 done, 1 an error reply, 2 wrong usage, 3 no connection, 4 authentication, 5 time-out.\n"
    "\n"
    "Of its own: memento-cli top                                 a live view\n"
    "            memento-cli cluster create HOST:PORT... [--dir D]  files for the nodes of a cluster\n"
    "            memento-cli cluster info | check | call COMMAND\n"
    "\n"
    "Examples:\n"
    "  memento-cli\n"
    "  memento-cli 127.0.0.1 6737 SET city Turin\n"
    "  memento-cli -u redis://:secret@db.example.org --json GET user:1\n"
    "  printf 'SET a 1\\nINC a\\n' | memento-cli\n"
    "  memento-cli --pipe < commands.txt";

}  // namespace

std::string glob_of_text(std::string_view text) {
  std::string glob;
  for (const char c : text) {
    if (std::string_view("*?[]\\^").find(c) != std::string_view::npos) glob += '\\';
    glob += c;
  }
  return glob;
}

std::optional<CliStatus> parse_options(int argc, char** argv, Options* options) {
  Given given;
  CLI::App app(
      "The command line client of memento and of Redis: a prompt at a terminal, a script when stdin is not "
      "one,\n"
      "or one command.",
      "memento-cli");
  app.formatter(std::make_shared<Help>());
  app.add_flag(std::string("--list-commands"))->description("The names of all commands, one a line, and end");
  app.set_help_flag("--help", "Show this and end; so does -h alone");
  app.get_formatter()->column_width(28);
  app.prefix_command();
  app.footer(kFooter);
  declare_connection(app, *options, given);
  declare_output(app, *options);
  declare_scripts(app, *options);
  declare_bulk(app, *options);
  declare_looking(app, *options, given);

  Words words(argv + 1, argv + argc);
  if (!words.empty() && words.back() == "-h") words.back() = "--help";
  const Words given_words = words;
  hide_passwords(argc, argv, [](std::string_view word) { return find_command(word) != nullptr; });
  if (const Outcome read = read_environment(&options->endpoint); !read)
    return usage_error(read.error().message);
  if (const auto status = parse_front(app, &words)) return status;
  if (app.count("--list-commands") > 0) {
    for (const Command& command : all_commands()) std::cout << command.name << "\n";
    return CliStatus::kOk;
  }
  const std::size_t remaining_count = words.size();
  const bool names_server =
      app.count("--host") + app.count("--port") + app.count("--uri") + app.count("--socket") > 0;
  const bool is_positional = !names_server && take_address(&words, &options->endpoint);
  if (is_positional) options->endpoint.is_foreign = false;
  if (is_positional) {  // options may stand before and behind the address
    words.insert(words.begin(), given_words.begin(),
                 given_words.end() - static_cast<std::ptrdiff_t>(remaining_count));
    if (const auto status = parse_front(app, &words)) return status;
  }
  options->command = words;
  options->has_repeat = app.count("--repeat") > 0;
  options->has_interval = app.count("--interval") > 0;
  if (options->script_path == "-") options->script_path.clear();
  if (const auto status = choose_server(app, given, &options->endpoint)) return status;
  if (const auto status = choose_mode(app, given, options)) return status;
  if (const auto status = check_scopes(app, *options)) return status;
  if (const auto status = choose_pattern(app, given, options)) return status;
  return choose_output(app, is_positional, given, options);
}

}  // namespace memento::cli
