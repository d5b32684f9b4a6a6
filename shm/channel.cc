// See channel.h.
#include "shm/channel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "shm/os/fd.h"

namespace memento {
namespace {

constexpr std::uint64_t kFileBytes = 4096 + 2 * kChannelRingBytes;
constexpr std::uint64_t kMappedBytes = 4096 + 4 * kChannelRingBytes;

bool map_part(const Fd& file, char* at, std::uint64_t offset, std::uint64_t bytes) {
  return mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(), static_cast<off_t>(offset)) != MAP_FAILED;
}

}  // namespace

std::string Channel::path_of(const std::string& directory, std::uint32_t process) {
  return directory + "/channel-" + std::to_string(process);
}

Result<Channel> Channel::create(const std::string& directory, std::uint32_t process) {
  const std::string path = path_of(directory, process);
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return system_error("open(" + path + ") for the way to the bus");
  int result = 0;
  do {
    result = fallocate(file.get(), 0, 0, static_cast<off_t>(kFileBytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return system_error("fallocate(" + path + ")");
  return map(file, path);
}

Result<Channel> Channel::open(const std::string& directory, std::uint32_t process) {
  const std::string path = path_of(directory, process);
  const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return system_error("open(" + path + ")");
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || status.st_size != static_cast<off_t>(kFileBytes)) {
    return Error{ExitStatus::kRuntime, 0, path + " has another size"};
  }
  return map(file, path);
}

Result<Channel> Channel::map(const Fd& file, const std::string& path) {
  void* const area = mmap(nullptr, kMappedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) return system_error("mmap for " + path);
  Channel channel(static_cast<char*>(area));
  if (!map_part(file, channel.base_, 0, 4096)) return system_error("mmap(" + path + ")");
  std::uint64_t offset = 4096;
  for (char* ring : {channel.requests(), channel.replies()}) {
    if (!map_part(file, ring, offset, kChannelRingBytes) ||
        !map_part(file, ring + kChannelRingBytes, offset, kChannelRingBytes)) {
      return system_error("mmap(" + path + ")");
    }
    offset += kChannelRingBytes;
  }
  return channel;
}

Channel::Channel(Channel&& other) noexcept : base_(std::exchange(other.base_, nullptr)) {}

Channel::~Channel() {
  if (base_ != nullptr) munmap(base_, kMappedBytes);
}

}  // namespace memento
