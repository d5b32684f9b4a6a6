// See disk_recorder.h.
#include "tests/data/shim/disk_recorder.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace memento::testing {
namespace {

DiskLog* disk_log() {
  static const char* const path = std::getenv(kShimLogVariable);
  static std::optional<DiskLog> log = path == nullptr ? std::nullopt : std::optional(DiskLog::open(path));
  return log ? &*log : nullptr;
}

std::string path_of(int file) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : std::string();
}

bool is_below_folder(const std::string& path) {
  static const char* const folder = std::getenv(kShimFolderVariable);
  return shim_control() != nullptr && folder != nullptr && path.starts_with(folder);
}

// Counts one call towards the process's death; whether it is due in front of this call or behind it.
enum class Death { kNone, kInFront, kBehind };
Death count_call(std::atomic<int>& dies_in) {
  int left = dies_in;
  while (left != 0) {
    const int step = left > 0 ? -1 : 1;
    if (!dies_in.compare_exchange_weak(left, left + step)) continue;
    if (left + step == 0) return left > 0 ? Death::kInFront : Death::kBehind;
    break;
  }
  return Death::kNone;
}

// With the log's lock: no other thread of this process is in a call.
void die() { syscall(SYS_kill, getpid(), SIGKILL); }

}  // namespace

ShimControl* shim_control() {
  static ShimControl* const mapped = [] {
    const char* const path = std::getenv(kShimControlVariable);
    if (path == nullptr) return static_cast<ShimControl*>(nullptr);
    const auto file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
    void* const bytes = mmap(nullptr, sizeof(ShimControl), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return bytes == MAP_FAILED ? nullptr : static_cast<ShimControl*>(bytes);
  }();
  return mapped;
}

bool is_watched(int file) { return is_below_folder(path_of(file)); }

WatchedName watched_name(int folder, const char* path) {
  std::string whole = path;
  if (!whole.starts_with('/') && folder != AT_FDCWD) whole = path_of(folder) + "/" + whole;
  if (!is_below_folder(whole)) return {};
  const std::size_t slash = whole.rfind('/');
  struct stat status {};
  if (stat(whole.substr(0, slash).c_str(), &status) != 0) return {};
  return {status.st_ino, whole.substr(slash + 1)};
}

std::uint64_t inode_of(int file) {
  struct stat status {};
  return fstat(file, &status) == 0 ? status.st_ino : 0;
}

DiskRecorder::DiskRecorder(bool is_watched) {
  if (!is_watched || disk_log() == nullptr) return;
  lock_.emplace(*disk_log());
  const Death death = count_call(shim_control()->dies_in);
  if (death == Death::kInFront) die();
  dies_behind_ = death == Death::kBehind;
}

DiskRecorder::~DiskRecorder() {
  if (dies_behind_) die();
}

std::uint64_t DiskRecorder::add(const DiskRecord& record, std::string_view name, std::string_view new_name,
                                std::string_view data) {
  return disk_log()->add(record, name, new_name, data);
}

}  // namespace memento::testing
