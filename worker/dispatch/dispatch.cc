// See dispatch.h. The order of the checks, and the texts, are Redis's.
#include "worker/dispatch/dispatch.h"

#include <algorithm>
#include <new>
#include <string>

#include "worker/clients/message_hub.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handler_table.h"
#include "worker/stats/command_meter.h"
#include "worker/text/words.h"

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
  if (context.client.transaction != nullptr) context.client.transaction->break_up();
  context.reply.error(code + reason);
}

// False: an error was written.
bool check_form(CommandContext& context, const Command* command, const Call& call) {
  if (command == nullptr) {
    context.reply.unknown_command(unknown_command_text(call));
    return false;
  }
  if (command->has(kDebug) && !context.client.may_debug) {
    context.reply.error("ERR DEBUG command not allowed; the server's option enable-debug-command says who may use it: yes, or "
                        "local for clients on its machine");
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

constexpr std::size_t kQueueLimitBytes = 64 << 20;

std::size_t request_bytes(const Call& call) {
  std::size_t bytes = 0;
  for (const std::string_view word : call.args) bytes += word.size();
  return bytes;
}

// Somebody watches some key. Kept out of line for those who pass it by.
[[gnu::noinline, gnu::cold]] void run_watched(CommandContext& context, const Command& command, const Call& call) {
  std::vector<std::pair<HashedKey, std::uint64_t>> keys;
  command.each_key(call.args, [&](std::string_view bytes) {
    const HashedKey key = context.keyspace.hash(bytes);
    keys.emplace_back(key, context.keyspace.watch_version(key));
  });
  handler_of(command)(context, call);
  for (const auto& [key, version] : keys) {
    if (context.keyspace.watch_version(key) != version) context.services.hub.publish_value(key);
  }
}

// What EXEC is to execute may take as much of the worker's memory as the longest values of two requests, or kQueueLimitBytes.
void enqueue(CommandContext& context, const Command& command, const Call& call) {
  Transaction& transaction = *context.client.transaction;
  context.meter.skip();
  if (transaction.is_broken) return context.reply.status("QUEUED");  // EXEC refuses them all
  const std::size_t limit_bytes = std::max<std::size_t>(2 * context.keyspace.value_limit_bytes(), kQueueLimitBytes);
  bool has_room = transaction.queue.bytes() + request_bytes(call) <= limit_bytes;
  try {
    if (has_room) transaction.queue.add(command, call.args, call.key);
  } catch (const std::bad_alloc&) {
    has_room = false;
  }
  if (has_room) return context.reply.status("QUEUED");
  transaction.break_up();
  context.reply.error("OOM the requests of a transaction may take " + std::to_string(limit_bytes) + " bytes of a worker's memory, or less when it has no more");
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
  // EXEC answers with one element a request; with more or fewer the client would take other replies for them.
  if (command.has(kNoMulti)) return refuse(context, command, call, "ERR ", "Command not allowed inside a transaction");
  if (command.confirms_names() && call.count() != 2)
    return refuse(context, command, call, "ERR ", lower_case(command.name) + " takes one name inside a transaction");
  context.meter.skip();
  enqueue(context, command, call);
}

}  // namespace

void run_command(CommandContext& context, const Command& command, const Call& call) {
  if (command.has(kWrite) && context.services.hub.watches_keys()) [[unlikely]] {
    if (command.group != CommandGroup::kExpiry) return run_watched(context, command, call);
  }
  handler_of(command)(context, call);
}

bool check_keys(CommandContext& context, const Command& command, const Call& call) {
  bool are_good = true;
  command.each_key(call.args, [&](std::string_view key) { are_good &= key.size() <= kKeyLimitBytes; });
  if (!are_good) context.reply.error("ERR key is longer than the limit of " + std::to_string(kKeyLimitBytes) + " bytes");
  return are_good;
}

void dispatch(CommandContext& context, const Command* command, const Call& call) {
  ClientState& client = context.client;
  client.last_command = command;
  if (client.is_ordinary()) [[likely]] {
    // Most requests: a known command with one key, or none, and the right number of words.
    const bool is_simple = command != nullptr && command->accepts(call.count()) && !command->has(kContainer | kDebug) &&
                           command->keys.first == command->keys.last &&
                           call[static_cast<std::size_t>(command->keys.first)].size() <= kKeyLimitBytes;
    if (is_simple || check_form(context, command, call)) return run_command(context, *command, call);
    context.was_rejected = true;
    return;
  }
  const bool skips = client.reply_mode == ReplyMode::kSkipNext;
  if (skips) client.reply_mode = ReplyMode::kSkipThis;
  const ReplyWriter::Mark mark = context.reply.mark();
  if (check_form(context, command, call)) {
    dispatch_carefully(context, *command, call);
  } else {
    context.was_rejected = true;
    if (client.transaction != nullptr) client.transaction->break_up();
  }
  if (context.parks) {
    if (skips) client.reply_mode = ReplyMode::kSkipNext;
    return;
  }
  if (client.reply_mode == ReplyMode::kOff || (skips && client.reply_mode != ReplyMode::kOn)) context.reply.roll_back(mark);
  if (client.reply_mode == ReplyMode::kSkipThis) client.reply_mode = ReplyMode::kOn;
}

}  // namespace memento
