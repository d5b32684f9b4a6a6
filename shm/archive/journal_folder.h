// JournalFolder: the folder that holds the journal's files, and how a file comes to be. JournalFile: one that
// frames are written to. Nothing here decides when: that is the archiver's.
//
//   journal-0000000012   file 12 (shm/format/frame.h)
//   journal-next         the next one to be: has its room on disk already, so that a full disk is known early
//
// A file is begun in an order that each step of which may be the last one: it takes its name, gets its head,
// is synced, then the folder. Until then it has no valid head under its name, and is none. No step is made
// again: what failed is removed, as far as the disk lets us, and the next attempt begins anew.
//
// Archiver; recovery, when no archiver runs. Not thread safe, but sync() of a file may be called by another
// thread than its write(), at the same time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shm/format/frame.h"
#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

inline constexpr std::uint64_t kJournalFileBytes = 64 << 20;

/// The name of a file, and the number of a name; 0: it is no file's of the journal.
std::string journal_file_name(std::uint64_t number);
std::uint64_t journal_file_number(std::string_view name);

/// The numbers of the files in a folder, ascending, whatever is in them.
Result<std::vector<std::uint64_t>> journal_file_numbers(const Fd& folder, const std::string& path);

/// A file that frames are written to, one behind the other.
class JournalFile {
 public:
  JournalFile(Fd file, std::string path, const JournalHead& head, std::uint64_t room_end)
      : file_(std::move(file)), path_(std::move(path)), head_(head), room_end_(room_end) {}

  const JournalHead& head() const { return head_; }
  const std::string& path() const { return path_; }

  /// Whether these bytes have their place on disk already.
  bool has_room(std::uint64_t offset, std::uint64_t bytes) const { return offset + bytes <= room_end_; }

  /// Sealed frames, from this offset on. They are on disk when a later sync() has succeeded. After an error
  /// of either the file is not touched any more: each call fails.
  Outcome write(std::uint64_t offset, std::string_view frames);
  Outcome sync();
  /// Gives back what it has reserved behind this offset. REQUIRES: nothing more is written.
  Outcome trim(std::uint64_t offset);

 private:
  Outcome used() const;

  Fd file_;
  std::string path_;
  JournalHead head_;
  std::uint64_t room_end_;
  std::unique_ptr<std::atomic<bool>> has_failed_ = std::make_unique<std::atomic<bool>>(false);
};

class JournalFolder {
 public:
  /// Made when it is missing, on disk; refused when it is not this user's alone.
  static Result<JournalFolder> open(const std::string& path);
  /// One that a process before this one has opened, and locked.
  JournalFolder(Fd folder, std::string path) : folder_(std::move(folder)), path_(std::move(path)) {}

  /// Keeps everybody else who asks out, until this process and its children have closed the folder. Waits
  /// some seconds for who has it.
  Outcome lock();

  const Fd& fd() const { return folder_; }
  const std::string& path() const { return path_; }
  std::string path_of(std::uint64_t number) const { return path_ + "/" + journal_file_name(number); }

  Result<std::vector<std::uint64_t>> numbers() const { return journal_file_numbers(folder_, path_); }

  /// Makes journal-next and its room on disk, out of the oldest file in front of `first` when there is one:
  /// overwriting costs less than growing. REQUIRES: nobody needs those files, MANIFEST says so and is synced.
  Outcome prepare_next(std::uint64_t file_bytes, std::uint64_t first);

  /// A new file with this head and these frames, sealed for it: all of it on disk, or none. REQUIRES: as
  /// begin().
  Outcome add_whole(const JournalHead& head, std::string_view frames) const;

  /// A new file with this head, on disk. Its room is that of journal-next, or made now.
  /// REQUIRES: head.number is above all that are there.
  Result<JournalFile> begin(const JournalHead& head, std::uint64_t file_bytes, std::uint64_t first);

  /// Cuts a file off at this offset, if it is there and longer; what fails is left as it is. REQUIRES:
  /// nothing behind that counts. 0: nothing is cut.
  void trim(std::uint64_t number, std::uint64_t offset) const;

  /// Removes a file, if that can be. REQUIRES: nothing in it counts.
  void remove(std::uint64_t number) const;

  /// Moves all of the data, MANIFEST last, into a folder of this name in this one. REQUIRES: MANIFEST is
  /// void: any of these steps may be the last one.
  Outcome set_aside(const std::string& name) const;

  /// Removes all files in front of `first` but the newest `kept_count` of them. REQUIRES: as prepare_next().
  Outcome remove_before(std::uint64_t first, std::size_t kept_count);

 private:
  Outcome recycle_before(std::uint64_t first) const;
  Result<JournalFile> write_head(const JournalHead& head, std::uint64_t room_end) const;
  std::string next_path() const;

  Fd folder_;
  std::string path_;
  std::uint64_t next_room_end_ = 0;  ///< of journal-next as far as this object has made it; 0: not yet
};

}  // namespace memento
