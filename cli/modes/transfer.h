// --import and --export: records (record.h) between a file and a server.
//
// An import sends SETs at full pipeline depth. A line that is no record, or that the server refuses, is
// reported with its number, and the import goes on. When the import is cut off it says from which line to go
// on (--from-line): all lines before that were acknowledged. An export is written beside its file and takes
// its place when it is whole.
#pragma once

#include "cli/options.h"

namespace memento::cli {

CliStatus run_import(const Options& options);
CliStatus run_export(const Options& options);

}  // namespace memento::cli
