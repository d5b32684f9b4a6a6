// Keyspace: the hash map in the segment as one process (or thread) sees it. Each worker builds one over the
// inherited Segment. Not thread-safe: one object per process or thread; many of them work on one segment.
//
// Reads take no lock and copy straight into the caller's buffer. Writes are all or nothing at every
// instruction (see shm/README.md). Out of memory is an answer, never a crash.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "shm/format/journal_record.h"
#include "shm/format/limits.h"
#include "shm/keyspace/change_mark.h"
#include "shm/keyspace/changed_keys.h"
#include "shm/keyspace/hash.h"
#include "shm/keyspace/lock_free_reads.h"
#include "shm/os/clock.h"

namespace memento {

class Segment;

enum class WriteStatus {
  kDone,         ///< committed
  kUnchanged,    ///< condition not met, or the key was not there: nothing written
  kOutOfMemory,  ///< nothing written
  kBusy,         ///< of transact(): the keys change faster than the body runs; nothing written
};

/// Thrown by whatever writes: the journal has no room before it has been read, or nothing more of it can be
/// said. Nothing was changed; nothing is locked; it may be tried again.
struct JournalFull {};

enum class SetCondition { kAlways, kIfAbsent, kIfPresent };

struct SetOptions {
  SetCondition condition = SetCondition::kAlways;
  TimeMs expiry_ms = kNoExpiry;  ///< absolute
  bool keep_expiry = false;
};

/// What an update() callback decides about a key.
struct Change {
  enum class Action { kKeep, kErase, kReplace, kSetExpiry };
  Action action = Action::kKeep;
  /// kReplace: the new value is these pieces one after the other. A piece may point into the old value.
  /// A piece with data() == nullptr and size() > 0 stands for that many zero bytes.
  std::array<std::string_view, 4> pieces;
  TimeMs expiry_ms = kNoExpiry;  ///< kReplace and kSetExpiry: absolute, or kNoExpiry

  std::uint64_t value_bytes() const {
    std::uint64_t sum = 0;
    for (const std::string_view piece : pieces) sum += piece.size();
    return sum;
  }
};

/// Where Keyspace::scan() is behind a slot's last key.
inline constexpr std::uint64_t kScanEnd = 1ull << 24;

/// A key that has expired or was evicted.
struct RemovedKey {
  std::string bytes;
  SlotId slot;
  std::uint64_t hash;
  bool is_evicted;
};

/// A part of the work that processes share among themselves.
struct WorkShare {
  std::uint32_t index = 0;
  std::uint32_t count = 1;
};

/// What one call of Keyspace::scan() may give and cost; it subtracts what it took.
struct ScanLimit {
  std::uint64_t keys;   ///< exceeded only by keys that no place parts
  std::uint64_t steps;  ///< lines of a table and entries looked at: some may hold nothing, or have expired
};

class Keyspace {
 public:
  /// REQUIRES: `process` is this process's own record (workers: 1 + worker index; 0 is the master's).
  /// Registers the calling thread's robust list: call it in the process (after fork) and thread that uses it.
  Keyspace(Segment& segment, std::uint32_t process);
  ~Keyspace();
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  /// The time that expiry is judged by; set once per batch of commands.
  void set_now_ms(TimeMs now_ms);
  TimeMs now_ms() const;

  /// Differs after a call that may have taken long for another reason than the size of what was given or got:
  /// it waited for a lock, or memory had to be found.
  std::uint64_t slow_path_count() const { return *contentions_ + *searches_; }

  /// What is changed leaves a record in the journal, so that a write may throw JournalFull.
  bool is_journalled() const {
    return (reads_.header.journal.load(std::memory_order_relaxed) & kJournalConsumers) != 0;
  }

  /// Whether the journal takes records of `count` texts, with keys of so many bytes together. False: never;
  /// throws JournalFull when it does not now.
  bool has_text_room(std::uint64_t count, std::uint64_t bytes);
  /// A text is put, erased, or all that begin so are. REQUIRES: nobody else changes texts, and
  /// has_text_room().
  void record_text(RecordKind kind, std::string_view key, std::string_view text);

  /// Makes a database usable, once for all processes. False: no memory for its slots.
  bool open_database(DatabaseId database);
  bool is_open(DatabaseId database) const;
  /// From now on keys are hashed as this database's, and what concerns all keys concerns its keys. 0, at
  /// first. REQUIRES: it is open.
  void select(DatabaseId database) {
    if (database != database_) [[unlikely]]
      change_database(database);
  }
  DatabaseId database() const { return database_; }

