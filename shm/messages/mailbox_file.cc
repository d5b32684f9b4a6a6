// See mailbox_file.h.
#include "shm/messages/mailbox_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cassert>

#include "shm/os/file.h"

namespace memento {
namespace {

constexpr std::uint64_t kRingOffset = MailboxFiles::kFilterOffset + kTrackingFilterBytes;

// Calls piece(offset in the file, bytes before it, bytes) for what lies before the ring's end, and then for
// the rest.
template <class Piece>
bool in_pieces(std::uint64_t position, std::uint64_t count, Piece&& piece) {
  assert(count <= kRingBytes);
  const std::uint64_t begin = position % kRingBytes;
  const std::uint64_t head = std::min(count, kRingBytes - begin);
  return piece(kRingOffset + begin, 0, head) && (head == count || piece(kRingOffset, head, count - head));
}

}  // namespace

std::string MailboxFiles::path_of(std::uint32_t process) const {
  return segment_path_.substr(0, segment_path_.rfind('/')) + "/mailbox-" + std::to_string(process);
}

void MailboxFiles::remove_all() {
  for (std::uint32_t process = 0; process < kProcessLimit; ++process) unlink(path_of(process).c_str());
}

int MailboxFiles::open_file(std::uint32_t process, bool is_owner) {
  Fd& file = files_[process];
  if (!file && segment_path_.empty()) file = Fd(memfd_create("memento-mailbox", MFD_CLOEXEC));
  if (!file) {
    file =
        Fd(open(path_of(process).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | (is_owner ? O_CREAT : 0), 0600));
  }
  return file.get();
}

bool MailboxFiles::commit_tables(std::uint32_t process, std::uint64_t begin, std::uint64_t end) {
  return reserve_range(open_file(process, true), begin, end) && tables(process) != nullptr;
}

char* MailboxFiles::tables(std::uint32_t process) {
  Mapping& memory = tables_[process];
  if (memory) return memory.data();
  const int file = open_file(process, false);
  if (file < 0) return nullptr;
  Result<Mapping> mapped = Mapping::of_file(file, kRingOffset, "a mailbox's tables");
  if (!mapped) return nullptr;
  memory = std::move(*mapped);
  return memory.data();
}

bool MailboxFiles::write(std::uint32_t process, std::uint64_t position, const char* bytes,
                         std::uint64_t count) {
  const int file = open_file(process, true);
  return in_pieces(position, count, [&](std::uint64_t offset, std::uint64_t before, std::uint64_t size) {
    return write_at(file, offset, bytes + before, size);
  });
}

bool MailboxFiles::read(std::uint32_t process, std::uint64_t position, char* bytes, std::uint64_t count) {
  const int file = open_file(process, false);
  return in_pieces(position, count, [&](std::uint64_t offset, std::uint64_t before, std::uint64_t size) {
    return read_at(file, offset, bytes + before, size);
  });
}

void MailboxFiles::give_back(std::uint32_t process, std::uint64_t begin, std::uint64_t end) {
  const int file = open_file(process, false);
  in_pieces(begin, std::min(end - begin, kRingBytes),
            [&](std::uint64_t offset, std::uint64_t, std::uint64_t size) {
              return punch_hole(file, offset, offset + size);
            });
}

std::uint64_t MailboxFiles::memory_bytes(std::uint32_t process) {
  struct stat status {};
  if (fstat(open_file(process, false), &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

}  // namespace memento
