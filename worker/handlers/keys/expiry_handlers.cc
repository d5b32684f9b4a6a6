// Expiry: absolute times in milliseconds in the entry, relative or absolute ones on the wire.
#include <optional>
#include <string>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/handlers/set_options.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

// NX, XX, GT, LT: when an expiry is set. One that is not there counts as infinite for GT and LT.
struct ExpiryCondition {
  bool if_none = false;
  bool if_some = false;
  bool if_later = false;
  bool if_earlier = false;

  bool allows(TimeMs current_ms, TimeMs wanted_ms) const {
    if (if_none && current_ms != kNoExpiry) return false;
    if (if_some && current_ms == kNoExpiry) return false;
    if (if_later && (current_ms == kNoExpiry || wanted_ms <= current_ms)) return false;
    return !(if_earlier && current_ms != kNoExpiry && wanted_ms >= current_ms);
  }
};

// False: an error was written.
std::optional<ExpiryCondition> take_condition(CommandContext& context, const Call& call) {
  ExpiryCondition condition;
  for (std::size_t i = 3; i < call.count(); ++i) {
    if (is_word(call[i], "NX")) {
      condition.if_none = true;
    } else if (is_word(call[i], "XX")) {
      condition.if_some = true;
    } else if (is_word(call[i], "GT")) {
      condition.if_later = true;
    } else if (is_word(call[i], "LT")) {
      condition.if_earlier = true;
    } else {
      context.reply.error("ERR Unsupported option " + std::string(quotable(call[i])));
      return std::nullopt;
    }
  }
  if (condition.if_none && (condition.if_some || condition.if_later || condition.if_earlier)) {
    context.reply.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return std::nullopt;
  }
  if (condition.if_later && condition.if_earlier) {
    context.reply.error("ERR GT and LT options at the same time are not compatible");
    return std::nullopt;
  }
  return condition;
}

void set_expiry(CommandContext& context, const Call& call, ExpiryForm form, const char* name) {
  const std::optional<ExpiryCondition> condition = take_condition(context, call);
  if (!condition) return;
  const std::optional<std::int64_t> amount = take_integer(context, call[2]);
  if (!amount) return;
  const std::optional<TimeMs> expiry_ms = expiry_time(*amount, form, context.keyspace.now_ms());
  if (!expiry_ms)
    return context.reply.error(std::string("ERR invalid expire time in '") + name + "' command");
  bool applies = false;
  const bool erases = *expiry_ms <= context.keyspace.now_ms();
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    applies = old != nullptr && condition->allows(old->expiry_ms, *expiry_ms);
    if (!applies) return Change{};
    if (erases) return Change{Change::Action::kErase, {}, kNoExpiry};
    return Change{Change::Action::kSetExpiry, {}, *expiry_ms};
  });
  if (answer_refusal(context, status)) return;
  if (applies) context.changed(call.key, erases ? key_events::kDel : key_events::kExpire);
  context.reply.integer(applies ? 1 : 0);
}

std::int64_t rounded_seconds(std::int64_t time_ms) {
  return time_ms / 1000 + (time_ms % 1000 >= 500 ? 1 : 0);
}

// Answers tell(expiry); -2: no such key; -1: no expiry.
template <class Tell>
void answer_expiry(CommandContext& context, const Call& call, Tell&& tell) {
  TimeMs expiry_ms = kNoExpiry;
  if (!context.keyspace.read(call.key, [&](const EntryView& entry) { expiry_ms = entry.expiry_ms; })) {
    context.missed(call.key);
    return context.reply.integer(-2);
  }
  context.reply.integer(expiry_ms == kNoExpiry ? -1 : tell(expiry_ms));
}

}  // namespace

void expire(CommandContext& context, const Call& call) { set_expiry(context, call, kInSeconds, "expire"); }
void pexpire(CommandContext& context, const Call& call) {
  set_expiry(context, call, kInMilliseconds, "pexpire");
}
void expireat(CommandContext& context, const Call& call) {
  set_expiry(context, call, kAtSeconds, "expireat");
}
void pexpireat(CommandContext& context, const Call& call) {
  set_expiry(context, call, kAtMilliseconds, "pexpireat");
}

void ttl(CommandContext& context, const Call& call) {
  answer_expiry(context, call,
                [&](TimeMs expiry_ms) { return rounded_seconds(expiry_ms - context.keyspace.now_ms()); });
}

void pttl(CommandContext& context, const Call& call) {
  answer_expiry(context, call, [&](TimeMs expiry_ms) { return expiry_ms - context.keyspace.now_ms(); });
}

void expiretime(CommandContext& context, const Call& call) { answer_expiry(context, call, rounded_seconds); }

void pexpiretime(CommandContext& context, const Call& call) {
  answer_expiry(context, call, [](TimeMs expiry_ms) { return expiry_ms; });
}

void persist(CommandContext& context, const Call& call) {
  bool had_expiry = false;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    had_expiry = old != nullptr && old->expiry_ms != kNoExpiry;
    return had_expiry ? Change{Change::Action::kSetExpiry, {}, kNoExpiry} : Change{};
  });
  if (answer_refusal(context, status)) return;
  if (had_expiry) context.changed(call.key, key_events::kPersist);
  context.reply.integer(had_expiry ? 1 : 0);
}

}  // namespace memento::handlers
