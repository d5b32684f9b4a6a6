// See dispatch.h. The order of the checks, and the texts, are Redis's.
#include "worker/command/dispatch.h"

#include <string>

#include "worker/command/command_meter.h"
#include "worker/command/handler_support.h"
#include "worker/command/words.h"
#include "worker/message_hub.h"

namespace memento {
namespace {

constexpr std::size_t kQuotedBytes = 128;  // of a client's words in an error

std::string unknown_command_text(const Call& call) {
  std::string text = "ERR unknown command '";
  text.append(quotable(call[0], kQuotedBytes)).append("', with args beginning with: ");
  std::size_t quoted = 0;
  for (std::size_t i = 1; i < call.count() && quoted < kQuotedBytes; ++i) {
    const std::string_view word = quotable(call[i], kQuotedBytes - quoted);
    text.append("'").append(word).append("' ");
    quoted += word.size() + 3;
  }
  return text;
}

// A refused EXEC ends the transaction all the same, and is shown to those in MONITOR.
void abort_transaction(CommandContext& context, const Command& command, const Call& call,
                       const std::string& reason) {
  context.client.transaction.reset();
  context.client.watched.clear();
  context.reply.error("EXECABORT Transaction discarded because of: " + reason);
  MessageHub& hub = context.services.hub;
  if (hub.has_monitors()) hub.show(context.client, command, call.args);
}

// The command may not be executed in the client's state; inside MULTI, then, nothing will be.
void refuse(CommandContext& context, const Command& command, const Call& call, const std::string& code,
            const std::string& reason) {
  context.was_rejected = true;
  if (command.has(kEndsMulti))
    return abort_transaction(context, command, call, code == "ERR " ? reason : code + reason);
  if (context.client.transaction != nullptr) context.client.transaction->is_broken = true;
  context.reply.error(code + reason);
}

// False: an error was written.
bool check_form(CommandContext& context, const Command* command, const Call& call) {
  if (command == nullptr) {
    context.reply.unknown_command(unknown_command_text(call));
    return false;
  }
  if (command->has(kContainer) && call.count() > 1) {
    context.meter.skip();
    context.reply.error("ERR unknown subcommand '" + std::string(quotable(call[1], kQuotedBytes)) + "'. Try " +
                        std::string(command->name) + " HELP.");
    return false;
  }
  if (!command->accepts(call.count()) && command->has(kEndsMulti)) {
    abort_transaction(context, *command, call, "wrong number of arguments for 'exec' command");
    return false;
  }
  if (!command->accepts(call.count())) {
    handlers::wrong_argument_count(context, command->name);
    return false;
  }
  return check_keys(context, *command, call);
}

// Somebody watches some key. Kept out of line for those who pass it by.
[[gnu::noinline, gnu::cold]] void run_watched(CommandContext& context, const Command& command, const Call& call) {
  std::vector<std::pair<HashedKey, std::uint64_t>> keys;
  const std::size_t last = command.keys.first == 0 ? 0 : command.last_key(call.count());
  for (auto i = static_cast<std::size_t>(command.keys.first); i != 0 && i <= last; i += static_cast<std::size_t>(command.keys.step)) {
    const HashedKey key = context.keyspace.hash(call[i]);
    keys.emplace_back(key, context.keyspace.watch_version(key));
  }
  command.handler(context, call);
  for (const auto& [key, version] : keys) {
    if (context.keyspace.watch_version(key) != version) context.services.hub.publish_value(key);
  }
}

// Before the password was given, inside MULTI, while it subscribes.
void dispatch_carefully(CommandContext& context, const Command& command, const Call& call) {
  ClientState& client = context.client;
  if (!client.authenticated && !command.has(kNoAuth)) {
    return refuse(context, command, call, "NOAUTH ", "Authentication required.");
  }
  if (client.is_subscribed() && client.protocol == Protocol::kResp2 && !command.has(kSubscribedToo)) {
    return refuse(
        context, command, call, "ERR ",
        "Can't execute '" + lower_case(command.name) +
            "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context");
  }
  if (client.is_monitor() && command.has(kWrite | kReadonly | kPublishes)) {
    return refuse(context, command, call, "ERR ", "Replica can't interact with the keyspace");
  }
  if (client.transaction == nullptr || command.has(kUnqueued)) return run_command(context, command, call);
  context.meter.skip();
  client.transaction->queue.push_back(QueuedCall{&command, {call.args.begin(), call.args.end()}});
  context.reply.status("QUEUED");
}

}  // namespace

void run_command(CommandContext& context, const Command& command, const Call& call) {
  if (command.has(kWrite) && context.services.hub.watches_keys()) [[unlikely]] {
    if (command.group != CommandGroup::kExpiry) return run_watched(context, command, call);
  }
  command.handler(context, call);
}

bool check_keys(CommandContext& context, const Command& command, const Call& call) {
  if (command.keys.first == 0) return true;
  const std::size_t last = command.last_key(call.count());
  for (auto i = static_cast<std::size_t>(command.keys.first); i <= last; i += static_cast<std::size_t>(command.keys.step)) {
    if (call[i].size() <= kKeyLimitBytes) continue;
    context.reply.error("ERR key is longer than the limit of " + std::to_string(kKeyLimitBytes) + " bytes");
    return false;
  }
  return true;
}

void dispatch(CommandContext& context, const Command* command, const Call& call) {
  ClientState& client = context.client;
  client.last_command = command;
  if (client.is_ordinary()) [[likely]] {
    // Most requests: a known command with one key, or none, and the right number of words.
    const bool is_simple = command != nullptr && command->accepts(call.count()) && !command->has(kContainer) &&
                           command->keys.first == command->keys.last &&
                           call[static_cast<std::size_t>(command->keys.first)].size() <= kKeyLimitBytes;
    if (is_simple || check_form(context, command, call)) return run_command(context, *command, call);
    context.was_rejected = true;
    return;
  }
  const ReplyMode mode = client.reply_mode;
  const ReplyWriter::Mark mark = context.reply.mark();
  if (check_form(context, command, call)) {
    dispatch_carefully(context, *command, call);
  } else {
    context.was_rejected = true;
    if (client.transaction != nullptr) client.transaction->is_broken = true;
  }
  if (context.parks) return;
  if (mode == ReplyMode::kSkipNext || client.reply_mode == ReplyMode::kOff) context.reply.roll_back(mark);
  if (mode == ReplyMode::kSkipNext && client.reply_mode == ReplyMode::kSkipNext) client.reply_mode = ReplyMode::kOn;
}

}  // namespace memento
