// Expiry: absolute times in milliseconds in the entry, relative ones on the wire.
#include <string>

#include "worker/command/handler_support.h"
#include "worker/command/handlers.h"
#include "worker/command/number_text.h"

namespace memento::handlers {
namespace {

void set_expiry(CommandContext& context, const Call& call, std::int64_t unit_ms, const char* name) {
  std::int64_t amount = 0;
  if (!parse_integer(call[2], &amount)) return context.reply.error(kNotAnInteger);
  std::int64_t relative_ms = 0;
  std::int64_t expiry_ms = 0;
  if (__builtin_mul_overflow(amount, unit_ms, &relative_ms) ||
      __builtin_add_overflow(relative_ms, context.keyspace.now_ms(), &expiry_ms)) {
    return context.reply.error(std::string("ERR invalid expire time in '") + name + "' command");
  }
  bool found = false;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    found = old != nullptr;
    if (!found) return Change{};
    if (relative_ms <= 0) return Change{Change::Action::kErase, {}, kNoExpiry};
    return Change{Change::Action::kSetExpiry, {}, expiry_ms};
  });
  if (status == WriteStatus::kOutOfMemory) return context.reply.out_of_memory();
  context.reply.integer(found ? 1 : 0);
}

// -2: no such key; -1: no expiry.
std::int64_t time_left_ms(CommandContext& context, const Call& call) {
  TimeMs expiry_ms = kNoExpiry;
  if (!context.keyspace.read(call.key, [&](const EntryView& entry) { expiry_ms = entry.expiry_ms; })) return -2;
  return expiry_ms == kNoExpiry ? -1 : expiry_ms - context.keyspace.now_ms();
}

}  // namespace

void expire(CommandContext& context, const Call& call) { set_expiry(context, call, 1000, "expire"); }
void pexpire(CommandContext& context, const Call& call) { set_expiry(context, call, 1, "pexpire"); }

void ttl(CommandContext& context, const Call& call) {
  const std::int64_t left_ms = time_left_ms(context, call);
  context.reply.integer(left_ms < 0 ? left_ms : left_ms / 1000 + (left_ms % 1000 >= 500 ? 1 : 0));
}

void pttl(CommandContext& context, const Call& call) { context.reply.integer(time_left_ms(context, call)); }

void persist(CommandContext& context, const Call& call) {
  bool had_expiry = false;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    had_expiry = old != nullptr && old->expiry_ms != kNoExpiry;
    return had_expiry ? Change{Change::Action::kSetExpiry, {}, kNoExpiry} : Change{};
  });
  if (status == WriteStatus::kOutOfMemory) return context.reply.out_of_memory();
  context.reply.integer(had_expiry ? 1 : 0);
}

}  // namespace memento::handlers
