// See disk_model.h. What a disk may hold is chosen in disk_draw.cc.
#include "tests/data/power/disk_model.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "shm/os/fd.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

std::uint64_t inode_of(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace

DiskModel::DiskModel(const std::string& root, std::uint64_t seed) : random_(seed) {
  root_ = add_folder(root);
}

std::uint64_t DiskModel::add_folder(const std::string& path) {
  const std::uint64_t inode = inode_of(path);
  Names names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    names[name] = entry.is_directory() ? add_folder(entry.path()) : add_file(entry.path());
  }
  folders_[inode] = {names, names, {}};
  return inode;
}

std::uint64_t DiskModel::add_file(const std::string& path) {
  const std::uint64_t inode = inode_of(path);
  File& file = files_[inode];
  const std::string bytes = read_file(path);
  write(file, 0, bytes);
  resize(file, bytes.size(), false);
  settle(file, 0);
  return inode;
}

void DiskModel::set_page(File& file, std::uint64_t number, const PageBytes& content) {
  const bool is_zero = std::ranges::all_of(content, [](char byte) { return byte == 0; });
  Page bytes = is_zero ? nullptr : std::make_shared<const PageBytes>(content);
  PageState& page = file.pages[number];
  page.cached = bytes;
  page.pending.push_back({now_, std::move(bytes)});
}

void DiskModel::write(File& file, std::uint64_t offset, std::string_view data) {
  if (data.empty()) return;
  if (offset + data.size() > file.cached_bytes) resize(file, offset + data.size(), true);
  while (!data.empty()) {
    const std::uint64_t number = offset / kPageBytes;
    const std::uint64_t begin = offset % kPageBytes;
    const std::uint64_t count = std::min(kPageBytes - begin, data.size());
    PageBytes bytes{};
    if (const auto page = file.pages.find(number); page != file.pages.end() && page->second.cached)
      bytes = *page->second.cached;
    std::memcpy(bytes.data() + begin, data.data(), count);
    set_page(file, number, bytes);
    offset += count;
    data.remove_prefix(count);
  }
}

void DiskModel::resize(File& file, std::uint64_t size_bytes, bool only_grows) {
  if (size_bytes == file.cached_bytes || (only_grows && size_bytes < file.cached_bytes)) return;
  const bool cuts = size_bytes < file.cached_bytes;
  file.sizes.push_back({now_, size_bytes, cuts});
  file.cached_bytes = size_bytes;
  if (!cuts) return;
  for (auto page = file.pages.lower_bound(size_bytes / kPageBytes); page != file.pages.end(); ++page) {
    const std::uint64_t begin = page->first * kPageBytes;
    if (!page->second.cached) continue;
    if (begin >= size_bytes) {
      page->second.cached = nullptr;
      continue;
    }
    PageBytes bytes = *page->second.cached;
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(size_bytes - begin), bytes.end(), '\0');
    set_page(file, page->first, bytes);
  }
}

void DiskModel::change_names(std::uint64_t folder, NameChange change) {
  Folder& where = folders_[folder];
  change.at = now_;
  if (!change.removed.empty()) where.cached.erase(change.removed);
  if (!change.added.empty()) where.cached[change.added] = change.inode;
  where.pending.push_back(std::move(change));
}

// All up to a sync's begin is on disk.
void DiskModel::settle(File& file, std::uint64_t begin) {
  for (auto& [number, page] : file.pages) {
    std::size_t count = 0;
    while (count < page.pending.size() && page.pending[count].at <= begin) ++count;
    const bool is_cut = std::ranges::any_of(file.sizes, [&](const SizeChange& change) {
      return change.at <= begin && change.cuts && change.size_bytes <= number * kPageBytes &&
             (count == 0 || change.at > page.pending[count - 1].at);
    });
    if (is_cut) page.durable = nullptr;
    if (count > 0 && !is_cut) page.durable = page.pending[count - 1].bytes;
    page.pending.erase(page.pending.begin(), page.pending.begin() + static_cast<std::ptrdiff_t>(count));
  }
  while (!file.sizes.empty() && file.sizes.front().at <= begin) {
    file.durable_bytes = file.sizes.front().size_bytes;
    file.sizes.erase(file.sizes.begin());
  }
}

