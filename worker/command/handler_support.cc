// See handler_support.h.
#include "worker/command/handler_support.h"

#include <string>

#include "worker/command/words.h"

namespace memento::handlers {

void value_too_long(CommandContext& context) {
  context.reply.error("ERR value is longer than the limit of " +
                      std::to_string(context.keyspace.value_limit_bytes()) + " bytes");
}

void wrong_argument_count(CommandContext& context, std::string_view command) {
  context.reply.error("ERR wrong number of arguments for '" + lower_case(command) + "' command");
}

}  // namespace memento::handlers
