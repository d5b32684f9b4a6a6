// See disk_shim.h. A library of its own, preloaded into a server under test.
#include "tests/data/shim/disk_shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

using memento::testing::ShimControl;

ShimControl* control() {
  static ShimControl* const mapped = [] {
    const char* const path = std::getenv(memento::testing::kShimControlVariable);
    if (path == nullptr) return static_cast<ShimControl*>(nullptr);
    const int file = open(path, O_RDWR | O_CLOEXEC);
    void* const bytes = mmap(nullptr, sizeof(ShimControl), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return bytes == MAP_FAILED ? nullptr : static_cast<ShimControl*>(bytes);
  }();
  return mapped;
}

bool is_concerned(int file) {
  static const char* const folder = std::getenv(memento::testing::kShimFolderVariable);
  if (control() == nullptr || folder == nullptr) return false;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  return length > 0 && std::string(path, static_cast<std::size_t>(length)).starts_with(folder);
}

// Whether the call fails; errno says how. It may wait here.
bool fails(int file, std::atomic<int> ShimControl::*error) {
  if (!is_concerned(file)) return false;
  ShimControl& shim = *control();
  ++shim.waiting;
  while (shim.hangs != 0) usleep(1000);
  --shim.waiting;
  const int number = shim.*error;
  if (number == 0) return false;
  int left = shim.failures;
  do {
    if (left == 0) return false;
  } while (left > 0 && !shim.failures.compare_exchange_weak(left, left - 1));
  errno = number;
  return true;
}

}  // namespace

extern "C" {

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  if (fails(file, &ShimControl::write_error)) return -1;
  return syscall(SYS_pwrite64, file, bytes, count, offset);
}
ssize_t pwrite64(int file, const void* bytes, size_t count, off_t offset) {
  return pwrite(file, bytes, count, offset);
}

int fdatasync(int file) {
  if (is_concerned(file)) ++control()->syncs;
  return fails(file, &ShimControl::sync_error) ? -1 : static_cast<int>(syscall(SYS_fdatasync, file));
}

int fsync(int file) {
  return fails(file, &ShimControl::sync_error) ? -1 : static_cast<int>(syscall(SYS_fsync, file));
}

int fallocate(int file, int mode, off_t offset, off_t count) {
  return fails(file, &ShimControl::reserve_error)
             ? -1
             : static_cast<int>(syscall(SYS_fallocate, file, mode, offset, count));
}
int fallocate64(int file, int mode, off_t offset, off_t count) {
  return fallocate(file, mode, offset, count);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return fails(from_folder, &ShimControl::rename_error)
             ? -1
             : static_cast<int>(syscall(SYS_renameat, from_folder, from, to_folder, to));
}
}
