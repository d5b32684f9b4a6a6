// See disk_log.h. Part of the library that is preloaded into servers, too: it calls the kernel itself, lest
// it logs its own calls.
#include "tests/data/power/disk_log.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace memento::testing {
namespace {

constexpr std::uint64_t kHeadBytes = 4096;
constexpr std::uint64_t kLimitBytes = 8ull << 30;  // of which only what is used takes memory

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::abort();
}

void* map_file(const std::string& path, int flags) {
  const auto file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), flags | O_CLOEXEC, 0600));
  if (file < 0) give_up(path.c_str());
  if ((flags & O_CREAT) != 0 && syscall(SYS_ftruncate, file, kLimitBytes) != 0) give_up("ftruncate");
  void* const bytes = mmap(nullptr, kLimitBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  close(file);
  if (bytes == MAP_FAILED) give_up("mmap of the log");
  return bytes;
}

}  // namespace

std::string DiskRecord::text() const {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  switch (kind) {
    case kWrite:
      return "write " + number(data_bytes) + " bytes at " + number(offset) + " of " + number(inode);
    case kReserve:
      return "reserve " + number(count) + " bytes of " + number(inode);
    case kTruncate:
      return "truncate to " + number(count) + " bytes " + number(inode);
    case kCreate:
    case kMakeFolder:
      return "make " + std::string(name()) + " in " + number(folder) + ": " + number(inode);
    case kRename:
      return "rename " + std::string(name()) + " in " + number(folder) + " to " + std::string(new_name()) +
             " in " + number(new_folder);
    case kRemove:
      return "remove " + std::string(name()) + " in " + number(folder);
    case kSyncBegin:
      return "begin to sync " + number(inode);
    case kSyncEnd:
      return "end of sync " + number(count) + " of " + number(inode) +
             (error == 0 ? "" : ": error " + std::to_string(error));
    case kNote:
      return std::string(name());
  }
  return "";
}

DiskLog DiskLog::create(const std::string& path) {
  auto* const head = static_cast<Head*>(map_file(path, O_RDWR | O_CREAT | O_EXCL));
  head->end = kHeadBytes;
  return DiskLog(head);
}

DiskLog DiskLog::open(const std::string& path) { return DiskLog(static_cast<Head*>(map_file(path, O_RDWR))); }

DiskLog::~DiskLog() {
  if (head_ != nullptr) munmap(head_, kLimitBytes);
}

DiskLog::Lock::Lock(const DiskLog& log) : owner_(log.head_->owner) {
  const auto self = static_cast<std::uint32_t>(getpid());
  for (;;) {
    std::uint32_t owner = 0;
    if (owner_.compare_exchange_weak(owner, self)) return;
    const bool is_dead = owner != 0 && kill(static_cast<pid_t>(owner), 0) != 0 && errno == ESRCH;
    if (is_dead && owner_.compare_exchange_strong(owner, self)) return;
    usleep(20);
  }
}

DiskLog::Lock::~Lock() { owner_ = 0; }

std::uint64_t DiskLog::add(DiskRecord record, std::string_view name, std::string_view new_name,
                           std::string_view data) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  record.time_ns =
      static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  record.name_bytes = static_cast<std::uint32_t>(name.size());
  record.new_name_bytes = static_cast<std::uint32_t>(new_name.size());
  record.data_bytes = data.size();
  record.bytes = (sizeof record + name.size() + new_name.size() + data.size() + 7) / 8 * 8;
  if (head_->end + record.bytes > kLimitBytes) {
    errno = ENOSPC;
    give_up("the log of the disk");
  }
  char* to = reinterpret_cast<char*>(head_) + head_->end;
  std::memcpy(to, &record, sizeof record);
  to += sizeof record;
  for (const std::string_view part : {name, new_name, data}) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  head_->end += record.bytes;
  return head_->count++;
}

std::uint64_t DiskLog::count() const {
  const Lock lock(*this);
  return head_->count;
}

const DiskRecord* DiskLog::first() const {
  return reinterpret_cast<const DiskRecord*>(reinterpret_cast<const char*>(head_) + kHeadBytes);
}

}  // namespace memento::testing
