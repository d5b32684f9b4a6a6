// See invoke.h.
#include "worker/handlers/invoke.h"

#include <utility>
#include <vector>

#include "shm/os/cpu_clock.h"
#include "worker/clients/message_hub.h"
#include "worker/handlers/handler_table.h"

namespace memento {
namespace {

// Somebody watches some key. Kept out of line for those who pass it by.
[[gnu::noinline, gnu::cold]] void run_watched(CommandContext& context, const Command& command,
                                              const Call& call) {
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

}  // namespace

void run_command(CommandContext& context, const Command& command, const Call& call) {
  if (command.has(kWrite) && context.services.hub.watches_keys()) [[unlikely]] {
    if (command.group != CommandGroup::kExpiry && !context.in_exec)
      return run_watched(context, command, call);
  }
  handler_of(command)(context, call);
}

Invocation invoke(CommandContext& context, const Command& command, const Call& call) {
  const std::uint64_t begin_ticks = cpu_ticks();
  const ReplyWriter::Mark before = context.reply.mark();
  run_command(context, command, call);
  return {context.reply.since(before.size), context.reply.error_count() != before.error_count,
          cpu_ticks() - begin_ticks};
}

ReplyBytes invoke_apart(CommandContext& context, const Command& command, const Call& call) {
  const ReplyWriter::Mark before = context.reply.mark();
  const Protocol protocol = context.reply.protocol();
  context.reply.set_protocol(Protocol::kResp2);
  const Invocation done = invoke(context, command, call);
  ReplyBytes reply{std::string(done.reply), done.is_error};
  context.reply.roll_back(before);
  context.reply.set_protocol(protocol);
  return reply;
}

}  // namespace memento
