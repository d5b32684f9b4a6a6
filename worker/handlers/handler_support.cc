// See handler_support.h.
#include "worker/handlers/handler_support.h"

#include <algorithm>
#include <string>

#include "worker/text/number_text.h"
#include "worker/text/words.h"

namespace memento::handlers {

void write_refusal(CommandContext& context, WriteStatus status) {
  if (status == WriteStatus::kOutOfMemory) return context.reply.out_of_memory();
  context.reply.error("BUSY the keys of this command change faster than it runs; nothing was changed");
}

// RESP's clients look for Redis's text.
void value_too_long(CommandContext& context) {
  if (!context.reply.is_text())
    return context.reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  context.reply.error("ERR value is longer than the limit of " +
                      std::to_string(context.keyspace.value_limit_bytes()) + " bytes");
}

std::optional<std::int64_t> take_integer(CommandContext& context, std::string_view text, const char* error) {
  const std::optional<std::int64_t> number = parse_integer(text);
  if (!number) context.reply.error(error);
  return number;
}

std::optional<DatabaseId> open_database(CommandContext& context, std::string_view text) {
  const std::optional<std::int64_t> number = take_integer(context, text);
  if (!number) return std::nullopt;
  if (const std::int64_t index = *number; index != static_cast<std::int32_t>(index)) {
    context.reply.error("ERR value is out of range, value must between -2147483648 and 2147483647");
  } else if (index < 0 || index >= context.services.facts.options.databases) {
    context.reply.error("ERR DB index is out of range");
  } else if (const DatabaseId database(static_cast<std::uint32_t>(index));
             !context.keyspace.open_database(database)) {
    context.reply.out_of_memory();
  } else {
    return database;
  }
  return std::nullopt;
}

IndexRange index_range(std::int64_t first, std::int64_t last, std::int64_t size) {
  if (first < 0) first = std::max<std::int64_t>(first + size, 0);
  if (last < 0) last = std::max<std::int64_t>(last + size, 0);
  last = std::min(last, size - 1);
  return first > last ? IndexRange{} : IndexRange{first, last + 1};
}

void wrong_argument_count(CommandContext& context, std::string_view command) {
  context.reply.error("ERR wrong number of arguments for '" + lower_case(command) + "' command");
}

}  // namespace memento::handlers
