// See synced_file.h.
#include "shm/os/synced_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>

#include "shm/os/file.h"
#include "shm/os/private_file.h"

namespace memento {

Outcome sync_data(const Fd& file, const std::string& path) {
  if (fdatasync(file.get()) != 0) return system_error("fdatasync(" + path + ")");
  return Done{};
}

Outcome sync_all(const Fd& file, const std::string& path) {
  if (fsync(file.get()) != 0) return system_error("fsync(" + path + ")");
  return Done{};
}

Outcome sync_name(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  const std::size_t slash = path.rfind('/', end);
  std::string outer = ".";
  if (slash != std::string::npos) outer = slash == 0 ? "/" : path.substr(0, slash);
  const Fd folder(open(outer.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) return sync_all(folder, outer);
  return errno == EACCES ? Outcome(Done{}) : system_error("open(" + outer + ")");
}

Outcome replace_synced(const Fd& folder, const std::string& folder_path, const std::string& name,
                       std::string_view bytes) {
  const std::string path = folder_path + "/" + name;
  const std::string new_name = name + ".new";
  Result<Fd> file = open_private_file(folder, new_name, O_RDWR | O_CREAT | O_TRUNC, path + ".new");
  if (!file) return file.error();
  if (!write_at(file->get(), 0, bytes.data(), bytes.size())) return system_error("write(" + path + ".new)");
  if (Outcome synced = sync_all(*file, path + ".new"); !synced) return synced;
  if (renameat(folder.get(), new_name.c_str(), folder.get(), name.c_str()) != 0)
    return system_error("rename(" + path + ".new)");
  return sync_all(folder, folder_path);
}

Result<std::optional<std::string>> read_private_file(const Fd& folder, const std::string& folder_path,
                                                     const std::string& name, std::uint64_t limit_bytes) {
  const std::string path = folder_path + "/" + name;
  Result<Fd> file = open_private_file(folder, name, O_RDONLY, path);
  if (!file) {
    if (file.error().error_number == ENOENT) return std::optional<std::string>();
    return file.error();
  }
  const std::optional<std::uint64_t> size_bytes = file_size_bytes(file->get());
  if (!size_bytes) return system_error("fstat(" + path + ")");
  if (*size_bytes > limit_bytes) {
    return Error{ExitStatus::kSystem, 0,
                 path + " is not used: it has " + std::to_string(*size_bytes) + " bytes, at most " +
                     std::to_string(limit_bytes) + " are possible"};
  }
  std::string bytes(*size_bytes, '\0');
  if (!read_at(file->get(), 0, bytes.data(), bytes.size())) return system_error("read(" + path + ")");
  return std::optional<std::string>(std::move(bytes));
}

}  // namespace memento
