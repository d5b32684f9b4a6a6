// `memento --show-journal`: what the journal in a folder, or a file of one, holds, and whether it is whole.
// It reads the files and nothing else; with --cut it cuts off a torn end. No server has to run, and one may.
// A process of its own.
#pragma once

#include <cstdio>

#include "conf/options.h"

namespace memento {

/// What the process ends with; others are ExitStatus.
enum class JournalVerdict : int { kWhole = 0, kTorn = 1, kCorrupt = 2 };

/// Prints what was asked for to `output`, the rest to `errors`. Returns the exit status.
/// REQUIRES: options.show_journal is not empty.
int show_journal(const Options& options, std::FILE* output, std::FILE* errors);

}  // namespace memento
