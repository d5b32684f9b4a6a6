// Changes to several keys that become visible together, or never: MSET, MULTI/EXEC and the like. Part of
// Keyspace.
//
// A body runs over an overlay: what it writes is kept in this process's own memory, what it reads comes from
// there or from the segment. It runs without any lock, and the version of each slot that it reads is noted
// before the first read. Then the memory that its writes take is reserved, the slots it has read or written
// are locked, and when the versions are still as noted, everything is committed as one redo list: what the
// body saw is true at that moment. Otherwise it runs again. A body that refuses, or writes nothing, is
// believed on the same condition.
//
// From the second run on the keys that it reads are noted too, with their counters of changes
// (change_counters.h): then others may change other keys of the same slots. After kConflictsBeforeLocks
// conflicts in a row a body that is known to be brief runs with its slots locked, and then has to end within
// kLockedLimitNs (Keyspace::must_stop()). One that takes longer is tried without locks kConflictLimit times,
// or for kPatienceNs; then the answer is kBusy.
//
// Locked are slots in ascending order; for FLUSH among the changes, or more slots than the kernel follows in
// a robust list (2048), the gate (layout.h: Header::exclusive) and no slot.
//
// Reserved blocks, and those the commit puts out of use, are listed in the record's TransactionArea: a
// successor finds them there. A brief transaction (transaction_brief.cc) needs none: its blocks come from the
// magazines and go there.
//
// Optimistic concurrency control by validation: Kung, Robinson, "On Optimistic Methods for Concurrency
// Control", 1981.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shm/keyspace/flat_map.h"
#include "shm/keyspace/keyspace_scopes.h"

namespace memento {

inline constexpr std::uint32_t kAllDatabases = (1u << kDatabaseLimit) - 1;

struct Keyspace::Transaction {
 public:
  explicit Transaction(Impl& impl) : impl_(impl) {}

  /// A body is running: Keyspace's reads and writes come here.
  bool is_open() const { return impl_.in_transaction; }

  /// `keys`: what the body is expected to work on; it may work on others too.
  WriteStatus run(std::span<const HashedKey> keys, bool whole_keyspace, BodyFunction body, void* context);

  // REQUIRES: is_open().
  bool read(const HashedKey& key, CopyFunction copy, void* context);
  WriteStatus set(const HashedKey& key, std::string_view value, const SetOptions& options);
  WriteStatus update(const HashedKey& key, DecideFunction decide, void* context);
  /// A bit for each database that loses its keys.
  void flush(std::uint32_t databases);
  /// What the body's changes so far add to the number of keys of the database.
  std::int64_t key_count_change();
  bool is_flushed(DatabaseId database) const { return (flushed_ >> database.value & 1) != 0; }
  /// The body is about to read something of the slot, or of all slots, by other ways than read().
  void note_read(SlotId slot);
  void note_read_of_all();
  /// It is about to look at this key alone.
  void note_read_of(const HashedKey& key);
  /// It has found that this key has expired, of which somebody is told: the key is removed when the
  /// transaction has ended.
  void note_expired(const HashedKey& key) noexcept;
  /// The body has held its locks for as long as it may: it is to return, and its result does not count.
  bool must_stop();
  bool may_still_hold() const { return is_locked_ || versions_hold_locked(); }

  /// An area for a redo list longer than a record's, of a change to one key. REQUIRES: not open. False: out
  /// of memory.
  bool ensure_redo_area(std::uint64_t redo_entries) { return ensure_area(0, redo_entries); }
  void release_area();
  /// The body runs under the locks of what it changes.
  bool is_locked() const { return is_locked_; }
  void read_piece(SlotId slot, Impl::ScanRequest wanted, Impl::ScanPiece* piece);
  std::uint64_t write_count() const { return write_count_; }
  /// Nothing: that key is not there any more.
  std::optional<std::string> written_key(std::uint64_t number) const;
  bool has_written(const HashedKey& key) { return find(key) != nullptr; }

 private:
  /// The state a key is to have.
  struct Write {
    std::string key;
    SlotId slot;
    std::uint64_t hash = 0;
    bool is_put = false;  ///< else it is erased
    std::string value;
    TimeMs expiry_ms = kNoExpiry;
    std::uint64_t created = 0;
    bool sets_expiry = false;  ///< and keeps the value

    HashedKey hashed() const { return {key, slot, hash}; }
    Entry shape() const { return Entry::shape(key.size(), value.size(), expiry_ms != kNoExpiry, created); }
  };
  /// A listed block or run that a put may take.
  struct Reserved {
    std::uint32_t size_class;  ///< Arena::kNoClass: a run
    std::uint64_t capacity_bytes;
    Offset entry_offset;
  };

