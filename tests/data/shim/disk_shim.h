// DiskShim: what a bad disk does to a server, decided by a test while the server runs. The server is started
// with a library (disk_shim.cc) in front of the C library's calls on files; both map this control word for
// word. Only calls on files below one folder are concerned. The library also logs them, where a log is named
// (tests/data/power/disk_log.h).
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
  // Where there is a log:
  /// The calling process dies with so many more calls: in front of the last one, or negative, behind it. 0:
  /// it does not. Counted towards 0.
  std::atomic<int> dies_in;
  /// How long a sync takes.
  std::atomic<int> sync_us;
  /// A file of the journal gets so much room, when it asks for the usual; 0: what it asks for.
  std::atomic<std::uint64_t> journal_file_bytes;
};

inline constexpr const char* kShimControlVariable = "MEMENTO_TEST_DISK_CONTROL";
inline constexpr const char* kShimFolderVariable = "MEMENTO_TEST_DISK_FOLDER";

}  // namespace memento::testing
