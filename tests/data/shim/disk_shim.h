// DiskShim: what a bad disk does to a server, decided by a test while the server runs. The server is started
// with a library (disk_shim.cc) in front of the C library's calls on files; both map this control word for
// word. Only calls on files below one folder are concerned.
#pragma once

#include <atomic>
#include <cstdint>

namespace memento::testing {

struct ShimControl {
  /// errno of the calls, until it is 0 again.
  std::atomic<int> write_error, sync_error, reserve_error, rename_error;
  /// So many of these calls fail, then they work; negative: all. Counted down.
  std::atomic<int> failures;
  /// Calls do not return while it is set.
  std::atomic<int> hangs;
  /// How many calls wait so.
  std::atomic<int> waiting;
  std::atomic<std::uint64_t> syncs;  ///< that were asked for
};

inline constexpr const char* kShimControlVariable = "MEMENTO_TEST_DISK_CONTROL";
inline constexpr const char* kShimFolderVariable = "MEMENTO_TEST_DISK_FOLDER";

}  // namespace memento::testing
