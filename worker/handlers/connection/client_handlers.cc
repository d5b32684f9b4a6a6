// CLIENT's subcommands that concern only the connection that sends them, and the line that describes a
// connection.
#include <string>

#include "worker/clients/client_info.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

// Printable ASCII without spaces, so that CLIENT LIST can be split by them.
bool is_plain_word(std::string_view text) {
  for (const char c : text) {
    if (c < '!' || c > '~') return false;
  }
  return true;
}

// ON or OFF into `*value`; else an error was written.
void answer_switch(CommandContext& context, std::string_view word, bool* value) {
  if (!is_word(word, "ON") && !is_word(word, "OFF")) return context.reply.error(kSyntaxError);
  *value = is_word(word, "ON");
  context.reply.ok();
}

}  // namespace

bool is_client_name(std::string_view name) { return is_plain_word(name); }

void client_id(CommandContext& context, const Call&) {
  context.reply.integer(static_cast<std::int64_t>(context.client.id));
}

void client_info(CommandContext& context, const Call& call) {
  const OwnRequest own(context.client, call.args);
  context.reply.verbatim(client_info_line(context.client, context.keyspace.now_ms()) + "\n");
}

void client_getname(CommandContext& context, const Call&) {
  if (context.client.name.empty()) return context.reply.nil();
  context.reply.bulk(context.client.name);
}

void client_setname(CommandContext& context, const Call& call) {
  if (!is_client_name(call[2])) return context.reply.error(kBadClientName);
  context.client.name = call[2];
  context.reply.ok();
}

void client_setinfo(CommandContext& context, const Call& call) {
  const bool is_name = is_word(call[2], "LIB-NAME");
  if (!is_name && !is_word(call[2], "LIB-VER")) {
    return context.reply.error("ERR Unrecognized option '" + std::string(quotable(call[2])) + "'");
  }
  if (!is_plain_word(call[3])) {
    return context.reply.error("ERR " + lower_case(call[2]) +
                               " cannot contain spaces, newlines or special characters.");
  }
  (is_name ? context.client.library_name : context.client.library_version) = call[3];
  context.reply.ok();
}

void client_reply(CommandContext& context, const Call& call) {
  ClientState& client = context.client;
  if (is_word(call[2], "ON")) {
    client.reply_mode = ReplyMode::kOn;
    context.reply.ok();
  } else if (is_word(call[2], "OFF")) {
    client.reply_mode = ReplyMode::kOff;
  } else if (is_word(call[2], "SKIP")) {
    if (client.reply_mode != ReplyMode::kOff) client.reply_mode = ReplyMode::kSkipNext;
  } else {
    context.reply.error(kSyntaxError);
  }
}

void client_no_evict(CommandContext& context, const Call& call) {
  answer_switch(context, call[2], &context.client.no_evict);
}

void client_no_touch(CommandContext& context, const Call& call) {
  answer_switch(context, call[2], &context.client.no_touch);
}

// No command here waits for what other clients do, so there is nobody to unblock.
void client_unblock(CommandContext& context, const Call& call) {
  if (call.count() > 4) return wrong_argument_count(context, "CLIENT|UNBLOCK");
  if (call.count() == 4 && !is_word(call[3], "TIMEOUT") && !is_word(call[3], "ERROR"))
    return context.reply.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  if (take_integer(context, call[2])) context.reply.integer(0);
}

}  // namespace memento::handlers
