// MONITOR: every command that any worker executes, as a line. The way of the lines is in
// worker/message_hub.*.
#include "worker/clients/message_hub.h"
#include "worker/handlers/handlers.h"

namespace memento::handlers {

void monitor(CommandContext& context, const Call&) {
  if (context.in_exec) return context.reply.error("ERR MONITOR isn't allowed for DENY BLOCKING client");
  if (context.client.is_monitor()) return;  // as in Redis there is no second reply
  context.services.hub.begin_monitor(context.client);
  context.ends_batch = true;
  context.reply.ok();
}

}  // namespace memento::handlers
