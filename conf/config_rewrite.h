// Writing settings into an existing configuration file, for CONFIG REWRITE. Workers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shm/os/result.h"

namespace memento {

/// What a key of the file is to say; an empty value: its lines go.
struct ConfigChange {
  std::string key;
  std::string value;
};

/// The file's text with these changes: a key's last line, which is the one that counts, is replaced, or one
/// added at the end. All other lines stay as they are, comments too.
std::string changed_config(std::string_view text, const std::vector<ConfigChange>& changes);

/// Makes the changes in the file, all or none of them, whatever happens meanwhile. It keeps its mode, and its
/// owner where this process may give it away; a link stays one. An error, and no change, when no server could
/// be started with the file then.
Outcome rewrite_config_file(const std::string& path, const std::vector<ConfigChange>& changes);

}  // namespace memento
