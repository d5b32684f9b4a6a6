// Files that must outlive a loss of power: what was written is on disk, or an Error says that it may not be.
// No call is made again behind a failed sync: the kernel tells of an error once, and may have dropped what it
// could not write, so a second sync says nothing. Any process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

/// What the file holds is on disk (fdatasync), with what is needed to read it. `path` is how errors call it.
Outcome sync_data(const Fd& file, const std::string& path);

/// The same, and all that is known of the file or folder (fsync): the names in a folder.
Outcome sync_all(const Fd& file, const std::string& path);

/// The name of this folder, or file, is on disk: the folder that it is in is synced. One that this process
/// may not read is another user's, who has made what is in it.
Outcome sync_name(const std::string& path);

/// The folder's file of that name has these bytes, or, when this fails or the machine does, the former ones:
/// they are written to NAME.new, which is synced, takes the name, and the folder is synced.
Outcome replace_synced(const Fd& folder, const std::string& folder_path, const std::string& name,
                       std::string_view bytes);

/// What the folder's file holds; nothing: there is none. Refused: one that is longer than the limit.
Result<std::optional<std::string>> read_private_file(const Fd& folder, const std::string& folder_path,
                                                     const std::string& name, std::uint64_t limit_bytes);

}  // namespace memento
