// A row of the command table as COMMAND tells it.
#pragma once

#include "worker/command/command.h"
#include "worker/wire/reply_writer.h"

namespace memento::handlers {

/// Its ten fields, those of its subcommands among them.
void answer_command(ReplyWriter& reply, const Command& command);

}  // namespace memento::handlers
