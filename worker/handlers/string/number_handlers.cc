// Numbers in values: read, add and write back under the slot's lock. An error changes nothing.
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"

namespace memento::handlers {
namespace {

void add_integer(CommandContext& context, const Call& call, std::int64_t quantity) {
  const char* error = nullptr;
  std::int64_t sum = 0;
  char digits[24];
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    error = nullptr;
    const std::optional<std::int64_t> number = old != nullptr ? parse_integer(old->value) : 0;
    if (!number) {
      error = kNotAnInteger;
    } else if (__builtin_add_overflow(*number, quantity, &sum)) {
      error = "ERR increment or decrement would overflow";
    }
    if (error != nullptr) return Change{};
    const auto end = std::to_chars(digits, digits + sizeof digits, sum).ptr;
    return Change{Change::Action::kReplace,
                  {std::string_view(digits, static_cast<std::size_t>(end - digits))},
                  kept_expiry(old)};
  });
  if (answer_refusal(context, status)) return;
  if (error != nullptr) return context.reply.error(error);
  context.changed(call.key, key_events::kIncrBy);
  context.reply.integer(sum);
}

// The number of INC, DEC and their like, negated for the latter. Nothing: an error was written.
std::optional<std::int64_t> take_quantity(CommandContext& context, std::string_view text, bool negative) {
  const std::optional<std::int64_t> quantity = take_integer(context, text);
  if (!quantity || !negative) return quantity;
  if (*quantity == std::numeric_limits<std::int64_t>::min()) {
    context.reply.error("ERR decrement would overflow");
    return std::nullopt;
  }
  return -*quantity;
}

void add_given(CommandContext& context, const Call& call, bool negative) {
  const std::optional<std::int64_t> quantity = take_quantity(context, call[2], negative);
  if (quantity) add_integer(context, call, *quantity);
}

void add_optional(CommandContext& context, const Call& call, bool negative) {
  if (call.count() > 3) return wrong_argument_count(context, call[0]);
  if (call.count() == 3) return add_given(context, call, negative);
  add_integer(context, call, negative ? -1 : 1);
}

void add_float(CommandContext& context, const Call& call, long double quantity) {
  const char* error = nullptr;
  std::string text;
  const WriteStatus status = context.keyspace.update(call.key, [&](const EntryView* old) {
    error = nullptr;
    const std::optional<long double> number =
        old != nullptr ? parse_float(old->value, FloatRange::kWithInfinity) : 0.0L;
    if (!number) {
      error = kNotAFloat;
      return Change{};
    }
    const long double sum = *number + quantity;
    if (!std::isfinite(sum)) {
      error = "ERR increment would produce NaN or Infinity";
      return Change{};
    }
    text = format_float(sum);
    return Change{Change::Action::kReplace, {text}, kept_expiry(old)};
  });
  if (answer_refusal(context, status)) return;
  if (error != nullptr) return context.reply.error(error);
  context.changed(call.key, key_events::kIncrByFloat);
  context.reply.bulk(text);
}

void add_optional_float(CommandContext& context, const Call& call, bool negative) {
  if (call.count() > 3) return wrong_argument_count(context, call[0]);
  const std::optional<long double> quantity = call.count() == 3 ? parse_float(call[2]) : 1.0L;
  if (!quantity) return context.reply.error(kNotAFloat);
  add_float(context, call, negative ? -*quantity : *quantity);
}

}  // namespace

void inc(CommandContext& context, const Call& call) { add_optional(context, call, false); }
void dec(CommandContext& context, const Call& call) { add_optional(context, call, true); }
void incf(CommandContext& context, const Call& call) { add_optional_float(context, call, false); }
void decf(CommandContext& context, const Call& call) { add_optional_float(context, call, true); }

void incr(CommandContext& context, const Call& call) { add_integer(context, call, 1); }
void decr(CommandContext& context, const Call& call) { add_integer(context, call, -1); }
void incrby(CommandContext& context, const Call& call) { add_given(context, call, false); }
void decrby(CommandContext& context, const Call& call) { add_given(context, call, true); }

// Infinity is a number here, which no sum may be.
void incrbyfloat(CommandContext& context, const Call& call) {
  const std::optional<long double> quantity = parse_float(call[2], FloatRange::kWithInfinity);
  if (!quantity) return context.reply.error(kNotAFloat);
  add_float(context, call, *quantity);
}

}  // namespace memento::handlers
