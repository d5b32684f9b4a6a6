// See admission.h. The order of the checks, and the texts, are Redis's.
#include "worker/dispatch/admission.h"

#include <cassert>

#include "worker/text/words.h"

namespace memento {
namespace {

constexpr std::size_t kQuotedBytes = 128;  // of a client's words in an error

bool has_long_key(const Command& command, const Call& call) {
  bool is_any_long = false;
  command.each_key(call.args, [&](std::string_view key) { is_any_long |= key.size() > kKeyLimitBytes; });
  return is_any_long;
}

// kRuns: the command has such a call.
Admission admit_form(const ClientState& client, const Command* command, const Call& call) {
  if (command == nullptr) return Admission::kUnknownCommand;
  if (command->has(kDebug) && !client.may_debug) return Admission::kDebugForbidden;
  if (command->has(kContainer) && call.count() > 1) return Admission::kUnknownSubcommand;
  if (!command->accepts(call.count())) return Admission::kWrongArgumentCount;
  return has_long_key(*command, call) ? Admission::kKeyTooLong : Admission::kRuns;
}

std::string unknown_command_reason(const Call& call) {
  std::string text = "unknown command '";
  text.append(quotable(call[0], kQuotedBytes)).append("', with args beginning with: ");
  std::size_t quoted = 0;
  for (std::size_t i = 1; i < call.count() && quoted < kQuotedBytes; ++i) {
    const std::string_view word = quotable(call[i], kQuotedBytes - quoted);
    text.append("'").append(word).append("' ");
    quoted += word.size() + 3;
  }
  return text;
}

}  // namespace

Admission admit_carefully(const ClientState& client, const Command* command, const Call& call) {
  if (const Admission form = admit_form(client, command, call); is_refused(form)) return form;
  if (!client.authenticated && !command->has(kNoAuth)) return Admission::kNotAuthenticated;
  if (client.is_subscribed() && client.protocol == Protocol::kResp2 && !command->has(kSubscribedToo))
    return Admission::kClientSubscribes;
  if (client.is_monitor() && command->has(kWrite | kReadonly | kPublishes)) return Admission::kClientMonitors;
  if (client.transaction == nullptr || command->has(kUnqueued)) return Admission::kRuns;
  if (command->has(kNoMulti)) return Admission::kForbiddenInMulti;
  if (command->confirms_names() && call.count() != 2) return Admission::kSeveralNamesInMulti;
  return Admission::kIsQueued;
}

RefusalText refusal_text(Admission admission, const Command* command, const Call& call) {
  assert(is_refused(admission) && (command != nullptr || admission == Admission::kUnknownCommand));
  switch (admission) {
    case Admission::kRuns:
    case Admission::kIsQueued:
      break;
    case Admission::kUnknownCommand:
      return {"ERR", unknown_command_reason(call)};
    case Admission::kDebugForbidden:
      return {
          "ERR",
          "DEBUG command not allowed; the server's option enable-debug-command says who may use it: yes, or "
          "local for clients on its machine"};
    case Admission::kUnknownSubcommand:
      return {"ERR", "unknown subcommand '" + std::string(quotable(call[1], kQuotedBytes)) + "'. Try " +
                         std::string(command->name) + " HELP."};
    case Admission::kWrongArgumentCount:
      return {"ERR", "wrong number of arguments for '" + lower_case(command->name) + "' command"};
    case Admission::kKeyTooLong:
      return {"ERR", "key is longer than the limit of " + std::to_string(kKeyLimitBytes) + " bytes"};
    case Admission::kNotAuthenticated:
      return {"NOAUTH", "Authentication required."};
    case Admission::kClientSubscribes:
      return {
          "ERR",
          "Can't execute '" + lower_case(command->name) +
              "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"};
    case Admission::kClientMonitors:
      return {"ERR", "Replica can't interact with the keyspace"};
    case Admission::kForbiddenInMulti:
      return {"ERR", "Command not allowed inside a transaction"};
    case Admission::kSeveralNamesInMulti:
      return {"ERR", lower_case(command->name) + " takes one name inside a transaction"};
  }
  return {"ERR", ""};
}

bool is_held_back(const ClientPause& pause, const ClientState& client, const Command* command,
                  const Call& call, TimeMs now_ms) {
  if (client.is_monitor() || is_refused(admit(client, command, call))) return false;
  bool may_write = command->has(kWrite | kPublishes | kScript);
  if (command->has(kEndsMulti) && client.transaction != nullptr) {
    may_write = client.transaction->queue.has_any(kWrite | kPublishes | kScript);
  }
  return pause.holds(may_write, now_ms);
}

}  // namespace memento
