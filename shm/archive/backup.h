// A copy of a data folder while a server goes on writing to it: the newest snapshot, and of the journal what
// that snapshot needs to be the data of one moment. It is checked before it is complete, and a server starts
// on it as on a folder of its own. Any process of the user whose folder it is; not of the server's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "shm/os/result.h"

namespace memento {

struct BackupReport {
  std::uint64_t snapshot = 0;  ///< its number
  std::uint64_t keys = 0;      ///< parts of it: keys, and texts of scripts and libraries
  std::uint64_t bytes = 0;     ///< of all files
};

/// From one folder to another, which is made, or is empty. `progress(done, all)`, in bytes copied or checked,
/// is called now and then. An Error with error_number EAGAIN: the server has put another snapshot in the
/// place of the one that was copied, or there is none yet; nothing is left behind. Any other: what is in `to`
/// is no backup, for it has no MANIFEST.
Result<BackupReport> back_up(const std::string& from, const std::string& to,
                             const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace memento
