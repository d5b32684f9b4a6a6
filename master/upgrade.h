// Upgrade: USR2's part outside the master's own state. The binary that would take over is run as a child
// first, which reads the configuration and maps the segment; only when it says that it can is it exec'd in
// the master's process. Runs in the master; check_upgrade() in that child.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "master/handover.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

/// The binary this process was started from and its command line: what an upgrade runs.
struct Program {
  std::string path;                    ///< absolute; not resolved, so a link may lead elsewhere by then
  std::vector<std::string> arguments;  ///< without the name
};

/// The path by which this process was exec'd.
std::string own_path(const std::string& start_folder);

/// The child that proves a binary usable.
class UpgradeCheck {
 public:
  /// REQUIRES: not running.
  Outcome start(const Program& program, const Handover& handover);
  bool is_running() const { return pid_ != 0; }
  pid_t pid() const { return pid_; }
  std::int64_t kill_at_ns() const { return kill_at_ns_; }
  void stop();
  /// After the child's end, with its wait status. Error: why the binary cannot take over.
  Outcome finish(int status);

 private:
  std::string identity() const;

  pid_t pid_ = 0;
  bool was_stopped_ = false;
  std::int64_t kill_at_ns_ = 0;
  std::string path_;
  std::string identity_;  ///< of the file that was checked
  Fd output_;
};

/// Replaces this process's program. Returns only on failure, with everything as it was.
Error exec_upgrade(const Program& program, const Handover& handover);

/// True when these arguments ask for a check, which the first one does.
bool asks_for_upgrade_check(const std::vector<std::string>& arguments);
/// The check itself; the exit status. Says on stdout that it can, or why not.
int check_upgrade(std::vector<std::string> arguments);

}  // namespace memento
