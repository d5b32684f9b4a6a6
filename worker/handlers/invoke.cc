// See invoke.h.
#include "worker/handlers/invoke.h"

#include "shm/os/cpu_clock.h"
#include "worker/handlers/handler_table.h"

namespace memento {

void run_command(CommandContext& context, const Command& command, const Call& call) {
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
