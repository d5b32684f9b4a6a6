// See disk_shim.h. A library of its own, preloaded into a server under test.
#include "tests/data/shim/disk_shim.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "tests/data/shim/disk_recorder.h"

namespace {

using memento::testing::DiskRecord;
using memento::testing::DiskRecorder;
using memento::testing::inode_of;
using memento::testing::is_watched;
using memento::testing::shim_control;
using memento::testing::ShimControl;
using memento::testing::watched_name;
using memento::testing::WatchedName;

constexpr std::uint64_t kUsualFileBytes = 64 << 20;

// Whether the call fails; errno says how. It may wait here.
bool fails(int file, std::atomic<int> ShimControl::*error) {
  if (!is_watched(file)) return false;
  ShimControl& shim = *shim_control();
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

DiskRecord record(DiskRecord::Kind kind, std::uint64_t inode, std::uint64_t offset = 0,
                  std::uint64_t count = 0) {
  DiskRecord made;
  made.kind = kind;
  made.inode = inode;
  made.offset = offset;
  made.count = count;
  return made;
}

int open_file(int folder, const char* path, int flags, mode_t mode) {
  const auto call = [&] { return static_cast<int>(syscall(SYS_openat, folder, path, flags, mode)); };
  if ((flags & (O_CREAT | O_TRUNC)) == 0) return call();
  const WatchedName name = watched_name(folder, path);
  DiskRecorder recorder(name.folder != 0);
  if (!recorder.records()) return call();
  const bool was_there = syscall(SYS_faccessat, folder, path, F_OK) == 0;
  const int file = call();
  if (file < 0) return file;
  DiskRecord made = record(was_there ? DiskRecord::kTruncate : DiskRecord::kCreate, inode_of(file));
  made.folder = name.folder;
  if (!was_there || (flags & O_TRUNC) != 0) recorder.add(made, name.name);
  return file;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

int sync_file(int file, long number) {
  const bool is_concerned = is_watched(file);
  std::uint64_t begin = 0;
  bool is_recorded = false;
  {
    DiskRecorder recorder(is_concerned);
    is_recorded = recorder.records();
    if (is_recorded) begin = recorder.add(record(DiskRecord::kSyncBegin, inode_of(file)));
  }
  if (is_recorded) usleep(static_cast<useconds_t>(shim_control()->sync_us.load()));
  const bool has_failed = fails(file, &ShimControl::sync_error);
  int error = has_failed ? errno : 0;
  if (!has_failed && syscall(number, file) != 0) error = errno;
  DiskRecorder recorder(is_concerned);
  if (recorder.records()) {
    DiskRecord ended = record(DiskRecord::kSyncEnd, inode_of(file), 0, begin);
    ended.error = error;
    recorder.add(ended);
  }
  errno = error;
  return error == 0 ? 0 : -1;
}

int resize(int file, off_t size_bytes) {
  DiskRecorder recorder(is_watched(file));
  const auto result = static_cast<int>(syscall(SYS_ftruncate, file, size_bytes));
  if (result == 0 && recorder.records())
    recorder.add(record(DiskRecord::kTruncate, inode_of(file), 0, static_cast<std::uint64_t>(size_bytes)));
  return result;
}

int make_folder(int folder, const char* path, mode_t mode) {
  const WatchedName name = watched_name(folder, path);
  DiskRecorder recorder(name.folder != 0);
  const auto result = static_cast<int>(syscall(SYS_mkdirat, folder, path, mode));
  struct stat status {};
  if (result != 0 || !recorder.records() || fstatat(folder, path, &status, 0) != 0) return result;
  DiskRecord made = record(DiskRecord::kMakeFolder, status.st_ino);
  made.folder = name.folder;
  recorder.add(made, name.name);
  return result;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(folder, path, flags, mode);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  if (fails(file, &ShimControl::write_error)) return -1;
  DiskRecorder recorder(is_watched(file));
  const ssize_t written = syscall(SYS_pwrite64, file, bytes, count, offset);
  if (written > 0 && recorder.records())
    recorder.add(record(DiskRecord::kWrite, inode_of(file), static_cast<std::uint64_t>(offset)), {}, {},
                 {static_cast<const char*>(bytes), static_cast<std::size_t>(written)});
  return written;
}
ssize_t pwrite64(int file, const void* bytes, size_t count, off_t offset) {
  return pwrite(file, bytes, count, offset);
}

int fdatasync(int file) {
  if (is_watched(file)) ++shim_control()->syncs;
  return sync_file(file, SYS_fdatasync);
}

int fsync(int file) { return sync_file(file, SYS_fsync); }

int fallocate(int file, int mode, off_t offset, off_t count) {
  if (fails(file, &ShimControl::reserve_error)) return -1;
  DiskRecorder recorder(is_watched(file));
  auto end = static_cast<std::uint64_t>(offset + count);
  if (recorder.records() && end == kUsualFileBytes && shim_control()->journal_file_bytes != 0)
    end = std::min(end, shim_control()->journal_file_bytes.load());
  const auto result =
      static_cast<int>(syscall(SYS_fallocate, file, mode, offset, end - static_cast<std::uint64_t>(offset)));
  if (result == 0 && recorder.records()) recorder.add(record(DiskRecord::kReserve, inode_of(file), 0, end));
  return result;
}
int fallocate64(int file, int mode, off_t offset, off_t count) {
  return fallocate(file, mode, offset, count);
}

int ftruncate(int file, off_t size_bytes) noexcept { return resize(file, size_bytes); }

int truncate(const char* path, off_t size_bytes) noexcept {
  const auto file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC));
  if (file < 0) return -1;
  const int result = resize(file, size_bytes);
  const int error = errno;
  close(file);
  errno = error;
  return result;
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  if (fails(from_folder, &ShimControl::rename_error)) return -1;
  const WatchedName old_name = watched_name(from_folder, from);
  const WatchedName new_name = watched_name(to_folder, to);
  DiskRecorder recorder(old_name.folder != 0);
  const auto result = static_cast<int>(syscall(SYS_renameat, from_folder, from, to_folder, to));
  if (result == 0 && recorder.records()) {
    DiskRecord made = record(DiskRecord::kRename, 0);
    made.folder = old_name.folder;
    made.new_folder = new_name.folder;
    recorder.add(made, old_name.name, new_name.name);
  }
  return result;
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  const WatchedName name = watched_name(folder, path);
  DiskRecorder recorder(name.folder != 0);
  const auto result = static_cast<int>(syscall(SYS_unlinkat, folder, path, flags));
  if (result == 0 && recorder.records()) {
    DiskRecord made = record(DiskRecord::kRemove, 0);
    made.folder = name.folder;
    recorder.add(made, name.name);
  }
  return result;
}

int mkdir(const char* path, mode_t mode) noexcept { return make_folder(AT_FDCWD, path, mode); }

int mkdirat(int folder, const char* path, mode_t mode) noexcept { return make_folder(folder, path, mode); }
}
