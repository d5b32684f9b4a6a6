// See pid_file.h.
#include "master/pid_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "shm/os/file.h"
#include "shm/os/private_file.h"

namespace memento {

Result<PidFile> PidFile::take(const std::string& path) {
  PidFile pid_file;
  pid_file.path_ = path;
  Result<Fd> file = open_trusted_file(path, O_RDWR | O_CREAT, 0644, "the pid file");
  if (!file) return file.error();
  pid_file.file_ = std::move(*file);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(pid_file.file_.get(), F_SETLK, &lock) != 0) {
    if (errno != EAGAIN && errno != EACCES) return system_error("fcntl(" + path + ") to lock the pid file");
    const bool known = fcntl(pid_file.file_.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    return Error{ExitStatus::kSystem, 0,
                 "pid file " + path + " is held by process " +
                     (known ? std::to_string(lock.l_pid) : std::string("unknown")) +
                     "; stop that server or choose another --pidfile"};
  }
  const std::string text = std::to_string(getpid()) + "\n";
  if (ftruncate(pid_file.file_.get(), 0) != 0 ||
      !write_at(pid_file.file_.get(), 0, text.data(), text.size())) {
    return system_error("write(" + path + ") of the pid file");
  }
  return pid_file;
}

PidFile PidFile::taken_over(Fd file, const std::string& path) {
  PidFile pid_file;
  pid_file.path_ = path;
  pid_file.file_ = std::move(file);
  return pid_file;
}

void PidFile::remove() {
  if (file_) unlink(path_.c_str());
}

}  // namespace memento
