// See mapping.h.
#include "shm/os/mapping.h"

#include <sys/mman.h>

#include <cassert>

namespace memento {

Result<Mapping> Mapping::map(std::size_t size_bytes, int protection, int flags, int file,
                             const std::string& object) {
  void* const data = mmap(nullptr, size_bytes, protection, flags, file, 0);
  if (data == MAP_FAILED) return system_error("mmap(" + object + ")");
  return Mapping(static_cast<char*>(data), size_bytes);
}

Result<Mapping> Mapping::of_file(int file, std::size_t size_bytes, const std::string& object) {
  return map(size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, object);
}

Result<Mapping> Mapping::shared_memory(std::size_t size_bytes, const std::string& object) {
  return map(size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, object);
}

Result<Mapping> Mapping::addresses(std::size_t size_bytes, const std::string& object) {
  return map(size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, object);
}

bool Mapping::place(std::size_t offset, int file, std::uint64_t file_offset, std::size_t size_bytes) {
  assert(size_bytes <= size_bytes_ && offset <= size_bytes_ - size_bytes);
  return mmap(data_ + offset, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
              static_cast<off_t>(file_offset)) != MAP_FAILED;
}

void Mapping::reset() {
  if (data_ != nullptr) munmap(data_, size_bytes_);
  data_ = nullptr;
  size_bytes_ = 0;
}

}  // namespace memento
