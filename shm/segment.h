// Segment: the one file on tmpfs that holds all data, opened and mapped (Boost.Interprocess). The master
// creates it or attaches to what an earlier run left, before it forks; children inherit the mapping.
//
// Who is alive: every process of a running server holds a shared flock on the file. The master takes it
// exclusively while it creates or recovers, so two servers never share one segment.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "shm/os/clock.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

class JournalRings;
class MailboxFiles;
struct Header;
struct ProcessRecord;
struct SlotJournal;
class SlotArray;

struct SegmentOptions {
  std::string directory;         ///< made with mode 0700 when missing; e.g. /dev/shm/memento-6737
  std::uint64_t size_bytes = 0;  ///< limit of all memory; rounded down to whole pages; at least 16 MiB
  std::uint32_t worker_count = 1;
  std::uint64_t value_limit_bytes = 512ull << 20;
  bool fresh = false;  ///< set aside what is there instead of attaching
};

/// What create_or_attach() found.
struct AttachReport {
  bool attached = false;          ///< false: a new, empty segment
  std::uint64_t key_count = 0;    ///< keys that came back
  std::int64_t elapsed_ms = 0;    ///< of recovery and check
  std::string set_aside_message;  ///< not empty: an unusable segment was renamed; says why and to what
};

class Segment {
 public:
  static constexpr std::uint64_t kHugePageBytes = 2ull << 20;  ///< x86-64's

  /// Creates or attaches, recovers and checks. Errors: directory or file not usable, or not this user's alone
  /// (os/private_file.h); another server runs on it.
  static Result<std::unique_ptr<Segment>> create_or_attach(const SegmentOptions& options,
                                                           AttachReport* report);

  /// Maps the segment that this open file is, which `path` must still name, without recovering: processes of
  /// the same server are working on it. Error (kConfig): another layout, said as expected and found.
  static Result<std::unique_ptr<Segment>> adopt(Fd file, const std::string& directory);

  /// A private segment without a file, for tests and benchmarks.
  static Result<std::unique_ptr<Segment>> create_anonymous(const SegmentOptions& options);

  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  Header& header() { return *reinterpret_cast<Header*>(base_); }
  char* base() { return base_; }
  ProcessRecord& process(std::uint32_t index);
  /// Records below it may be in use.
  std::uint32_t process_count();
  SlotArray slots();
  /// By slot, of all databases. Those of one that is not journalled have no memory.
  SlotJournal* slot_journals();
  MailboxFiles& mailboxes();
  JournalRings& journal_rings();

  /// From now on changes of data are counted in slots, and written into rings of `ring_bytes` for these
  /// consumers (JournalBit). Error: no memory for what slots count with, or for the rings of the records that
  /// are in use. REQUIRES: no process but this one works on the segment.
  Outcome begin_journal(std::uint64_t consumers, std::uint64_t ring_bytes);

  /// Changes of all slots since they are counted.
  std::uint64_t change_count();

  /// Repairs what a dead process left: completes its committed changes, releases its pins. Idempotent; any
  /// process may call it for any record whose owner is dead. The master calls it when it reaps a child.
  /// REQUIRES: this thread has no Keyspace: a thread has one robust list.
  void recover_process(std::uint32_t index);

  /// Makes record `index` usable: commits its memory. False: the tmpfs is full. The master calls it before it
  /// forks the record's owner. REQUIRES: index < kProcessLimit.
  bool open_process(std::uint32_t index);

  /// From now on waiters tell this process, the master, of a lock that its holder keeps for
  /// `lock_timeout_ms`.
  void watch_locks(int master_pid, int lock_timeout_ms);
  /// Into which pipe they tell it (StuckLock), in this process and those it forks. -1, at first: nowhere.
  void set_master_pipe(int descriptor) { master_pipe_ = descriptor; }
  int master_pipe() const { return master_pipe_; }
  /// The thread that holds the lock at this offset, or whose pin lies there and is set; 0: nobody, or it is
  /// neither.
  std::uint32_t lock_holder(std::uint64_t offset) const;

  std::uint64_t size_bytes() const { return size_bytes_; }
  /// Of the mapping and its file: size_bytes() and the places of the databases' slots.
  std::uint64_t mapped_bytes() const;
  const std::string& path() const { return path_; }
  /// The open file, with the claim on it (flock); -1 when there is none.
  int descriptor() const;

  /// Makes [0, end) of the file safe to touch (fallocate). False: the tmpfs is full.
  bool commit_memory(std::uint64_t begin, std::uint64_t end);
  /// The same for what the slots of a database are counted with in the journal.
  bool commit_slot_journals(std::uint32_t database);

 private:
  Segment() = default;
  bool commit_front(std::uint32_t record_count);
  std::uint32_t records_needed();
  struct Impl;
  std::unique_ptr<Impl> impl_;
  char* base_ = nullptr;
  std::uint64_t size_bytes_ = 0;
  std::string path_;
  int master_pipe_ = -1;
};

}  // namespace memento
