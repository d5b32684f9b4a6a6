// What the server says about itself: INFO and HELP.
#include <unistd.h>

#include <string>

#include "conf/version.h"
#include "worker/command/command_table.h"
#include "worker/command/handler_support.h"
#include "worker/command/handlers.h"
#include "worker/command/words.h"

namespace memento::handlers {
namespace {

/// INFO's text: sections of `name:value` lines, named as Redis names them where it has the same figure.
class InfoText {
 public:
  explicit InfoText(std::string_view wanted) : wanted_(wanted) {}

  void section(std::string_view title) {
    skip_ = !wanted_.empty() && !is_word(wanted_, title);
    if (skip_) return;
    if (!text_.empty()) text_ += '\n';
    text_.append("# ").append(title).append("\n");
  }
  void line(std::string_view name, std::string_view value) {
    if (!skip_) text_.append(name).append(":").append(value).append("\n");
  }
  void line(std::string_view name, std::uint64_t value) { line(name, std::to_string(value)); }
  const std::string& text() const { return text_; }

 private:
  std::string_view wanted_;
  std::string text_;
  bool skip_ = false;
};

void append_help(std::string* text, const Command& command) {
  std::string usage(command.name);
  if (!command.arguments.empty()) usage.append(" ").append(command.arguments);
  usage.resize(std::max<std::size_t>(usage.size() + 1, 26), ' ');
  text->append(usage).append(command.summary).append("\n");
}

}  // namespace

void info(CommandContext& context, const Call& call) {
  if (call.count() > 2) return wrong_argument_count(context, "INFO");
  const Keyspace& keyspace = context.keyspace;
  const auto sum = [&](Counter counter) { return keyspace.counter_sum(counter); };
  InfoText info(call.count() == 2 ? call[1] : "");
  info.section("Server");
  info.line("memento_version", kVersion);
  info.line("process_id", static_cast<std::uint64_t>(getppid()));
  info.line("tcp_port", context.services.facts.options.port);
  info.line("workers", context.services.facts.worker_count);
  info.line("worker_index", context.services.facts.worker_index);
  info.line("worker_process_id", static_cast<std::uint64_t>(getpid()));
  info.line("uptime_in_seconds", static_cast<std::uint64_t>(keyspace.now_ms() - context.services.facts.start_ms) / 1000);
  info.section("Clients");
  info.line("connected_clients", keyspace.connected_clients());
  info.section("Memory");
  info.line("used_memory", keyspace.memory_used_bytes());
  info.line("maxmemory", keyspace.memory_limit_bytes());
  info.line("maxmemory_policy", "noeviction");
  info.section("Stats");
  info.line("total_connections_received", sum(Counter::kConnectionsAccepted));
  info.line("total_commands_processed", sum(Counter::kCommands));
  info.line("total_net_input_bytes", sum(Counter::kBytesRead));
  info.line("total_net_output_bytes", sum(Counter::kBytesWritten));
  info.line("keyspace_hits", sum(Counter::kHits));
  info.line("keyspace_misses", sum(Counter::kMisses));
  info.line("expired_keys", sum(Counter::kExpired));
  info.line("total_error_replies", sum(Counter::kErrors));
  info.section("Keyspace");
  info.line("keys", keyspace.key_count());
  info.line("payload_bytes", keyspace.payload_bytes());
  context.reply.verbatim(info.text());
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
  context.reply.status(std::string(container.name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Command& row : rows) {
    std::string usage(row.name.substr(container.name.size() + 1));
    if (!row.arguments.empty()) usage.append(" ").append(row.arguments);
    context.reply.status(usage);
    context.reply.status("    " + std::string(row.summary) + ".");
  }
  context.reply.end();
}

}  // namespace memento::handlers
