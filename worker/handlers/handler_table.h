// Which handler executes which command. Runs in workers.
#pragma once

#include <array>

#include "conf/statistics.h"
#include "worker/command/command.h"
#include "worker/handlers/context.h"

namespace memento {

extern const std::array<Handler, kCommandStatisticsLimit> kHandlers;  ///< by Command::number

inline Handler handler_of(const Command& command) { return kHandlers[command.number]; }

}  // namespace memento
