// See file.h.
#include "shm/os/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>

namespace memento {
namespace {

// The fallocate of [begin, end), again when a signal came.
bool allocate(int file, int mode, std::uint64_t begin, std::uint64_t end) {
  assert(begin <= end);
  if (begin == end) return true;  // the kernel calls that an invalid argument
  int result = 0;
  do {
    result = fallocate(file, mode, static_cast<off_t>(begin), static_cast<off_t>(end - begin));
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

// Calls call(bytes done, bytes left), which is pread or pwrite, until nothing is left.
template <class Call>
bool transfer(std::uint64_t count, Call&& call) {
  for (std::uint64_t done = 0; done < count;) {
    const ssize_t more = call(done, count - done);
    if (more < 0 && errno == EINTR) continue;
    if (more == 0) errno = 0;
    if (more <= 0) return false;
    done += static_cast<std::uint64_t>(more);
  }
  return true;
}

}  // namespace

bool reserve_range(int file, std::uint64_t begin, std::uint64_t end) { return allocate(file, 0, begin, end); }

bool punch_hole(int file, std::uint64_t begin, std::uint64_t end) {
  return allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin, end);
}

bool read_at(int file, std::uint64_t offset, void* bytes, std::uint64_t count) {
  return transfer(count, [&](std::uint64_t done, std::uint64_t left) {
    return pread(file, static_cast<char*>(bytes) + done, left, static_cast<off_t>(offset + done));
  });
}

bool write_at(int file, std::uint64_t offset, const void* bytes, std::uint64_t count) {
  return transfer(count, [&](std::uint64_t done, std::uint64_t left) {
    return pwrite(file, static_cast<const char*>(bytes) + done, left, static_cast<off_t>(offset + done));
  });
}

std::optional<std::uint64_t> file_size_bytes(int file) {
  struct stat status {};
  if (fstat(file, &status) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace memento
