// See channel.h.
#include "bus/core/channel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "shm/os/fd.h"

namespace memento {
namespace {

bool map_part(const Fd& file, char* at, std::uint64_t offset, std::uint64_t bytes) {
  return mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(),
              static_cast<off_t>(offset)) != MAP_FAILED;
}

}  // namespace

std::string Channel::path_of(const std::string& directory, std::uint32_t process) {
  return directory + "/channel-" + std::to_string(process);
}

Result<Channel> Channel::create(const std::string& directory, std::uint32_t process, std::uint32_t node_count) {
  const std::string path = path_of(directory, process);
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return system_error("open(" + path + ") for the way to the bus");
  int result = 0;
  do {
    result = fallocate(file.get(), 0, 0, static_cast<off_t>(file_bytes(node_count)));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return system_error("fallocate(" + path + ")");
  return map(file, path, node_count);
}

Result<Channel> Channel::open(const std::string& directory, std::uint32_t process, std::uint32_t node_count) {
  const std::string path = path_of(directory, process);
  const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return system_error("open(" + path + ")");
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || status.st_size != static_cast<off_t>(file_bytes(node_count))) {
    return Error{ExitStatus::kRuntime, 0, path + " has another size"};
  }
  return map(file, path, node_count);
}

Result<Channel> Channel::map(const Fd& file, const std::string& path, std::uint32_t node_count) {
  Channel channel(nullptr, node_count);
  void* const area =
      mmap(nullptr, channel.mapped_bytes(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) return system_error("mmap for " + path);
  channel.base_ = static_cast<char*>(area);
  std::uint64_t offset = kHeaderBytes;
  const auto map_ring = [&](char* ring, std::uint64_t bytes) {
    const bool is_mapped = map_part(file, ring, offset, bytes) && map_part(file, ring + bytes, offset, bytes);
    offset += bytes;
    return is_mapped;
  };
  bool is_mapped = map_part(file, channel.base_, 0, kHeaderBytes) &&
                   map_ring(channel.requests(), kChannelRingBytes) &&
                   map_ring(channel.replies(), kChannelRingBytes);
  for (std::uint32_t node = 0; is_mapped && node < node_count; ++node) {
    is_mapped = map_ring(channel.peer_requests(node), channel.peer_bytes()) &&
                map_ring(channel.peer_replies(node), channel.peer_bytes());
  }
  if (!is_mapped) return system_error("mmap(" + path + ")");
  return channel;
}

Channel::Channel(Channel&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), node_count_(other.node_count_) {}

Channel::~Channel() {
  if (base_ != nullptr) munmap(base_, mapped_bytes());
}

}  // namespace memento