// Each page that the failed sync was to write is forgotten or still to be written.
void DiskModel::forget_pages(File& file, std::uint64_t begin) {
  for (auto& [number, page] : file.pages) {
    const auto end =
        std::ranges::find_if(page.pending, [&](const Version& version) { return version.at > begin; });
    const auto count = static_cast<std::uint64_t>(end - page.pending.begin());
    if (count == 0 || random_() % 2 == 0) continue;
    if (const std::uint64_t chosen = random_() % (count + 1); chosen != 0)
      page.durable = page.pending[chosen - 1].bytes;
    page.pending.erase(page.pending.begin(), end);
  }
}

void DiskModel::end_sync(std::uint64_t inode, std::uint64_t begin, bool has_failed) {
  if (const auto folder = folders_.find(inode); folder != folders_.end()) {
    std::vector<NameChange>& pending = folder->second.pending;
    while (!has_failed && !pending.empty() && pending.front().at <= begin) {
      folder->second.durable.erase(pending.front().removed);
      if (!pending.front().added.empty())
        folder->second.durable[pending.front().added] = pending.front().inode;
      pending.erase(pending.begin());
    }
    return;
  }
  const auto file = files_.find(inode);
  if (file == files_.end()) return;
  if (has_failed) {
    forget_pages(file->second, begin);
  } else {
    settle(file->second, begin);
  }
}

void DiskModel::apply(const DiskRecord& record) {
  const std::string name(record.name());
  switch (record.kind) {
    case DiskRecord::kWrite:
      write(files_[record.inode], record.offset, record.data());
      break;
    case DiskRecord::kReserve:
      resize(files_[record.inode], record.count, true);
      break;
    case DiskRecord::kTruncate:
      resize(files_[record.inode], record.count, false);
      break;
    case DiskRecord::kCreate:
      files_[record.inode];
      change_names(record.folder, {0, "", name, record.inode});
      break;
    case DiskRecord::kMakeFolder:
      folders_[record.inode];
      change_names(record.folder, {0, "", name, record.inode});
      break;
    case DiskRecord::kRemove:
      change_names(record.folder, {0, name, "", 0});
      break;
    case DiskRecord::kRename: {
      const std::uint64_t inode = folders_[record.folder].cached[name];
      const std::string new_name(record.new_name());
      if (record.folder == record.new_folder) {
        change_names(record.folder, {0, name, new_name, inode});
      } else {
        change_names(record.new_folder, {0, "", new_name, inode});
        change_names(record.folder, {0, name, "", 0});
      }
      break;
    }
    case DiskRecord::kSyncEnd:
      end_sync(record.inode, record.count, record.error != 0);
      break;
    case DiskRecord::kSyncBegin:
    case DiskRecord::kNote:
      break;
  }
  ++now_;
}

std::string DiskModel::folder_difference(std::uint64_t inode, const std::string& path) const {
  const Names& names = folders_.at(inode).cached;
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    ++count;
    const auto name = names.find(entry.path().filename().string());
    if (name == names.end()) return entry.path().string() + " is not in the log";
    if (entry.is_directory()) {
      const std::string difference = folder_difference(name->second, entry.path());
      if (!difference.empty()) return difference;
      continue;
    }
    const std::string bytes = read_file(entry.path());
    const File& file = files_.at(name->second);
    if (file.cached_bytes != bytes.size()) return entry.path().string() + " has another size in the log";
    std::string logged(bytes.size(), '\0');
    for (const auto& [number, page] : file.pages) {
      const std::uint64_t begin = number * kPageBytes;
      if (page.cached && begin < logged.size())
        std::memcpy(logged.data() + begin, page.cached->data(), std::min(kPageBytes, logged.size() - begin));
    }
    if (logged != bytes) return entry.path().string() + " holds something else in the log";
  }
  return count == names.size() ? "" : path + " lacks names that are in the log";
}

std::string DiskModel::difference_to(const std::string& root) const { return folder_difference(root_, root); }

}  // namespace memento::testing
