// DiskRecorder: one call on a file or a name below the folder that is watched, in the log of the disk
// (tests/data/power/disk_log.h). While it lives nobody else's call is logged. Part of the library that is
// preloaded into servers under test; it makes no call of the C library that the library stands in front of.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tests/data/power/disk_log.h"
#include "tests/data/shim/disk_shim.h"

namespace memento::testing {

/// nullptr: nobody controls this process.
ShimControl* shim_control();

/// Whether what an open file stands for is below the watched folder.
bool is_watched(int file);

/// A name in a folder, by the folder's inode number; 0: it is not watched.
struct WatchedName {
  std::uint64_t folder = 0;
  std::string name;
};
WatchedName watched_name(int folder, const char* path);

std::uint64_t inode_of(int file);

class DiskRecorder {
 public:
  /// Nothing is logged when there is no log, or `is_watched` is false. The process may die here.
  explicit DiskRecorder(bool is_watched);
  /// Or here.
  ~DiskRecorder();
  DiskRecorder(const DiskRecorder&) = delete;
  DiskRecorder& operator=(const DiskRecorder&) = delete;

  bool records() const { return lock_.has_value(); }
  /// The call was made. REQUIRES: records().
  std::uint64_t add(const DiskRecord& record, std::string_view name = {}, std::string_view new_name = {},
                    std::string_view data = {});

 private:
  std::optional<DiskLog::Lock> lock_;
  bool dies_behind_ = false;
};

}  // namespace memento::testing
