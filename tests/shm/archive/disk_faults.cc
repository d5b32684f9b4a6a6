// See disk_faults.h. The linker prefers these definitions to the C library's.
#include "tests/shm/archive/disk_faults.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace {

using memento::testing::DiskCall;

std::atomic<DiskCall> g_call{DiskCall::kCount};
std::atomic<int> g_error{0};
std::atomic<int> g_passed_count{0};

// Whether this call is the one that fails; then errno says how.
bool fails(DiskCall call) {
  if (g_call != call || g_error == 0 || g_passed_count-- > 0) return false;
  errno = g_error.exchange(0);
  return true;
}

}  // namespace

extern "C" {

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  if (fails(DiskCall::kWrite)) {
    const int error_number = errno;
    syscall(SYS_pwrite64, file, bytes, count / 2, offset);
    errno = error_number;
    return -1;
  }
  return syscall(SYS_pwrite64, file, bytes, count, offset);
}

int fdatasync(int file) {
  return fails(DiskCall::kSyncData) ? -1 : static_cast<int>(syscall(SYS_fdatasync, file));
}

int fsync(int file) { return fails(DiskCall::kSyncAll) ? -1 : static_cast<int>(syscall(SYS_fsync, file)); }

int fallocate(int file, int mode, off_t offset, off_t count) {
  return fails(DiskCall::kReserve) ? -1 : static_cast<int>(syscall(SYS_fallocate, file, mode, offset, count));
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return fails(DiskCall::kRename) ? -1
                                  : static_cast<int>(syscall(SYS_renameat, from_folder, from, to_folder, to));
}

int truncate(const char* path, off_t size_bytes) noexcept {
  return fails(DiskCall::kTruncate) ? -1 : static_cast<int>(syscall(SYS_truncate, path, size_bytes));
}
}

namespace memento::testing {

DiskFault::DiskFault(DiskCall call, int error_number, int passed_count) {
  g_passed_count = passed_count;
  g_error = error_number;
  g_call = call;
}

DiskFault::~DiskFault() {
  g_call = DiskCall::kCount;
  g_error = 0;
}

bool DiskFault::has_happened() const { return g_error == 0; }

}  // namespace memento::testing
