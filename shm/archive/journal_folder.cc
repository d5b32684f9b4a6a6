// See journal_folder.h.
#include "shm/archive/journal_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <ctime>
#include <memory>

#include "shm/archive/frame_bytes.h"
#include "shm/os/clock.h"
#include "shm/os/file.h"
#include "shm/os/private_file.h"
#include "shm/os/synced_file.h"

namespace memento {
namespace {

constexpr std::string_view kPrefix = "journal-";
constexpr std::size_t kDigits = 10;
constexpr const char* kNextName = "journal-next";
constexpr std::int64_t kLockPatienceMs = 5000;

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

// Room for so many bytes; where the file system knows no such call the C library writes instead.
bool reserve(int file, std::uint64_t bytes) {
  if (reserve_range(file, 0, bytes)) return true;
  if (errno == EOPNOTSUPP) errno = posix_fallocate(file, 0, static_cast<off_t>(bytes));
  return errno == 0;
}

}  // namespace

std::string journal_file_name(std::uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  return std::string(kPrefix) + digits;
}

std::uint64_t journal_file_number(std::string_view name) {
  if (!name.starts_with(kPrefix)) return 0;
  const std::string_view digits = name.substr(kPrefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && journal_file_name(number) == name ? number : 0;
}

Outcome JournalFile::used() const {
  if (!*has_failed_) return Done{};
  return Error{ExitStatus::kSystem, EIO,
               path_ + ": writing or syncing it has failed before; frames go to a new file"};
}

Outcome JournalFile::write(std::uint64_t offset, std::string_view frames) {
  if (Outcome can = used(); !can) return can;
  assert(offset >= kJournalHeadBytes);
  if (write_at(file_.get(), offset, frames.data(), frames.size())) return Done{};
  *has_failed_ = true;
  return system_error("pwrite(" + path_ + ") of " + std::to_string(frames.size()) + " bytes at " +
                      std::to_string(offset));
}

Outcome JournalFile::sync() {
  if (Outcome can = used(); !can) return can;
  Outcome synced = sync_data(file_, path_);
  if (!synced) *has_failed_ = true;
  return synced;
}

Outcome JournalFile::trim(std::uint64_t offset) {
  if (Outcome can = used(); !can) return can;
  if (ftruncate(file_.get(), static_cast<off_t>(offset)) == 0) return Done{};
  return system_error("ftruncate(" + path_ + ")");
}

Result<JournalFolder> JournalFolder::open(const std::string& path) {
  Result<Fd> folder = open_private_folder(path);
  if (!folder) return folder.error();
  if (Outcome synced = sync_name(path); !synced) return synced.error();
  return JournalFolder(std::move(*folder), path);
}

// A server that was killed takes a moment to go, with a disk that is slow to answer it several.
Outcome JournalFolder::lock() {
  const std::int64_t until_ms = monotonic_time_ms() + kLockPatienceMs;
  while (flock(folder_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("flock(" + path_ + ")");
    if (monotonic_time_ms() >= until_ms) {
      return Error{ExitStatus::kSystem, EWOULDBLOCK,
                   path_ + " is in use by another process; stop the server whose data it is"};
    }
    const timespec pause{0, 10'000'000};
    nanosleep(&pause, nullptr);
  }
  return Done{};
}

namespace {

// Calls visit(name) for each entry of a folder.
template <class Visit>
Outcome each_name(const Fd& folder, const std::string& path, Visit&& visit) {
  const int copy = openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, CloseFolder> entries(copy < 0 ? nullptr : fdopendir(copy));
  if (!entries) return system_error("opendir(" + path + ")");
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(entries.get());
    if (entry == nullptr) break;
    visit(std::string(entry->d_name));
  }
  if (errno != 0) return system_error("readdir(" + path + ")");
  return Done{};
}

}  // namespace

Result<std::vector<std::uint64_t>> journal_file_numbers(const Fd& folder, const std::string& path) {
  std::vector<std::uint64_t> numbers;
  const Outcome read = each_name(folder, path, [&](const std::string& name) {
    if (const std::uint64_t number = journal_file_number(name); number != 0) numbers.push_back(number);
  });
  if (!read) return read.error();
  std::ranges::sort(numbers);
  return numbers;
}

void JournalFolder::trim(std::uint64_t number, std::uint64_t offset) const {
  const Result<Fd> file = open_private_file(folder_, journal_file_name(number), O_RDWR, path_of(number));
  if (!file || offset < kJournalHeadBytes) return;
  const std::optional<std::uint64_t> size_bytes = file_size_bytes(file->get());
  if (!size_bytes || *size_bytes <= offset) return;
  [[maybe_unused]] const int cut = ftruncate(file->get(), static_cast<off_t>(offset));
}

void JournalFolder::remove(std::uint64_t number) const {
  unlinkat(folder_.get(), journal_file_name(number).c_str(), 0);
}

Outcome JournalFolder::set_aside(const std::string& name) const {
  std::vector<std::string> names;
  const Outcome read = each_name(folder_, path_, [&](const std::string& entry) {
    if (entry.starts_with(kPrefix) || entry.starts_with("snapshot-")) names.push_back(entry);
  });
  if (!read) return read.error();
  if (mkdirat(folder_.get(), name.c_str(), 0700) != 0)
    return system_error("mkdir(" + path_ + "/" + name + ")");
  names.emplace_back("MANIFEST");
  for (const std::string& entry : names) {
    if (renameat(folder_.get(), entry.c_str(), folder_.get(), (name + "/" + entry).c_str()) != 0 &&
        errno != ENOENT)
      return system_error("rename(" + path_ + "/" + entry + ") into " + name);
  }
  return sync_all(folder_, path_);
}

std::string JournalFolder::next_path() const { return path_ + "/" + kNextName; }

// The oldest file in front of `first`, if there is one, becomes journal-next, if there is none.
Outcome JournalFolder::recycle_before(std::uint64_t first) const {
  const Result<std::vector<std::uint64_t>> all = numbers();
  if (!all) return all.error();
  if (all->empty() || all->front() >= first) return Done{};
  const std::string oldest = journal_file_name(all->front());
  if (faccessat(folder_.get(), kNextName, F_OK, 0) == 0) return Done{};
  if (renameat(folder_.get(), oldest.c_str(), folder_.get(), kNextName) == 0) return Done{};
  return system_error("rename(" + path_ + "/" + oldest + ") to " + kNextName);
}

Outcome JournalFolder::prepare_next(std::uint64_t file_bytes, std::uint64_t first) {
  if (next_room_end_ >= file_bytes) return Done{};
  if (Outcome recycled = recycle_before(first); !recycled) return recycled;
  const Result<Fd> file = open_private_file(folder_, kNextName, O_RDWR | O_CREAT, next_path());
  if (!file) return file.error();
  if (!reserve(file->get(), file_bytes)) {
    const Error error = system_error("fallocate(" + next_path() + ") of " + std::to_string(file_bytes) +
                                     " bytes; the disk needs that much room");
    unlinkat(folder_.get(), kNextName, 0);  // what it has got serves others
    return error;
  }
  const std::optional<std::uint64_t> room_end = file_size_bytes(file->get());
  if (!room_end) return system_error("fstat(" + next_path() + ")");
  next_room_end_ = *room_end;
  return Done{};
}

Outcome JournalFolder::add_whole(const JournalHead& head, std::string_view frames) const {
  return replace_synced(folder_, path_, journal_file_name(head.number),
                        journal_head_bytes(head).append(frames));
}

Result<JournalFile> JournalFolder::begin(const JournalHead& head, std::uint64_t file_bytes,
                                         std::uint64_t first) {
  assert(head.number > head.former_file && file_bytes > kJournalHeadBytes);
  if (Outcome prepared = prepare_next(file_bytes, first); !prepared) return prepared.error();
  const std::uint64_t room_end = std::exchange(next_room_end_, 0);
  const std::string name = journal_file_name(head.number);
  const std::string path = path_of(head.number);
  if (faccessat(folder_.get(), name.c_str(), F_OK, 0) == 0) {
    return Error{ExitStatus::kSystem, EEXIST,
                 path + " is there already; the next file takes a number above all"};
  }
  if (renameat(folder_.get(), kNextName, folder_.get(), name.c_str()) != 0)
    return system_error("rename(" + next_path() + ") to " + name);
  Result<JournalFile> file = write_head(head, room_end);
  if (!file) unlinkat(folder_.get(), name.c_str(), 0);  // or attempts would fill the disk
  return file;
}

Result<JournalFile> JournalFolder::write_head(const JournalHead& head, std::uint64_t room_end) const {
  const std::string path = path_of(head.number);
  Result<Fd> file = open_private_file(folder_, journal_file_name(head.number), O_RDWR, path);
  if (!file) return file.error();
  const std::string bytes = journal_head_bytes(head);
  if (!write_at(file->get(), 0, bytes.data(), bytes.size()))
    return system_error("pwrite(" + path + ") of its head");
  if (Outcome synced = sync_all(*file, path); !synced) return synced.error();
  if (Outcome synced = sync_all(folder_, path_); !synced) return synced.error();
  return JournalFile(std::move(*file), path, head, room_end);
}

Outcome JournalFolder::remove_before(std::uint64_t first, std::size_t kept_count) {
  const Result<std::vector<std::uint64_t>> all = numbers();
  if (!all) return all.error();
  const auto end = std::ranges::lower_bound(*all, first);
  const auto count = static_cast<std::size_t>(end - all->begin());
  for (std::size_t i = 0; i + kept_count < count; ++i) {
    if (unlinkat(folder_.get(), journal_file_name((*all)[i]).c_str(), 0) != 0)
      return system_error("unlink(" + path_of((*all)[i]) + ")");
  }
  return Done{};
}

}  // namespace memento
