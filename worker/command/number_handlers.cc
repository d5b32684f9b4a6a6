// INC, DEC, INCF, DECF: read, add and write back under the slot's lock. An error changes nothing.
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "worker/command/handler_support.h"
#include "worker/command/handlers.h"
#include "worker/command/number_text.h"

namespace memento::handlers {
namespace {

TimeMs kept_expiry(const EntryView* old) { return old != nullptr ? old->expiry_ms : kNoExpiry; }

void add_integer(CommandContext& context, const Call& call, bool negative) {
  if (call.count() > 3) return wrong_argument_count(context, negative ? "DEC" : "INC");
  std::int64_t quantity = 1;
  if (call.count() == 3 && !parse_integer(call[2], &quantity)) return context.reply.error(kNotAnInteger);
  const char* error = nullptr;
  std::int64_t sum = 0;
  char digits[24];
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    error = nullptr;
    std::int64_t number = 0;
    if (old != nullptr && !parse_integer(old->value, &number)) {
      error = kNotAnInteger;
    } else if (negative ? __builtin_sub_overflow(number, quantity, &sum) : __builtin_add_overflow(number, quantity, &sum)) {
      error = "ERR increment or decrement would overflow";
    }
    if (error != nullptr) return Change{};
    const auto end = std::to_chars(digits, digits + sizeof digits, sum).ptr;
    return Change{Change::Action::kReplace, {std::string_view(digits, static_cast<std::size_t>(end - digits))},
                  kept_expiry(old)};
  });
  if (status == WriteStatus::kOutOfMemory) return context.reply.out_of_memory();
  if (error != nullptr) return context.reply.error(error);
  context.reply.integer(sum);
}

void add_float(CommandContext& context, const Call& call, bool negative) {
  if (call.count() > 3) return wrong_argument_count(context, negative ? "DECF" : "INCF");
  long double quantity = 1.0L;
  if (call.count() == 3 && !parse_float(call[2], &quantity)) return context.reply.error(kNotAFloat);
  const char* error = nullptr;
  std::string text;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    error = nullptr;
    long double number = 0;
    if (old != nullptr && !parse_float(old->value, &number)) {
      error = kNotAFloat;
      return Change{};
    }
    const long double sum = negative ? number - quantity : number + quantity;
    if (!std::isfinite(sum)) {
      error = "ERR increment would produce NaN or Infinity";
      return Change{};
    }
    text = format_float(sum);
    return Change{Change::Action::kReplace, {text}, kept_expiry(old)};
  });
  if (status == WriteStatus::kOutOfMemory) return context.reply.out_of_memory();
  if (error != nullptr) return context.reply.error(error);
  context.reply.bulk(text);
}

}  // namespace

void inc(CommandContext& context, const Call& call) { add_integer(context, call, false); }
void dec(CommandContext& context, const Call& call) { add_integer(context, call, true); }
void incf(CommandContext& context, const Call& call) { add_float(context, call, false); }
void decf(CommandContext& context, const Call& call) { add_float(context, call, true); }

}  // namespace memento::handlers
