// JournalRings: the memory behind the processes' rings of journal records, a file `journal-N` each beside the
// segment, N being the process record. A ring is mapped twice in a row, so that nothing is cut by its end.
//
// Its owner makes the file before it first writes a record; consumers open it when they see that its tail has
// moved. The words that say what is valid are in the process record, so a file outlives its processes, and
// what an attached segment has not yet on disk is still there. Thread safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "shm/format/layout.h"
#include "shm/os/fd.h"
#include "shm/os/mapping.h"

namespace memento {

class JournalRings {
 public:
  /// Of a ring, which has a power of two of them.
  static constexpr std::uint64_t kLeastBytes = 64 << 10;

  /// Beside the segment at this path; empty: without names, for this process and those forked behind make().
  explicit JournalRings(std::string segment_path) : segment_path_(std::move(segment_path)) {}
  JournalRings(const JournalRings&) = delete;
  JournalRings& operator=(const JournalRings&) = delete;

  /// REQUIRES: no process of the server runs.
  void remove_all();

  /// Gives a process's ring its memory. False: the tmpfs is full, errno says so.
  bool make(std::uint32_t process, std::uint64_t ring_bytes);

  /// The ring's first byte, with 2 * ring_bytes behind it; nullptr: it is not there.
  char* bytes(std::uint32_t process, std::uint64_t ring_bytes);

 private:
  std::string path_of(std::uint32_t process) const;

  const std::string segment_path_;
  std::array<Fd, kProcessLimit> files_;
  std::array<Mapping, kProcessLimit> rings_;
};

}  // namespace memento