  struct Noted {
    SlotId slot;
    std::uint64_t version;
  };
  class SlotSet {
   public:
    bool has(SlotId slot) const { return (bits_[slot.value / 64] >> slot.value % 64 & 1) != 0; }
    void add(SlotId slot) { bits_[slot.value / 64] |= 1ull << slot.value % 64; }
    void remove(SlotId slot) { bits_[slot.value / 64] &= ~(1ull << slot.value % 64); }

   private:
    std::array<std::uint64_t, kDatabaseLimit * kDatabaseStride / 64> bits_{};
  };
  struct ReadKey {
    SlotId slot;
    std::uint64_t counted_hash;
    ChangeCounters::Values counters;
  };

  enum class Attempt {
    kCommitted,
    kRefused,
    kConflict,  ///< somebody changed what was read
    kUnready,   ///< what was reserved does not fit any more
    kOutOfMemory,
    kJournalFull,
  };

  static constexpr std::size_t kSlotLockLimit = 1024;  ///< the kernel follows 2048 locks of a dead process

  // transaction.cc: running the body until its result counts.
  WriteStatus run_until_done(BodyFunction body, void* context);
  void reclaim_noted();
  Attempt try_without_locks(BodyFunction body, void* context);
  Attempt try_locked(BodyFunction body, void* context);
  bool run_body(BodyFunction body, void* context);
  bool has_changes() const { return write_count_ > 0 || flushed_ != 0; }
  bool is_flushed(SlotId slot) const { return is_flushed(database_of(slot)); }
  void begin_reading();
  void forget_noted();
  void end();

  // transaction_validation.cc: what was read, whether it still holds, and the locks.
  std::uint64_t steady_version(SlotId slot);
  void note(SlotId slot, bool by_keys);
  bool versions_hold();
  bool versions_hold_locked() const;
  void follow(SlotId slot, std::uint64_t before);
  void choose_locks();
  void learn_slots();
  void lock_all();
  void unlock_all();

  // transaction_overlay.cc: what the body has written.
  Write* find(const HashedKey& key);
  Write& writable(const HashedKey& key);
  WriteStatus apply(const HashedKey& key, const Change& change, const EntryView* old);
  void put(const HashedKey& key, const Change& change, std::uint64_t created);
  static bool patch(const Change& change, std::string* value);
  bool is_there(const Write& write) const;
  void note_places();
  void forget_places();

  // transaction_memory.cc: what the commit will take.
  struct Needs {
    std::uint64_t places;
    std::uint64_t redo_entries;
  };
  void sort_writes();
  bool prepare_memory();
  bool grows();
  Needs needs() const;
  bool reserve();
  bool ensure_area(std::uint64_t blocks, std::uint64_t redo_entries);
  bool reserve_block(std::uint64_t bytes);
  bool assign_blocks(std::size_t* lacking);
  bool ensure_tables();
  std::uint64_t put_count(std::size_t begin, std::size_t end) const;
  bool takes(const Slot& slot, std::uint64_t puts) const;
  bool is_prepared();
  void drain_places(std::uint64_t end);

  // transaction_brief.cc
  bool is_brief() const;
  bool prepare_briefly();
  bool is_prepared_briefly();
  bool stage_briefly();
  void settle_briefly();

  // transaction_commit.cc
  void stage_all();
  void stage_slots();
  void commit_staged();
  void tell_expired();
  void remove_expired();
  bool shows_in_parts() const;
  Offset block_for(const Write& write) const;
  void leave_block(Offset entry_offset);
  void stage_changing(bool is_changing);
  void stage_slot(std::size_t begin, std::size_t end);
  void note_open_databases() {
    open_databases_ = impl_.header.open_databases.load(std::memory_order_acquire) | 1;
  }
  bool flushes_all() const;
  template <class Visit>
  void each_slot_only_flushed(Visit&& visit) const;
  void stage_flush_of_databases();
  // transaction_journal.cc: what the journal is told
  std::uint64_t journal_bytes() const;
  bool groups_in_run() const;
  bool reserve_journal_run();
  bool has_journal_run() const;
  bool journal_takes() const;
  void begin_records();
  void end_records();
  void record_flush(SlotId slot);
  void record_put(const Write& write, Offset entry_offset);
  void record_erase(const Write& write, bool had_expired);
  void stage_flush_of(Extent table);
  void stage_put(const Write& write, Extent table, SlotChange* change);
  void stage_erase(const Write& write, Extent table, SlotChange* change);
  std::uint64_t cell_value(const Word& cell);
  void set_cell(Word& cell, std::uint64_t value);
  Word* free_cell(Word* cells, std::uint64_t lines, std::uint64_t tag);

  std::uint64_t now() const { return impl_.created_now; }
  /// Calls visit(begin, end) for each slot's range of order_.
  template <class Visit>
  bool each_slot(Visit&& visit) const;