  /// REQUIRES: bytes.size() <= kKeyLimitBytes.
  HashedKey hash(std::string_view bytes) const { return hash_key(bytes, hash_seed_, first_slot_); }
  /// The same where a key of nothing is there already.
  void hash(std::string_view bytes, HashedKey* key) const {
    hash_key_into(bytes, hash_seed_, first_slot_, key);
  }
  /// The same name in another database. REQUIRES: that is open.
  static HashedKey in_database(DatabaseId database, HashedKey key) {
    key.slot = slot_in(database, key.slot);
    key.seen = {};
    return key;
  }
  /// Reading a key takes three fetches, each from where the one before leads. Called for many keys in turn,
  /// the fetches of one stage overlap.
  void prefetch_slot(const HashedKey& key) const { reads_.prefetch_slot(key); }
  void prefetch_table(const HashedKey& key) const { reads_.prefetch_table(key); }
  void prefetch_entry(HashedKey& key) const { reads_.prefetch_entry(key); }

  /// Calls copy(EntryView) with the live entry; false when there is none (or it has expired). copy may be
  /// called several times: each call must undo the one before. The last call saw a consistent entry.
  template <class Copy>
  bool read(const HashedKey& key, Copy&& copy) {
    return read_erased(
        key,
        [](void* context, const EntryView& view) {
          (*static_cast<std::remove_reference_t<Copy>*>(context))(view);
        },
        context_of(copy));
  }

  /// The same, inlined, of a key that prefetch_entry() saw and that is as it was then, which nearly all are.
  /// False: read() is to tell; if copy() was called, what it copied counts for nothing.
  template <class Copy>
  [[gnu::always_inline]] bool read_where_seen(const HashedKey& key, Copy&& copy) {
    Offset offset;
    if (!reads_.read_seen(key, copy, &offset)) [[unlikely]]
      return false;
    reads_.count(Counter::kHits);
    if (reads_.evicts()) [[unlikely]]
      warm(key, offset);
    return true;
  }

  WriteStatus set(const HashedKey& key, std::string_view value, const SetOptions& options = {}) {
    if (options.condition == SetCondition::kAlways && !options.keep_expiry)
      return put(key, value, options.expiry_ms);
    return set_carefully(key, value, options);
  }
  /// What put() does, when the key was seen by prefetch_entry(), is as it was then, and its entry as long as
  /// the new one or nearly. False: nothing was done, put() is to do it.
  bool put_where_seen(const HashedKey& key, std::string_view value);
  /// set() on no condition.
  WriteStatus put(const HashedKey& key, std::string_view value, TimeMs expiry_ms = kNoExpiry);
  WriteStatus erase(const HashedKey& key);
  /// The last write of a value made a key that was not there. False when that was asked already.
  bool take_made_key();

  /// Read-modify-write: decide(const EntryView* old) returns a Change; old is nullptr when the key is absent.
  /// Runs under the slot's lock and may run several times: short, no side effects but on its own captures.
  template <class Decide>
  WriteStatus update(const HashedKey& key, Decide&& decide) {
    return update_erased(
        key,
        [](void* context, const EntryView* old) -> Change {
          return (*static_cast<std::remove_reference_t<Decide>*>(context))(old);
        },
        context_of(decide));
  }

  /// Changes several keys as one. Inside `body`, which returns whether to go on, this object's reads and
  /// writes see each other's changes; all become visible together when it returned true, none when it
  /// returned false (kUnchanged), memory is short (kOutOfMemory) or others change what it reads again and
  /// again (kBusy). It may run several times and must begin anew each time; what the last run has read was
  /// true at one moment. It holds no lock, or, after conflicts, those of the keys' slots: `keys` are those it
  /// is expected to use. REQUIRES: not inside another body.
  template <class Body>
  WriteStatus transact(std::span<const HashedKey> keys, Body&& body) {
    return transact_erased(
        keys, false,
        [](void* context) -> bool { return (*static_cast<std::remove_reference_t<Body>*>(context))(); },
        context_of(body));
  }
  /// The same for a body that looks at all keys: after conflicts nobody else writes meanwhile.
  template <class Body>
  WriteStatus transact_all(Body&& body) {
    return transact_erased(
        {}, true,
        [](void* context) -> bool { return (*static_cast<std::remove_reference_t<Body>*>(context))(); },
        context_of(body));
  }

