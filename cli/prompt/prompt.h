// memento-cli at a terminal: reads commands through the line editor and prints their replies.
//
// A lost connection is opened again. A command whose reply got lost is not sent twice: it may have been
// carried out, and INC or APPEND would then count double.
#pragma once

#include "cli/options.h"

namespace memento::cli {

CliStatus run_prompt(const Options& options);

}  // namespace memento::cli
