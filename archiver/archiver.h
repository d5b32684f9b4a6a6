// The archiver: the one process that writes the journal to disk. It takes what the processes' rings hold, in
// order, writes it as frames to the journal's files, syncs them, and says how far all rings are on disk. At
// the start it reads the data from there, when memory does not have it. So a slow disk, or one that hangs,
// stops nobody else. The master forks it like a worker.
#pragma once

#include <cstdint>
#include <vector>

#include "conf/live_settings.h"
#include "conf/log.h"
#include "conf/options.h"
#include "shm/archive/binding.h"
#include "shm/archive/journal_folder.h"
#include "shm/os/fd.h"
#include "shm/segment.h"

namespace memento {

struct ArchiverProcess {
  Segment& segment;
  JournalFolder& folder;  ///< locked
  StateFolder& state_folder;
  Fd ready_pipe;          ///< gets the process id, 32 bits, once all data is there and goes to disk
  std::uint32_t process;  ///< record in the segment
  std::vector<std::uint32_t> loader_processes;  ///< more records, which nobody else uses while data is loaded
  Log& log;
  LiveSettings& settings;
  const Options& options;
};

/// Goes on until SIGTERM, or SIGQUIT, when nobody writes any more; then it writes what is left, and ends.
/// Returns the exit status; kConfig: what is on disk cannot be used as it is, and the log says what to do.
int run_archiver(ArchiverProcess process);

}  // namespace memento
