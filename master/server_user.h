// The user that workers and bus run as when root starts the server with --user. The master stays root, but
// works in the folder of the data with that user's rights: so the files belong to that user, and a link that
// the user puts there cannot lead root to a file the user may not open. Runs in the master, in its children,
// and in the child that checks an upgrade.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "shm/os/result.h"

namespace memento {

struct ServerUser {
  std::string name;
  uid_t id = 0;
  gid_t group = 0;
  std::vector<gid_t> groups{};  ///< all groups of the user

  /// Nothing when the name is empty, or this process is that user. Errors (kConfig): unknown; this process is
  /// not root.
  static Result<std::optional<ServerUser>> find(const std::string& name);

  /// Makes this process that user's for good. Clears PR_SET_PDEATHSIG, as the kernel does whenever a user
  /// changes.
  Outcome become() const;

  /// Makes the folder for that user alone when it is missing; root does, because the user may not be allowed
  /// to. A folder that exists is left as it is.
  Outcome make_folder(const std::string& path) const;
};

/// While it exists, this process opens and makes files with the rights of this user, or with its own without
/// a user.
class RightsOf {
 public:
  explicit RightsOf(const std::optional<ServerUser>& user);
  ~RightsOf();
  RightsOf(const RightsOf&) = delete;
  RightsOf& operator=(const RightsOf&) = delete;

  /// An error when the system refused the rights; then nothing may be opened.
  const Outcome& outcome() const { return outcome_; }

 private:
  bool is_other_ = false;
  gid_t own_group_ = 0;
  std::vector<gid_t> own_groups_;
  int death_signal_ = 0;
  Outcome outcome_ = Done{};
};

}  // namespace memento