  /// Inside a body: its result will not count, and others may be waiting for it; a long body asks from time
  /// to time.
  bool must_stop();
  /// A body is running: reads see what it has written.
  bool is_in_body() const;
  /// Inside a body: it holds locks, and others may wait for it.
  bool is_body_locked() const;
  /// Inside a body: nothing that it has read is known to have been changed meanwhile. Else its result will
  /// not count, and what it read may never have been true together. Costs a look at each slot.
  bool may_still_hold() const;

  /// Reads several keys as they were at one instant: copy(index, const EntryView*) for each, nullptr when it
  /// is not there. copy may be called again for the same index at once, undoing the call before; when
  /// somebody changed one of the keys meanwhile all begins again with reset(). Values are to be copied, as in
  /// read().
  template <class Reset, class Copy>
  void read_many(std::span<const HashedKey> keys, Reset&& reset, Copy&& copy);

  /// Differs from an earlier call's when the key was changed since; may differ when another key of its slot
  /// was.
  std::uint64_t watch_version(const HashedKey& key) const;

  /// Notes the key as it is now. Nothing: out of memory.
  std::optional<ChangeMark> mark(const HashedKey& key);
  /// False: it was changed since, or has expired. Others keys' changes don't count, but when the mark is
  /// older than ten minutes. REQUIRES: `mark` is this key's.
  bool is_unchanged(const HashedKey& key, const ChangeMark& mark) const;

  /// Removes every key of all databases at once, in O(1); their memory comes back in the background.
  void flush();
  /// Removes every key of the database, in a time that does not depend on how many there are.
  void flush_database();
  /// Each of the two gets the other's keys, in a time that does not depend on how many there are. REQUIRES:
  /// both are open; not inside a body.
  void swap_databases(DatabaseId one, DatabaseId other);

  /// Calls visit(std::string_view key) for the live keys of the database's slot from a place on, in the order
  /// of their places, until the limit is reached. The place to go on at: a walk begins at 0 and ends at
  /// kScanEnd, and a key that is there from its beginning to its end is visited once, and once more only if
  /// it was removed meanwhile and came again. Visits hold no lock and may use the keyspace.
  template <class Visit>
  std::uint64_t scan(SlotId slot, std::uint64_t place, ScanLimit* limit, Visit&& visit) {
    return scan_erased(
        slot, place, limit,
        [](void* context, std::string_view key) {
          (*static_cast<std::remove_reference_t<Visit>*>(context))(key);
        },
        context_of(visit));
  }
  /// A live key, each with the same chance; nothing: there is none.
  std::optional<std::string> random_key(std::mt19937_64& random);

  /// Of the database:
  std::uint64_t key_count() const;           ///< entries, expired ones not yet swept included
  std::uint64_t expiring_key_count() const;  ///< of them, those with an expiry
  std::uint64_t payload_bytes() const;       ///< keys plus values
  /// How long those with an expiry have yet, about: the mean of some. 0: there are none.
  std::int64_t average_ttl_ms();
  /// Of all:
  std::uint64_t payload_bytes_of_all() const;
  std::uint64_t memory_used_bytes() const;   ///< of the segment, pages in use
  std::uint64_t memory_limit_bytes() const;  ///< up to where they may grow: the segment's size, or less
  std::uint64_t memory_size_bytes() const;   ///< the segment's size
  /// Whether there is memory for keys that take more than before. When it is short, this makes room as a
  /// write would, but that nothing is evicted for it: where keys may be, there is. REQUIRES: not inside a
  /// body.
  bool finds_room();
  /// More is in use than set_memory_limit() allows, and no keys are evicted for that. REQUIRES: not inside a
  /// body.
  bool exceeds_limit();

  /// Up to where memory in use may grow, for all processes; 0, or more than there is: all of it. When more is
  /// in use already nothing new is stored, or with eviction keys go, in the background too.
  void set_memory_limit(std::uint64_t bytes);

  /// Whether writes that find memory short make room by evicting keys (S3-FIFO). For all processes.
  /// False: no memory for what eviction keeps in mind.
  bool set_eviction(bool evicts);
  /// Gets what switching it on needs. False: as above.
  bool prepare_eviction();
  bool evicts() const;

  /// The keys that this object has changed while somebody tracked keys, since the caller cleared it: what
  /// stands in it was committed, and is to be told before anybody learns otherwise that it was.
  ChangedKeys& changed_keys() { return *changed_keys_; }
  /// When it returns, changed_keys() of all processes have what is changed from then on, until
  /// end_tracking(). REQUIRES: not inside a body.
  void begin_tracking();
  void end_tracking();

