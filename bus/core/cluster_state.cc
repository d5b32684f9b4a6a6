// See cluster_state.h.
#include "bus/core/cluster_state.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "bus/core/channel.h"
#include "shm/os/private_file.h"

namespace memento {
namespace {

constexpr const char* kName = "cluster";

std::string path_in(const std::string& directory) { return directory + "/" + kName; }

Result<ClusterState*> map(const Fd& file, const std::string& path) {
  void* const memory = mmap(nullptr, sizeof(ClusterState), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return system_error("mmap(" + path + ")");
  return static_cast<ClusterState*>(memory);
}

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
  const Fd& file = *opened;
  if (fallocate(file.get(), 0, 0, sizeof(ClusterState)) != 0) return system_error("fallocate(" + path + ")");
  const Result<ClusterState*> state = map(file, path);
  if (!state) return state.error();
  (*state)->magic = kClusterMagic;
  (*state)->layout_version = kClusterLayoutVersion;
  (*state)->struct_hash = kClusterStructHash;
  return ClusterStateFile(*state);
}

Result<ClusterStateFile> ClusterStateFile::adopt(const std::string& directory) {
  const std::string path = path_in(directory);
  const Result<Fd> folder = open_private_folder(directory);
  if (!folder) return folder.error();
  const Result<Fd> opened = open_private_file(*folder, kName, O_RDWR, path);
  if (!opened) return opened.error();
  const Fd& file = *opened;
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || status.st_size != static_cast<off_t>(sizeof(ClusterState))) {
    return Error{ExitStatus::kConfig, 0, path + ": the cluster's state has another size than this version's"};
  }
  const Result<ClusterState*> state = map(file, path);
  if (!state) return state.error();
  ClusterStateFile adopted(*state);
  if (adopted->magic != kClusterMagic || adopted->layout_version != kClusterLayoutVersion ||
      adopted->struct_hash != kClusterStructHash) {
    return Error{ExitStatus::kConfig, 0,
                 path + ": layout " + std::to_string(adopted->layout_version) + ", expected " +
                     std::to_string(kClusterLayoutVersion)};
  }
  return adopted;
}

ClusterStateFile::ClusterStateFile(ClusterStateFile&& other) noexcept
    : state_(std::exchange(other.state_, nullptr)) {}

ClusterStateFile::~ClusterStateFile() {
  if (state_ != nullptr) munmap(state_, sizeof(ClusterState));
}

}  // namespace memento
