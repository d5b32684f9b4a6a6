// See channel.h.
#include "bus/core/channel.h"

#include <fcntl.h>

#include <cassert>
#include <utility>

#include "shm/os/file.h"

namespace memento {

std::string Channel::path_of(const std::string& directory, std::uint32_t process) {
  return directory + "/channel-" + std::to_string(process);
}

Result<Channel> Channel::create(const std::string& directory, std::uint32_t process,
                                std::uint32_t node_count) {
  const std::string path = path_of(directory, process);
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return system_error("open(" + path + ") for the way to the bus");
  if (!reserve_range(file.get(), 0, file_bytes(node_count))) return system_error("fallocate(" + path + ")");
  return map(file, path, node_count);
}

Result<Channel> Channel::open(const std::string& directory, std::uint32_t process, std::uint32_t node_count) {
  const std::string path = path_of(directory, process);
  const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return system_error("open(" + path + ")");
  if (file_size_bytes(file.get()) != file_bytes(node_count)) {
    return Error{ExitStatus::kRuntime, 0, path + " has another size"};
  }
  return map(file, path, node_count);
}

Result<Channel> Channel::map(const Fd& file, const std::string& path, std::uint32_t node_count) {
  // All but the header is mapped twice.
  const std::uint64_t mapped_bytes = 2 * file_bytes(node_count) - kHeaderBytes;
  assert(node_count > 0 && node_count <= kNodeLimit);
  Result<Mapping> area = Mapping::addresses(mapped_bytes, "addresses for " + path);
  if (!area) return area.error();
  std::uint64_t at = 0;
  std::uint64_t file_offset = 0;
  const auto map_part = [&](std::uint64_t bytes, int copy_count) {
    for (int copy = 0; copy < copy_count; ++copy, at += bytes) {
      if (!area->place(at, file.get(), file_offset, bytes)) return false;
    }
    file_offset += bytes;
    return true;
  };
  bool is_mapped =
      map_part(kHeaderBytes, 1) && map_part(kChannelRingBytes, 2) && map_part(kChannelRingBytes, 2);
  for (std::uint32_t ring = 0; is_mapped && ring < 2 * node_count; ++ring) {
    is_mapped = map_part(peer_ring_bytes(node_count), 2);
  }
  if (!is_mapped) return system_error("mmap(" + path + ")");
  assert(at == mapped_bytes && file_offset == file_bytes(node_count));
  return Channel(std::move(*area), node_count);
}

}  // namespace memento