  /// Background work (expiry sweep, unless not `expires`, freeing of flushed entries, compaction) for about
  /// `budget_us`; a worker calls it from a timer. True when there is more to do right now. While somebody is
  /// told of removed keys, all that have expired in `share` of the slots are removed within a second, if the
  /// budget is enough for that. Slots of which none had anything to do are looked at again no sooner than
  /// `rest_us` later.
  bool maintain(std::int64_t budget_us, bool expires = true, WorkShare share = {}, std::int64_t rest_us = 0);

  /// Keys that this object has removed, each once whoever saw that it had expired, while somebody is told of
  /// them (key_events.h).
  bool has_removed_keys() const { return *has_removed_; }
  struct RemovedKeys {
    std::vector<RemovedKey> keys;  ///< in the order in which they went
    bool is_complete = true;       ///< else there was no memory to note some
  };
  RemovedKeys take_removed_keys();

  /// Returns to all what this record holds (magazines, dead tables): nobody will use it next.
  void give_back();

  void count(Counter counter, std::uint64_t amount = 1) { reads_.count(counter, amount); }
  std::uint64_t counter_sum(Counter counter) const;  ///< over all processes
  std::uint64_t connected_clients() const;           ///< over all processes
  std::uint64_t value_limit_bytes() const {
    return reads_.header.value_limit_bytes.load(std::memory_order_relaxed);
  }
  void set_value_limit(std::uint64_t bytes);  ///< for all processes

 private:
  void change_database(DatabaseId database);
  using CopyFunction = void (*)(void*, const EntryView&);
  using DecideFunction = Change (*)(void*, const EntryView*);
  using BodyFunction = bool (*)(void*);
  using VisitFunction = void (*)(void*, std::string_view key);
  template <class Function>
  static void* context_of(Function& function) {
    return const_cast<void*>(static_cast<const void*>(&function));
  }
  bool read_erased(const HashedKey& key, CopyFunction copy, void* context);
  void warm(const HashedKey& key, Offset offset);
  std::uint64_t scan_erased(SlotId slot, std::uint64_t place, ScanLimit* limit, VisitFunction visit,
                            void* context);
  WriteStatus transact_erased(std::span<const HashedKey> keys, bool whole_keyspace, BodyFunction body,
                              void* context);
  /// Hits and misses so far: reads that are done again count once.
  struct ReadCounts {
    std::uint64_t hits;
    std::uint64_t misses;
  };
  ReadCounts read_counts() const;
  void set_read_counts(const ReadCounts& counts);
  /// FLUSH's generation and the slots' versions.
  void note_versions(std::span<const HashedKey> keys, std::vector<std::uint64_t>* versions) const;
  bool versions_hold(std::span<const HashedKey> keys, const std::vector<std::uint64_t>& versions) const;
  WriteStatus set_carefully(const HashedKey& key, std::string_view value, const SetOptions& options);
  WriteStatus update_erased(const HashedKey& key, DecideFunction decide, void* context);

  struct Impl;
  struct Transaction;
  struct Update;
  class SlotGuard;
  class Pin;
  std::unique_ptr<Impl> impl_;
  const LockFreeReads& reads_;        ///< its
  const std::uint64_t* contentions_;  ///< counted in it
  const std::uint64_t* searches_;
  const bool* has_removed_;
  ChangedKeys* const changed_keys_;
  const std::uint64_t hash_seed_;
  DatabaseId database_;
  SlotId first_slot_;  ///< its
};

template <class Reset, class Copy>
void Keyspace::read_many(std::span<const HashedKey> keys, Reset&& reset, Copy&& copy) {
  const auto read_all = [&] {
    reset();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!read(keys[i], [&](const EntryView& view) { copy(i, &view); })) copy(i, nullptr);
    }
  };
  constexpr int kLockFreeTries = 4;
  std::vector<std::uint64_t> versions;
  const ReadCounts counts = read_counts();
  for (int attempt = 0; attempt < kLockFreeTries; ++attempt) {
    note_versions(keys, &versions);
    read_all();
    if (versions_hold(keys, versions)) return;
    set_read_counts(counts);
  }
  while (transact(keys, [&] { return read_all(), false; }) == WriteStatus::kBusy) {
  }
}

}  // namespace memento