  Impl& impl_;
  bool is_locked_ = false;
  bool is_whole_ = false;      ///< the gate is taken instead of slots
  bool wants_all_ = false;     ///< under locks nobody else is to write anything
  std::uint32_t flushed_ = 0;  ///< a bit for each database
  /// Likewise: those that were open when the commit was prepared. Under the gate nobody writes to one that is
  /// opened later.
  std::uint64_t open_databases_ = 1;
  bool has_strayed_ = false;      ///< under locks the body came to a slot that is not locked
  bool has_overrun_ = false;      ///< must_stop() has said so
  bool ran_out_ = false;          ///< of this process's own memory, in the body
  std::uint64_t generation_ = 0;  ///< of FLUSH, when the body began: a later one comes after the transaction
  std::uint64_t whole_changes_ = 0;       ///< Impl::whole_changes() then
  std::uint64_t body_begin_ticks_ = 0;    ///< of its last run
  std::uint64_t body_ticks_ = 0;          ///< that its last run took, up to the conflict
  std::uint64_t longest_read_bytes_ = 0;  ///< of an entry that the body has read
  std::uint64_t stop_ticks_ = 0;          ///< when it has to end, under locks
  std::vector<Noted> noted_;              ///< slots that the body has read, without locks
  SlotSet noted_slots_;
  mutable SlotSet moved_slots_;  ///< of versions_hold_locked(), empty outside
  SlotSet read_slots_;           ///< of those, the ones of which more was read than read_keys_
  bool notes_keys_ = false;
  std::vector<ReadKey> read_keys_;  ///< when notes_keys_: what was read one by one
  FlatMap read_index_;              ///< counted_hash() of a key: its place in read_keys_
  std::vector<SlotId> slots_;       ///< ascending: what a run under locks is known to need
  std::vector<SlotId> locking_;     ///< ascending: those locked now
  std::vector<Write> writes_;       ///< the first write_count_; the rest keep their memory for later
  std::size_t write_count_ = 0;
  FlatMap index_;  ///< hash of a key: its place in writes_
  struct WritePlace {
    SlotId slot;
    std::uint64_t tag;
    std::size_t index;
    auto operator<=>(const WritePlace&) const = default;
  };
  std::set<WritePlace> by_place_;  ///< the first noted_places_ writes, for a body that scans
  std::size_t noted_places_ = 0;
  std::vector<std::size_t> order_;     ///< of writes, by slot
  std::vector<Reserved> reserved_;     ///< in the area's first places
  std::vector<std::size_t> assigned_;  ///< for each write: its place in reserved_
  std::array<std::vector<std::size_t>, kClassLimit + 1> by_class_;  ///< places in reserved_; the last: runs
  struct ClassUse {
    std::uint32_t size_class;
    std::size_t taken;
  };
  struct Freed {
    std::uint32_t size_class;  ///< Arena::kNoClass: a run
    Offset offset;
  };
  bool commits_briefly_ = false;
  bool is_too_long_ = false;  ///< a brief commit was tried in vain
  std::vector<ClassUse> class_uses_;
  std::vector<Offset> blocks_;  ///< for each write, when it is committed briefly: its block
  std::vector<Freed> freed_;    ///< what a brief commit puts out of use
  /// The area may have places of an earlier commit, or a predecessor's: the journal had yet to be read.
  bool leaves_places_ = true;
  std::uint64_t next_place_ = 0;  ///< of the area, for what an erased key leaves
  FlatMap staged_cells_;          ///< cells of the slot being staged that get another value
  std::vector<Word*> changed_cells_;
  std::vector<const Write*> noted_changes_;  ///< what the list being staged changes
  std::vector<const Write*> noted_expired_;  ///< of these, keys that had expired
  std::vector<RemovedKey> found_expired_;    ///< keys that were read
  bool cells_cleared_ = false;               ///< its other cells will be 0
  std::string scratch_;                      ///< what an update() is shown
  std::string built_;                        ///< what a write's value was before, or will be
};

/// Calls visit(slot) for those that only lose what they have, because their database is flushed, and not all.
template <class Visit>
void Keyspace::Transaction::each_slot_only_flushed(Visit&& visit) const {
  if (flushed_ == 0 || flushes_all()) return;
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (!is_flushed(database) || (open_databases_ >> database.value & 1) == 0) continue;
    Impl::each_slot_of(database, [&](SlotId id) {
      Slot& slot = impl_.slots[id];
      const auto slot_of_write = [this](std::size_t i) { return writes_[i].slot; };
      if (slot.table.load(std::memory_order_relaxed) == 0) return;
      if (!std::ranges::binary_search(order_, id, {}, slot_of_write)) visit(slot);
    });
  }
}

template <class Visit>
bool Keyspace::Transaction::each_slot(Visit&& visit) const {
  for (std::size_t begin = 0; begin < write_count_;) {
    const SlotId slot = writes_[order_[begin]].slot;
    std::size_t end = begin;
    while (end < write_count_ && writes_[order_[end]].slot == slot) ++end;
    if (!visit(begin, end, impl_.slots[slot])) return false;
    begin = end;
  }
  return true;
}

}  // namespace memento
