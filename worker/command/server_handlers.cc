// PING, ECHO, QUIT, and what the server says about itself: INFO and HELP.
#include <unistd.h>

#include <string>

#include "conf/version.h"
#include "worker/command/command_table.h"
#include "worker/command/handler_support.h"
#include "worker/command/handlers.h"

namespace memento::handlers {
namespace {

/// INFO's text: sections of `name:value` lines, named as Redis names them where it has the same figure.
class InfoText {
 public:
  explicit InfoText(std::string_view wanted) : wanted_(wanted) {}

  void section(std::string_view title) {
    skip_ = !wanted_.empty() && !same_word(wanted_, title);
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
  static bool same_word(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if ((a[i] | 0x20) != (b[i] | 0x20)) return false;
    }
    return true;
  }

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

void ping(CommandContext& context, const Call& call) {
  if (call.count() > 2) return wrong_argument_count(context, "PING");
  if (call.count() == 2) return context.reply.bulk(call[1]);
  context.reply.status("PONG");
}

void echo(CommandContext& context, const Call& call) { context.reply.bulk(call[1]); }

void quit(CommandContext& context, const Call&) {
  context.reply.ok();
  context.close_after_reply = true;
}

void info(CommandContext& context, const Call& call) {
  if (call.count() > 2) return wrong_argument_count(context, "INFO");
  const Keyspace& keyspace = context.keyspace;
  const auto sum = [&](Counter counter) { return keyspace.counter_sum(counter); };
  InfoText info(call.count() == 2 ? call[1] : "");
  info.section("Server");
  info.line("memento_version", kVersion);
  info.line("process_id", static_cast<std::uint64_t>(getppid()));
  info.line("tcp_port", context.facts.port);
  info.line("workers", context.facts.worker_count);
  info.line("worker_index", context.facts.worker_index);
  info.line("worker_process_id", static_cast<std::uint64_t>(getpid()));
  info.line("uptime_in_seconds", static_cast<std::uint64_t>(keyspace.now_ms() - context.facts.start_ms) / 1000);
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
  context.reply.lines(info.text());
}

void help(CommandContext& context, const Call& call) {
  if (call.count() > 2) return wrong_argument_count(context, "HELP");
  std::string text;
  if (call.count() == 2) {
    const Command* command = find_command(call[1]);
    if (command == nullptr) return context.reply.error("ERR no such command; HELP lists them");
    append_help(&text, *command);
    return context.reply.lines(text);
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
  context.reply.lines(text);
}

}  // namespace memento::handlers
