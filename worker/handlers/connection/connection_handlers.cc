// The connection itself: PING, ECHO, QUIT, protocol and password (HELLO, AUTH, RESET), SELECT. CLIENT is in
// client_handlers.cc.
#include <optional>
#include <string>

#include "conf/version.h"
#include "worker/clients/message_hub.h"
#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr const char* kWrongPassword = "WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kOnlyUser = "default";

// Without a password the one user is let in by any.
bool may_enter(CommandContext& context, std::string_view user, std::string_view password) {
  const Password& expected = context.services.settings.password;
  return user == kOnlyUser && (!expected.is_set() || expected.matches(password));
}

void tell_hello(CommandContext& context) {
  ReplyWriter& reply = context.reply;
  reply.begin_map(7);
  reply.field("server");
  reply.bulk("redis");
  reply.field("version");
  reply.bulk(kRedisVersion);
  reply.field("proto");
  reply.integer(context.client.resp_version());
  reply.field("id");
  reply.integer(static_cast<std::int64_t>(context.client.id));
  reply.field("mode");
  reply.bulk(context.services.cluster != nullptr ? "cluster" : "standalone");
  reply.field("role");
  reply.bulk("master");
  reply.field("modules");
  reply.begin_array(0);
  reply.end();
  reply.end();
}

}  // namespace

void ping(CommandContext& context, const Call& call) {
  if (call.count() > 2) return wrong_argument_count(context, "PING");
  const Subscriptions* const subscriptions = context.subscriptions();
  if (subscriptions != nullptr && subscriptions->has_names() &&
      context.reply.protocol() == Protocol::kResp2) {
    context.reply.begin_array(2);
    context.reply.bulk("pong");
    context.reply.bulk(call.count() == 2 ? call[1] : "");
    return context.reply.end();
  }
  if (call.count() == 2) return context.reply.bulk(call[1]);
  context.reply.status("PONG");
}

void echo(CommandContext& context, const Call& call) { context.reply.bulk(call[1]); }

void quit(CommandContext& context, const Call&) {
  context.reply.ok();
  context.close_after_reply = true;
}

void select(CommandContext& context, const Call& call) {
  const std::optional<DatabaseId> database = open_database(context, call[1]);
  if (!database) return;
  context.client.database = *database;
  context.keyspace.select(*database);
  context.reply.ok();
}

void auth(CommandContext& context, const Call& call) {
  if (call.count() > 3) return context.reply.error(kSyntaxError);
  if (call.count() == 2 && !context.services.settings.password.is_set()) {
    return context.reply.error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?");
  }
  const std::string_view user = call.count() == 3 ? call[1] : kOnlyUser;
  if (!may_enter(context, user, call[call.count() - 1])) return context.reply.error(kWrongPassword);
  context.client.authenticated = true;
  context.reply.ok();
}

void hello(CommandContext& context, const Call& call) {
  ClientState& client = context.client;
  if (context.in_exec && context.reply.is_text()) {
    return context.reply.error("ERR HELLO is not allowed in a transaction of the text protocol");
  }
  std::int64_t version = 0;
  if (call.count() > 1) {
    const auto given =
        take_integer(context, call[1], "ERR Protocol version is not an integer or out of range");
    if (!given) return;
    version = *given;
    if (version != 2 && version != 3) return context.reply.error("NOPROTO unsupported protocol version");
  }
  std::string_view name;
  bool names = false;
  bool enters = client.authenticated;
  for (std::size_t i = 2; i < call.count(); ++i) {
    const std::size_t more = call.count() - 1 - i;
    if (is_word(call[i], "AUTH") && more >= 2) {
      if (!may_enter(context, call[i + 1], call[i + 2])) return context.reply.error(kWrongPassword);
      enters = true;
      i += 2;
    } else if (is_word(call[i], "SETNAME") && more >= 1) {
      name = call[++i];
      names = true;
      if (!is_client_name(name)) return context.reply.error(kBadClientName);
    } else {
      return context.reply.error("ERR Syntax error in HELLO option '" + std::string(quotable(call[i])) + "'");
    }
  }
  if (!enters) {
    return context.reply.error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
        "<user> <pass> "
        "option can be used to authenticate the client and select the RESP protocol version at the same "
        "time");
  }
  client.authenticated = true;
  if (names) client.name = name;
  if (version != 0) {
    client.protocol = version == 3 ? Protocol::kResp3 : Protocol::kResp2;
    context.reply.set_protocol(client.protocol);
  }
  tell_hello(context);
}

void reset(CommandContext& context, const Call&) {
  ClientState& client = context.client;
  context.services.hub.forget(client);
  client.transaction.reset();
  client.watched.clear();
  client.name.clear();
  if (client.reply_mode != ReplyMode::kSkipThis) client.reply_mode = ReplyMode::kOn;
  client.no_evict = false;
  client.no_touch = false;
  client.database = DatabaseId();
  context.keyspace.select(client.database);
  client.authenticated = !context.services.settings.password.is_set();
  if (client.protocol == Protocol::kResp3) client.protocol = Protocol::kResp2;
  context.reply.set_protocol(client.protocol);
  context.reply.status("RESET");
}

}  // namespace memento::handlers
