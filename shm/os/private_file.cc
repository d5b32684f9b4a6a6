// See private_file.h.
#include "shm/os/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace memento {
namespace {

Error refused(const std::string& path, const std::string& why) {
  return Error{ExitStatus::kSystem, 0, path + " is not used: " + why};
}

std::string owner_text(uid_t owner) {
  return "it belongs to user " + std::to_string(owner) + ", this server runs as " + std::to_string(geteuid());
}

std::string mode_text(mode_t mode) {
  std::string text = "0000";
  for (int digit = 3; digit > 0; --digit, mode >>= 3)
    text[static_cast<std::size_t>(digit)] = static_cast<char>('0' + (mode & 7));
  return text;
}

bool is_link(int folder, const char* name, struct stat* status) {
  return fstatat(folder, name, status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status->st_mode);
}

// A failed open that was not to follow links.
Error open_error(int folder, const char* name, const std::string& path, const std::string& call) {
  const int number = errno;
  struct stat status {};
  if (is_link(folder, name, &status)) return refused(path, "it is a symbolic link");
  errno = number;
  return system_error(call);
}

}  // namespace

Result<Fd> open_private_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("mkdir(" + path + ")");
  Fd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return open_error(AT_FDCWD, path.c_str(), path, "open(" + path + ")");
  struct stat status {};
  if (fstat(folder.get(), &status) != 0) return system_error("fstat(" + path + ")");
  if (status.st_uid != geteuid())
    return refused(path, owner_text(status.st_uid) +
                             "; remove it or choose another folder, or chown -R it when it is your own "
                             "server's that had another user");
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return refused(path, "others may write to it (mode " + mode_text(status.st_mode) +
                             "), so what is in it may be theirs; look at it, then remove it or chmod 700 it");
  }
  return folder;
}

Result<Fd> open_private_file(const Fd& folder, const std::string& name, int flags, const std::string& path) {
  Fd file(openat(folder.get(), name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!file) return open_error(folder.get(), name.c_str(), path, "open(" + path + ")");
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return system_error("fstat(" + path + ")");
  if (!S_ISREG(status.st_mode)) return refused(path, "it is no file");
  if (status.st_uid != geteuid()) return refused(path, owner_text(status.st_uid));
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return refused(path, "others may read or write it (mode " + mode_text(status.st_mode) + "); remove it");
  }
  return file;
}

Result<Fd> open_trusted_file(const std::string& path, int flags, mode_t mode, const std::string& purpose,
                             std::optional<uid_t> other_owner) {
  const std::string call = "open(" + path + ") for " + purpose;
  Fd file(open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode));
  struct stat status {};
  if (!file) {
    const int number = errno;
    if (number != ELOOP || !is_link(AT_FDCWD, path.c_str(), &status))
      return errno = number, system_error(call);
    if (status.st_uid != 0 && status.st_uid != geteuid())
      return refused(path, "it is another user's symbolic link");
    file = Fd(open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!file) return system_error(call);
  }
  if (fstat(file.get(), &status) != 0) return system_error("fstat(" + path + ")");
  if (S_ISCHR(status.st_mode)) return file;
  if (status.st_uid != 0 && status.st_uid != geteuid() && status.st_uid != other_owner) {
    return refused(path, owner_text(status.st_uid) + "; chown it, remove it or choose another");
  }
  if (S_ISREG(status.st_mode) && (status.st_mode & S_IWOTH) != 0) {
    return refused(path, "everybody may write to it (mode " + mode_text(status.st_mode) + ")");
  }
  return file;
}

}  // namespace memento
