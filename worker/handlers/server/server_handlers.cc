// The server: INFO, HELP, TIME, FLUSHALL, FLUSHDB, SWAPDB, LOLWUT. CONFIG, COMMAND and DEBUG have files of
// their own.
#include <time.h>

#include <array>
#include <optional>
#include <string>

#include "conf/version.h"
#include "worker/command/command_table.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/server/info_text.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

void append_help(std::string* text, const Command& command) {
  std::string usage(command.name);
  if (!command.arguments.empty()) usage.append(" ").append(command.arguments);
  usage.resize(std::max<std::size_t>(usage.size() + 1, 26), ' ');
  text->append(usage).append(command.summary).append("\n");
}

// False: an error was written.
bool check_flush(CommandContext& context, const Call& call) {
  if (ends_with_flush_mode(call, 1)) return true;
  context.reply.error(kSyntaxError);
  return false;
}

}  // namespace

void info(CommandContext& context, const Call& call) {
  context.reply.verbatim(info_text(context, call.args.subspan(1)));
}

void help(CommandContext& context, const Call& call) {
  if (call.count() > 2) return wrong_argument_count(context, "HELP");
  std::string text;
  if (call.count() == 2) {
    const Command* command = find_command(call[1]);
    if (command == nullptr) return context.reply.error("ERR no such command; HELP lists them");
    append_help(&text, *command);
    return context.reply.verbatim(text);
  }
  const Command* before = nullptr;
  for (const Command& command : all_commands()) {
    if (before == nullptr || before->group != command.group) {
      if (before != nullptr) text += '\n';
      text.append(group_title(command.group)).append("\n");
    }
    text += "  ";
    append_help(&text, command);
    before = &command;
  }
  context.reply.verbatim(text);
}

// A container's own row is called only without a subcommand, which its arity refuses.
void no_subcommand(CommandContext& context, const Call& call) { wrong_argument_count(context, call[0]); }

void subcommand_help(CommandContext& context, const Call& call) {
  const Command& container = *find_command(call[0]);
  const std::span<const Command> rows = subcommands_of(container);
  context.reply.begin_array(1 + 2 * rows.size());
  context.reply.status(std::string(container.name) +
                       " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Command& row : rows) {
    std::string usage(row.name.substr(container.name.size() + 1));
    if (!row.arguments.empty()) usage.append(" ").append(row.arguments);
    context.reply.status(usage);
    context.reply.status("    " + std::string(row.summary) + ".");
  }
  context.reply.end();
}

// In a script, and in EXEC, it stands still: a run that is repeated must decide alike.
void time(CommandContext& context, const Call&) {
  if (!context.exec.time_us || !context.in_exec) context.exec.time_us = wall_time_us();
  const std::int64_t time_us = *context.exec.time_us;
  context.reply.begin_array(2);
  context.reply.bulk(std::to_string(time_us / 1'000'000));
  context.reply.bulk(std::to_string(time_us % 1'000'000));
  context.reply.end();
}

// Either way the keys are gone at once and their memory comes back in the background.
void flushall(CommandContext& context, const Call& call) {
  if (!check_flush(context, call)) return;
  context.keyspace.flush();
  context.changed_all(std::nullopt);
  context.reply.ok();
}

void flushdb(CommandContext& context, const Call& call) {
  if (!check_flush(context, call)) return;
  context.keyspace.flush_database();
  context.changed_all(context.keyspace.database());
  context.reply.ok();
}

// Nodes of a cluster would not swap at the same moment.
void swapdb(CommandContext& context, const Call& call) {
  if (context.services.cluster != nullptr)
    return context.reply.error("ERR SWAPDB is not allowed in cluster mode");
  std::array<DatabaseId, 2> databases;
  for (std::size_t i = 0; i < databases.size(); ++i) {
    const std::optional<std::int64_t> index = parse_integer(call[i + 1]);
    if (!index || *index != static_cast<std::int32_t>(*index))
      return context.reply.error(i == 0 ? "ERR invalid first DB index" : "ERR invalid second DB index");
  }
  for (std::size_t i = 0; i < databases.size(); ++i) {
    const std::optional<DatabaseId> database = open_database(context, call[i + 1]);
    if (!database) return;
    databases[i] = *database;
  }
  context.keyspace.swap_databases(databases[0], databases[1]);
  for (const DatabaseId database : databases) context.changed_all(database);
  context.reply.ok();
}

void lolwut(CommandContext& context, const Call&) {
  std::string text;
  for (const char* line : {"        _", "     __|_|__     I remember.", "    |_o___o_|", "     |_____|"})
    text.append(line).append("\n");
  context.reply.verbatim(text + "\nRedis ver. " + kRedisVersion + ", memento ver. " + kVersion + "\n");
}

}  // namespace memento::handlers
