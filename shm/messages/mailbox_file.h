// MailboxFiles: the memory behind the processes' mailboxes (layout.h), a file each beside the segment. Its
// owner makes it when it first needs it; the others open it when they first look into it, and keep it open.
//
//   0             two halves for a subscription table (subscription_table.h), mapped by whoever reads them
//   kFilterOffset a tracking filter (tracking_filter.h), mapped likewise
//   kRingOffset   the ring of messages (mailbox.h), read and written by system calls only: a hole in it is no
//                 memory, reading it makes none, and a full tmpfs is an error and not SIGBUS
//
// What a file holds means nothing without the words of the process record that say what is valid, so a start
// removes them all. Thread safety: none.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "shm/format/layout.h"
#include "shm/os/fd.h"
#include "shm/os/mapping.h"

namespace memento {

class MailboxFiles {
 public:
  static constexpr std::uint64_t kFilterOffset = 2 * kSubscriptionHalfBytes;

  /// Beside the segment at this path; empty: without names, for one process.
  explicit MailboxFiles(std::string segment_path) : segment_path_(std::move(segment_path)) {}
  MailboxFiles(const MailboxFiles&) = delete;
  MailboxFiles& operator=(const MailboxFiles&) = delete;

  /// REQUIRES: no process of the server runs.
  void remove_all();

  /// Makes [begin, end) of the tables safe to touch. False: the tmpfs is full. REQUIRES: the caller owns the
  /// mailbox.
  bool commit_tables(std::uint32_t process, std::uint64_t begin, std::uint64_t end);
  /// nullptr: not there. REQUIRES: only what the owner has committed is touched.
  char* tables(std::uint32_t process);

  /// Of the ring, from this position on; around its end. False: the tmpfs is full. REQUIRES: the caller owns
  /// the mailbox.
  bool write(std::uint32_t process, std::uint64_t position, const char* bytes, std::uint64_t count);
  /// False: not there.
  bool read(std::uint32_t process, std::uint64_t position, char* bytes, std::uint64_t count);
  /// Frees the memory between two positions, at most a whole ring.
  void give_back(std::uint32_t process, std::uint64_t begin, std::uint64_t end);
  /// What its file takes up now, tables included.
  std::uint64_t memory_bytes(std::uint32_t process);

 private:
  std::string path_of(std::uint32_t process) const;
  /// -1: not there, and not made.
  int open_file(std::uint32_t process, bool is_owner);

  const std::string segment_path_;
  std::array<Fd, kProcessLimit> files_;
  std::array<Mapping, kProcessLimit> tables_;
};

}  // namespace memento
