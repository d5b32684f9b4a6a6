// What several handlers share: error texts, and the reply to a write.
#pragma once

#include "worker/command/command.h"

namespace memento::handlers {

inline constexpr const char* kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr const char* kNotAFloat = "ERR value is not a valid float";
inline constexpr const char* kSyntaxError = "ERR syntax error";
inline constexpr const char* kBadClientName =
    "ERR Client names cannot contain spaces, newlines or special characters.";

void value_too_long(CommandContext& context);
/// `command` in any case.
void wrong_argument_count(CommandContext& context, std::string_view command);

/// May a connection be called so? (client_handlers.cc)
bool is_client_name(std::string_view name);

}  // namespace memento::handlers
