// See invoke.h.
#include "worker/handlers/invoke.h"

#include <algorithm>

#include "shm/os/cpu_clock.h"
#include "worker/clients/message_hub.h"
#include "worker/handlers/handler_table.h"

namespace memento {
namespace {

// Before the client reads them. What scripts read by commands of their own is remembered then; the keys they
// declare are not. No worker has more keys than its share of the server's.
[[gnu::noinline, gnu::cold]] void remember_keys(CommandContext& context, const Command& command,
                                                const Call& call) {
  if (!command.has(kReadonly) || command.group == CommandGroup::kScripting ||
      !context.client.tracking->remembers())
    return;
  const std::uint64_t workers = std::max<std::uint32_t>(context.services.facts.worker_count, 1);
  const auto limit = static_cast<std::uint64_t>(
      context.services.settings.tracking_key_limit.load(std::memory_order_relaxed));
  command.each_key(call.args, [&](std::string_view key) {
    context.services.hub.tracking().remember(context.client, key, (limit + workers - 1) / workers);
  });
}

}  // namespace

void run_command(CommandContext& context, const Command& command, const Call& call) {
  if (context.client.tracking != nullptr) [[unlikely]]
    remember_keys(context, command, call);
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
