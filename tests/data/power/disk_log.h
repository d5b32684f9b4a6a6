// DiskLog: what a server asked of its disk, call by call, and what its clients noted meanwhile, in one order.
// A file on a tmpfs that all of them map: the server's processes by disk_shim.cc, which is in front of the C
// library's calls, and the test. From the log every disk can be drawn that a loss of power may leave
// (disk_model.h).
//
// A call that changes something is made and logged under the log's lock, so the order of the log is the order
// of the calls. A sync is not: it is logged when it begins and when it has ended, for it may take long, and
// it covers what had returned when it began. Who takes the lock and then kills a process kills it between two
// calls. Any process, any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace memento::testing {

struct DiskRecord {
  enum Kind : std::uint32_t {
    kWrite,       ///< data at `offset` of a file
    kReserve,     ///< the file has `count` bytes at least
    kTruncate,    ///< the file has `count` bytes
    kCreate,      ///< `name` in `folder` is a new file
    kRename,      ///< `name` in `folder` is `new_name` in `new_folder`
    kRemove,      ///< `name` in `folder` is gone
    kMakeFolder,  ///< `name` in `folder` is a new folder
    kSyncBegin,
    kSyncEnd,  ///< of the one that began as record `count`; `error`: errno, 0 when it has succeeded
    kNote,     ///< of a client, `name` is its text; it changes nothing
  };
  std::uint64_t bytes = 0;  ///< whole record, a multiple of 8; the names and the data follow
  std::uint64_t time_ns = 0;
  Kind kind = kNote;
  std::int32_t error = 0;
  std::uint64_t inode = 0;  ///< of the file, or of the folder that is synced
  std::uint64_t folder = 0;
  std::uint64_t new_folder = 0;
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
  std::uint32_t name_bytes = 0;
  std::uint32_t new_name_bytes = 0;
  std::uint64_t data_bytes = 0;

  /// One line, for people.
  std::string text() const;
  std::string_view name() const { return {reinterpret_cast<const char*>(this + 1), name_bytes}; }
  std::string_view new_name() const { return {name().data() + name_bytes, new_name_bytes}; }
  std::string_view data() const { return {new_name().data() + new_name_bytes, data_bytes}; }
};

class DiskLog {
 public:
  /// A new one at this path, or the one that is there. It ends the process when it cannot.
  static DiskLog create(const std::string& path);
  static DiskLog open(const std::string& path);
  ~DiskLog();
  DiskLog(DiskLog&& other) noexcept : head_(other.head_) { other.head_ = nullptr; }
  DiskLog& operator=(DiskLog&&) = delete;

  class Lock {
   public:
    explicit Lock(const DiskLog& log);
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    std::atomic<std::uint32_t>& owner_;
  };

  /// Adds a record behind all others; its number, from 0 on. REQUIRES: the caller has the lock.
  std::uint64_t add(DiskRecord record, std::string_view name = {}, std::string_view new_name = {},
                    std::string_view data = {});
  /// A client's note: a record's number.
  std::uint64_t note(std::string_view text) {
    const Lock lock(*this);
    return add({}, text);
  }

  std::uint64_t count() const;
  /// The first record, and the one behind a record. REQUIRES: it is there.
  const DiskRecord* first() const;
  static const DiskRecord* next(const DiskRecord* record) {
    return reinterpret_cast<const DiskRecord*>(reinterpret_cast<const char*>(record) + record->bytes);
  }

 private:
  struct Head {
    std::uint64_t end;  ///< offset behind the last record
    std::uint64_t count;
    std::atomic<std::uint32_t> owner;  ///< process id of who has the lock; 0: nobody
  };
  explicit DiskLog(Head* head) : head_(head) {}

  Head* head_;
};

inline constexpr const char* kShimLogVariable = "MEMENTO_TEST_DISK_LOG";

}  // namespace memento::testing
