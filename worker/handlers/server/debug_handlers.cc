// DEBUG: what tests of servers and clients ask for. DEBUG OBJECT is in key_handlers.cc.
#include <time.h>

#include <cmath>
#include <string>

#include "worker/handlers/handler_support.h"
#include "worker/handlers/handlers.h"
#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {
namespace {

constexpr long double kLongestSleepSeconds = 3600;
constexpr std::int64_t kElements = 3;

// 0, 1, 2; in a map each with whether it is 1.
void write_elements(ReplyWriter& reply, bool is_map) {
  for (std::int64_t i = 0; i < kElements; ++i) {
    if (is_map && reply.is_text()) {
      reply.field(std::to_string(i));
    } else {
      reply.integer(i);
    }
    if (is_map) reply.boolean(i == 1);
  }
  reply.end();
}

// Attributes stand in front of a reply; there are none before RESP3.
void write_with_attribute(ReplyWriter& reply) {
  if (reply.is_resp3()) {
    reply.begin_attributes(1);
    reply.field("key-popularity");
    reply.begin_array(2);
    reply.bulk("key:123");
    reply.integer(90);
    reply.end();
    reply.end();
  }
  reply.bulk("Some real reply following the attribute");
}

void write_push(ReplyWriter& reply) {
  if (!reply.is_resp3()) return reply.error("ERR RESP2 is not supported by this command");
  reply.begin_push(2);
  reply.bulk("server-cpu-usage");
  reply.integer(42);
  reply.end();
}

}  // namespace

// Holds up this worker and its connections, as it is meant to.
void debug_sleep(CommandContext& context, const Call& call) {
  const std::optional<long double> given = parse_float(call[2]);
  if (!given || *given < 0 || *given > kLongestSleepSeconds) return context.reply.error(kNotAFloat);
  if (context.is_repeated) return context.reply.ok();  // EXEC has slept before it locked anything
  const long double seconds = *given;
  timespec rest{};
  rest.tv_sec = static_cast<time_t>(seconds);
  rest.tv_nsec = static_cast<long>((seconds - std::floor(seconds)) * 1e9L);
  while (nanosleep(&rest, &rest) != 0) {
  }
  context.reply.ok();
}

void debug_set_active_expire(CommandContext& context, const Call& call) {
  const std::optional<std::int64_t> value = take_integer(context, call[2]);
  if (!value) return;
  context.services.settings.expires_in_background = *value != 0;
  context.reply.ok();
}

void debug_protocol(CommandContext& context, const Call& call) {
  ReplyWriter& reply = context.reply;
  if (is_word(call[2], "STRING")) return reply.bulk("Hello World");
  if (is_word(call[2], "INTEGER")) return reply.integer(12345);
  if (is_word(call[2], "DOUBLE")) return reply.number(3.141);
  if (is_word(call[2], "NULL")) return reply.nil();
  if (is_word(call[2], "ARRAY")) return reply.begin_array(kElements), write_elements(reply, false);
  if (is_word(call[2], "SET")) return reply.begin_set(kElements), write_elements(reply, false);
  if (is_word(call[2], "MAP")) return reply.begin_map(kElements), write_elements(reply, true);
  if (is_word(call[2], "ATTRIB")) return write_with_attribute(reply);
  if (is_word(call[2], "PUSH")) return write_push(reply);
  if (is_word(call[2], "VERBATIM")) return reply.verbatim("This is a verbatim\nstring");
  if (is_word(call[2], "TRUE")) return reply.boolean(true);
  if (is_word(call[2], "FALSE")) return reply.boolean(false);
  if (is_word(call[2], "BIGNUM")) return reply.big_number("1234567999999999999999999999999999999");
  reply.error(
      "ERR Wrong protocol type name. Please use one of the following: "
      "string|integer|double|bignum|null|array|"
      "set|map|attrib|push|verbatim|true|false");
}

}  // namespace memento::handlers
