// What several handlers share: error texts, and the reply to a write.
#pragma once

#include "worker/command/command.h"

namespace memento::handlers {

inline constexpr const char* kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr const char* kNotAFloat = "ERR value is not a valid float";

void value_too_long(CommandContext& context);
void wrong_argument_count(CommandContext& context, std::string_view command);

}  // namespace memento::handlers
