// See cluster_state.h.
#include "bus/core/cluster_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "bus/core/channel.h"
#include "shm/os/file.h"
#include "shm/os/private_file.h"

namespace memento {
namespace {

constexpr const char* kName = "cluster";

std::string path_in(const std::string& directory) { return directory + "/" + kName; }

}  // namespace

std::string_view ClusterState::text_of_link(const NodeState& node) const {
  if (is_self(node)) return "self";
  switch (node.link_state()) {
    case LinkState::kUp:
      return "up";
    case LinkState::kRefused:
      return "refused";
    case LinkState::kDown:
      break;
  }
  return "down";
}

Result<ClusterStateFile> ClusterStateFile::create(const std::string& directory) {
  const std::string path = path_in(directory);
  const Result<Fd> folder = open_private_folder(directory);
  if (!folder) return folder.error();
  unlink(path.c_str());
  for (std::uint32_t process = 0; process < kProcessLimit; ++process)
    unlink(Channel::path_of(directory, process).c_str());
  const Result<Fd> opened = open_private_file(*folder, kName, O_RDWR | O_CREAT | O_EXCL, path);
  if (!opened) return opened.error();
  if (!reserve_range(opened->get(), 0, sizeof(ClusterState))) return system_error("fallocate(" + path + ")");
  Result<Mapping> mapping = Mapping::of_file(opened->get(), sizeof(ClusterState), path);
  if (!mapping) return mapping.error();
  ClusterStateFile state(std::move(*mapping));
  state->magic = kClusterMagic;
  state->layout_version = kClusterLayoutVersion;
  state->struct_hash = kClusterStructHash;
  return state;
}

Result<ClusterStateFile> ClusterStateFile::adopt(const std::string& directory) {
  const std::string path = path_in(directory);
  const Result<Fd> folder = open_private_folder(directory);
  if (!folder) return folder.error();
  const Result<Fd> opened = open_private_file(*folder, kName, O_RDWR, path);
  if (!opened) return opened.error();
  if (file_size_bytes(opened->get()) != sizeof(ClusterState)) {
    return Error{ExitStatus::kConfig, 0, path + ": the cluster's state has another size than this version's"};
  }
  Result<Mapping> mapping = Mapping::of_file(opened->get(), sizeof(ClusterState), path);
  if (!mapping) return mapping.error();
  ClusterStateFile adopted(std::move(*mapping));
  if (adopted->magic != kClusterMagic || adopted->layout_version != kClusterLayoutVersion ||
      adopted->struct_hash != kClusterStructHash) {
    return Error{ExitStatus::kConfig, 0,
                 path + ": layout " + std::to_string(adopted->layout_version) + ", expected " +
                     std::to_string(kClusterLayoutVersion)};
  }
  return adopted;
}

}  // namespace memento
