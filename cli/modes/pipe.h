// --pipe: the commands of stdin, text lines or RESP, at full pipeline depth. Progress, errors with their
// lines, and a summary go to stderr; replies that are no errors are not shown.
//
// A text line means what it means in the server's text protocol: words parted by spaces, and a value that
// ends a request is the rest of the line. It is sent as RESP, whose replies can't be mistaken for each other.
#pragma once

#include "cli/options.h"

namespace memento::cli {

CliStatus run_pipe(const Options& options);

}  // namespace memento::cli
