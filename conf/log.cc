// See log.h.
#include "conf/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "shm/os/private_file.h"

namespace memento {

Result<Log> Log::open(const std::string& path, std::optional<uid_t> owner) {
  Log log;
  log.path_ = path;
  log.owner_ = owner;
  if (const Outcome opened = log.reopen(); !opened) return opened.error();
  return log;
}

Outcome Log::reopen() {
  if (path_.empty()) return Done{};
  Result<Fd> file = open_trusted_file(path_, O_WRONLY | O_CREAT | O_APPEND, 0640, "the log", owner_);
  if (!file) return file.error();
  struct stat status {};
  // A file with a second link may be another user's, who linked it here; its owner is not changed.
  const bool is_plain = fstat(file->get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
  if (owner_ && is_plain && status.st_uid != *owner_ &&
      fchown(file->get(), *owner_, static_cast<gid_t>(-1)) != 0) {
    return system_error("fchown(" + path_ + ") of the log");
  }
  file_ = std::move(*file);
  return Done{};
}

void Log::write(const char* level, std::string_view message) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H-%M-%S", &local);
  std::string line = std::string("[") + level + "][" + stamp + "] - ";
  if (!role_.empty()) line += role_ + " (pid " + std::to_string(getpid()) + "): ";
  line.append(message).append("\n");
  // A failure to write the log cannot be logged.
  [[maybe_unused]] const ssize_t written =
      ::write(file_ ? file_.get() : STDERR_FILENO, line.data(), line.size());
}

}  // namespace memento
