// Log: lines like `[INF][2026-11-22 05-14-00] - message` to stderr or a file, each one write(2). Processes
// other than the master name their role and pid. Any process.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

class Log {
 public:
  /// Empty path: stderr. With an owner the file is given to that user, whose processes open it again too.
  static Result<Log> open(const std::string& path, std::optional<uid_t> owner = {});

  void set_role(std::string role) { role_ = std::move(role); }
  /// After rotation of the file; the old one stays in use when the new one cannot be opened.
  Outcome reopen();

  void info(std::string_view message) { write("INF", message); }
  void warning(std::string_view message) { write("WRN", message); }
  void error(std::string_view message) { write("ERR", message); }
  void debug(std::string_view message) { write("DBG", message); }

 private:
  void write(const char* level, std::string_view message);

  std::string path_;
  std::optional<uid_t> owner_;
  std::string role_;
  Fd file_;
};

}  // namespace memento
