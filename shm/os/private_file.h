// Files that nobody but this process's user may have prepared or may change: the data, its folder, log and
// pid file. They may lie in places where everybody can make files (/dev/shm, /tmp), so each is opened without
// following a link and then looked at by its descriptor: whose it is, who may write to it. Otherwise it is
// refused, with the reason. Any process.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

/// The folder, made with mode 0700 when it is missing. Refused: a link, another user's, one that others may
/// write to.
Result<Fd> open_private_folder(const std::string& path);

/// A file of that folder, made with mode 0600 when it is missing and the flags say O_CREAT. Refused: a link
/// or anything else that is no file, another user's, one that others may read or write. `path` is how errors
/// call it.
Result<Fd> open_private_file(const Fd& folder, const std::string& name, int flags, const std::string& path);

/// A log or pid file: refused when it is another user's (root's is as good as one's own, and so is
/// `other_owner`'s), or everybody may write to it. A link is followed when it is root's or one's own:
/// /dev/stdout is one. Devices are as they are.
Result<Fd> open_trusted_file(const std::string& path, int flags, mode_t mode, const std::string& purpose,
                             std::optional<uid_t> other_owner = {});

}  // namespace memento
