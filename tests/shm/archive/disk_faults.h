// DiskFault: a system call on files that fails in this process, as a bad or full disk makes it fail. The
// calls themselves are ours in the test programs (disk_faults.cc), so what is tested is what a server runs.
#pragma once

namespace memento::testing {

enum class DiskCall { kWrite, kSyncData, kSyncAll, kReserve, kRename, kTruncate, kCount };

/// While it lives, the call of that kind that comes after `passed_count` others fails with this errno: the
/// one only, as the kernel tells of an error once. A write has written half of its bytes before.
class DiskFault {
 public:
  DiskFault(DiskCall call, int error_number, int passed_count = 0);
  ~DiskFault();
  DiskFault(const DiskFault&) = delete;
  DiskFault& operator=(const DiskFault&) = delete;

  bool has_happened() const;
};

}  // namespace memento::testing
