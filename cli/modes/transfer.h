// --import and --export: records (record.h) between a file and a server.
//
// An import sends SETs at full pipeline depth. What is no record, or refused, is told with its line, and the
// rest goes on. When it is cut off it says from which line to go on (--from-line): all before that were
// acknowledged. An export is written beside its file and takes its place when it is whole.
#pragma once

#include "cli/options.h"

namespace memento::cli {

CliStatus run_import(const Options& options);
CliStatus run_export(const Options& options);

}  // namespace memento::cli
