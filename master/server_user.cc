// See server_user.h.
#include "master/server_user.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "shm/os/fd.h"
#include "shm/os/synced_file.h"

namespace memento {

Result<std::optional<ServerUser>> ServerUser::find(const std::string& name) {
  if (name.empty()) return std::optional<ServerUser>();
  const passwd* const entry = getpwnam(name.c_str());
  if (entry == nullptr) {
    return Error{ExitStatus::kConfig, 0,
                 "user: '" + name + "' is no user of this system; make it or name another --user"};
  }
  if (entry->pw_uid == geteuid()) return std::optional<ServerUser>();
  if (geteuid() != 0) {
    return Error{ExitStatus::kConfig, 0,
                 "user: only root can run workers as '" + name + "', and this is user " +
                     std::to_string(geteuid()) + "; start as root or leave --user out"};
  }
  ServerUser user{name, entry->pw_uid, entry->pw_gid};
  int count = 0;
  getgrouplist(name.c_str(), user.group, nullptr, &count);
  user.groups.resize(static_cast<std::size_t>(count));
  if (getgrouplist(name.c_str(), user.group, user.groups.data(), &count) < 0) user.groups = {user.group};
  return std::optional<ServerUser>(std::move(user));
}

Outcome ServerUser::become() const {
  if (setgroups(groups.size(), groups.data()) != 0) return system_error("setgroups of user " + name);
  if (setresgid(group, group, group) != 0) return system_error("setresgid to the group of user " + name);
  if (setresuid(id, id, id) != 0) return system_error("setresuid to user " + name);
  return Done{};
}

Outcome ServerUser::make_folder(const std::string& path) const {
  if (mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return Done{};
    return system_error("mkdir(" + path + ")");
  }
  const Fd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!folder || fstat(folder.get(), &status) != 0) return system_error("open(" + path + ")");
  // Another process may have put a folder of its own there meanwhile. It is left as it is, and refused when
  // the data is opened in it.
  if (status.st_uid == geteuid() && fchown(folder.get(), id, group) != 0)
    return system_error("fchown(" + path + ")");
  return sync_name(path);
}

RightsOf::RightsOf(const std::optional<ServerUser>& user) {
  if (!user) return;
  is_other_ = true;
  own_group_ = getegid();
  own_groups_.resize(static_cast<std::size_t>(getgroups(0, nullptr)));
  getgroups(static_cast<int>(own_groups_.size()), own_groups_.data());
  prctl(PR_GET_PDEATHSIG, &death_signal_);
  if (setgroups(user->groups.size(), user->groups.data()) != 0 || setegid(user->group) != 0 ||
      seteuid(user->id) != 0) {
    outcome_ = system_error("taking the rights of user " + user->name);
  }
}

RightsOf::~RightsOf() {
  if (!is_other_) return;
  // Root can take its rights back. A master that could not would neither signal nor replace its children, so
  // it ends.
  if (seteuid(0) != 0 || setegid(own_group_) != 0 || setgroups(own_groups_.size(), own_groups_.data()) != 0)
    std::abort();
  prctl(PR_SET_PDEATHSIG, death_signal_);  // which the kernel cleared
}

}  // namespace memento
