// INFO's text: what the server says about itself, in sections of `name:value` lines named as Redis names them
// where it has the same figure. Runs in workers.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "worker/handlers/context.h"

namespace memento {

/// The sections named by `wanted`, in any case; all of them when it is empty or holds ALL, EVERYTHING or
/// DEFAULT.
std::string info_text(CommandContext& context, std::span<const std::string_view> wanted);

/// When the newest snapshot was complete, or else the server started, in seconds since 1970.
std::uint64_t last_save_s(CommandContext& context);
/// When the server started, in seconds since 1970.
std::int64_t start_time_s(CommandContext& context);

}  // namespace memento
