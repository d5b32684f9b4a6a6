// See journal_rings.h.
#include "shm/commit/journal_rings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cassert>

#include "shm/os/file.h"

namespace memento {

std::string JournalRings::path_of(std::uint32_t process) const {
  return segment_path_.substr(0, segment_path_.rfind('/')) + "/journal-" + std::to_string(process);
}

void JournalRings::remove_all() {
  for (std::uint32_t process = 0; process < kProcessLimit; ++process) {
    rings_[process].reset();
    files_[process] = Fd();
    if (!segment_path_.empty()) unlink(path_of(process).c_str());
  }
}

bool JournalRings::make(std::uint32_t process, std::uint64_t ring_bytes) {
  Fd& file = files_[process];
  if (!file) {
    file = segment_path_.empty()
               ? Fd(memfd_create("memento-journal", MFD_CLOEXEC))
               : Fd(open(path_of(process).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  }
  return file && reserve_range(file.get(), 0, ring_bytes) && bytes(process, ring_bytes) != nullptr;
}

char* JournalRings::bytes(std::uint32_t process, std::uint64_t ring_bytes) {
  assert(process < kProcessLimit && ring_bytes >= kLeastBytes);
  Mapping& ring = rings_[process];
  assert(!ring || ring.size_bytes() == 2 * ring_bytes);
  if (ring) [[likely]]
    return ring.data();
  Fd& file = files_[process];
  if (!file && !segment_path_.empty())
    file = Fd(open(path_of(process).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file || file_size_bytes(file.get()).value_or(0) < ring_bytes) return nullptr;
  Result<Mapping> area = Mapping::addresses(2 * ring_bytes, "addresses for a journal's ring");
  if (!area || !area->place(0, file.get(), 0, ring_bytes) ||
      !area->place(ring_bytes, file.get(), 0, ring_bytes))
    return nullptr;
  ring = std::move(*area);
  return ring.data();
}

}  // namespace memento
