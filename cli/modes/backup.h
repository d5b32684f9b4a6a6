// `memento-cli --backup DIR`: a copy of the server's data, on its machine, while it runs.
#pragma once

#include "cli/options.h"

namespace memento::cli {

CliStatus run_backup(const Options& options);

}  // namespace memento::cli
