// `memento-cli top`: a live view of a server over the whole screen, until q or Ctrl-C.
#pragma once

#include "cli/options.h"

namespace memento::cli {

CliStatus run_top(const Options& options);

}  // namespace memento::cli
