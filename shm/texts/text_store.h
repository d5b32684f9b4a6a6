// TextStore: the texts of scripts and libraries, which all workers of a server share, and which outlive them,
// upgrades and restarts. A file beside the segment, `scripts`, which each worker maps when it first needs it.
//
// Texts are no keys: no FLUSH, no eviction, no expiry, no slot. So they are in a file of their own:
//
//   0       front: magic, version, tail
//   4096    records one after the other: {size, kind, what, length of the name, number}, name, text; only
//           added, until the file is written anew
//
// A record becomes visible by one store of the tail behind it: whoever dies before has written nothing. Two
// writers exclude each other by flock(2), which a dead one lets go of; nobody waits long for one that is
// stopped (Put::kBusy). Readers take no lock. When the file is full of what was removed, a writer makes
// another one, says so in the front of the old one and renames the new one over it; others then open that. If
// it dies in between, the next writer finds the file still in its place, and takes the remark back.
//
// What is kept is in the journal, too (TextJournal): it is recorded first, so that a process that dies
// between leaves a text that nobody was told of in the journal alone. What was merely seen is not.
//
// Bounded: texts kept for callers by their own wish up to kKeptLimitBytes, of which each takes kOverheadBytes
// beside its own, for what every worker keeps of it; those that were merely seen
// (kEvaluated) up to kEvaluatedLimit and kEvaluatedLimitBytes, of which the oldest go. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "shm/format/journal_record.h"
#include "shm/os/fd.h"
#include "shm/os/mapping.h"

namespace memento {

/// Scripts and libraries are named apart.
enum class TextGroup : std::uint8_t { kScript, kLibrary };

/// Where changes of what is kept are recorded, in front of the change itself.
class TextJournal {
 public:
  virtual ~TextJournal() = default;
  /// Room for records of `count` changes, with names and texts of so many bytes together. False: there never
  /// will be so much. May throw when there is none now.
  virtual bool has_room(std::uint64_t count, std::uint64_t bytes) = 0;
  /// A put, an erase, or a flush, of this key (TextStore::key_of()). REQUIRES: the store is locked, and
  /// has_room() has said so for it.
  virtual void record(RecordKind kind, std::string_view key, std::string_view text) = 0;
};

class TextStore {
 public:
  static constexpr std::uint64_t kKeptLimitBytes = 32 << 20;
  static constexpr std::uint64_t kOverheadBytes = 256;
  static constexpr std::uint64_t kEvaluatedLimitBytes = 16 << 20;
  static constexpr std::uint64_t kEvaluatedLimit = 500;

  enum class Keep : std::uint8_t {
    kEvaluated,  ///< it may go when there are many
    kKept        ///< until it is removed
  };
  enum class Put {
    kDone,
    kNoRoom,   ///< beyond kKeptLimitBytes, or the machine has no memory
    kTooLong,  ///< for the journal
    kBusy      ///< another process has been writing for long: nothing was changed
  };
  static constexpr const char* kIsTooLong =
      "ERR a script, or libraries that come together, may be as long as a quarter of the journal's ring "
      "(--journal-ring)";

  /// Beside the segment at this path; empty: without a name, for one process.
  explicit TextStore(std::string segment_path);
  TextStore(const TextStore&) = delete;
  TextStore& operator=(const TextStore&) = delete;

  /// From now on all that is kept is recorded there, too.
  void set_journal(TextJournal* journal) { journal_ = journal; }
  /// As records call a text; of nothing: how those of all its group begin.
  static std::string key_of(TextGroup group, std::string_view name);
  /// The text that a record is about. Nothing: it is none's.
  static std::optional<std::pair<TextGroup, std::string_view>> read_key(std::string_view key);

  /// Valid until the next call.
  std::optional<std::string_view> find(TextGroup group, std::string_view name);
  /// Replaces one of that name; a kept one is not made kEvaluated.
  Put put(TextGroup group, std::string_view name, std::string_view text, Keep keep);
  /// kDone also when it was not there.
  Put erase(TextGroup group, std::string_view name);
  Put clear(TextGroup group);

  /// Calls visit(name, text) for each, in the order of their names. It must not change the store.
  void each(TextGroup group, const std::function<void(std::string_view, std::string_view)>& visit);
  std::uint64_t count(TextGroup group);
  std::uint64_t size_bytes(TextGroup group);

  /// Whether so many texts, of so many bytes together, could be put now, as far as the journal goes; as
  /// TextJournal::has_room().
  bool journal_takes(std::uint64_t count, std::uint64_t bytes) {
    return journal_ == nullptr || journal_->has_room(count, bytes);
  }
  /// Calls visit(group, name, text) for each that is kept, while nobody writes; `begin()` in front. False:
  /// another process has been writing for long.
  bool each_kept(const std::function<void()>& begin,
                 const std::function<void(TextGroup, std::string_view, std::string_view)>& visit);
  /// Of those that are kept.
  std::uint64_t kept_count();

  /// Of scripts: differs when they were cleared since. Of libraries: when any was changed. Some differences
  /// mean nothing.
  std::uint64_t generation(TextGroup group);

  /// Removes the file of an earlier server. REQUIRES: no process of the server runs.
  static void remove_file(const std::string& segment_path);

 private:
  struct Front;
  struct Record;
  struct Place {
    std::uint64_t offset = 0;  ///< of its record
    Keep keep = Keep::kEvaluated;
  };
  using Index = std::map<std::string, Place, std::less<>>;
  struct Group {
    Index places;
    std::uint64_t bytes[2] = {};  ///< of names and texts, by Keep
    std::uint64_t counts[2] = {};
    std::uint64_t record_bytes = 0;                    ///< of all records that are in it
    std::map<std::uint64_t, std::string_view> by_age;  ///< of those kEvaluated: the record's offset, its name
  };

  Front& front() const { return *reinterpret_cast<Front*>(memory_.data()); }
  const Record& record(std::uint64_t offset) const;
  std::string_view text_of(const Place& place) const;
  Group& of(TextGroup group) { return groups_[static_cast<std::size_t>(group)]; }
  bool open();
  bool open_file(const std::string& path, int flags);
  void format();
  bool sync();
  void take(const Record& record, std::uint64_t offset);
  void drop(Group& group, Index::iterator place);
  std::uint64_t kept_bytes() const;
  bool reserve(std::uint64_t bytes);
  void append(const Record& front_part, std::string_view name, std::string_view text);
  bool is_kept(TextGroup group, std::string_view name);
  bool is_crowded(std::uint64_t bytes) const;
  bool rewrite();
  bool fits(TextGroup group, std::string_view name, std::string_view text, Keep keep);
  bool drop_oldest();
  Put write(TextGroup group, std::uint8_t what, std::string_view name, std::string_view text, Keep keep);
  bool is_in_place() const;

  const std::string path_;
  TextJournal* journal_ = nullptr;
  Fd file_;
  Mapping memory_;
  std::uint64_t seen_ = 0;  ///< offset up to which records are in the index
  Group groups_[2];
  std::uint64_t generations_[2] = {};
};

}  // namespace memento
