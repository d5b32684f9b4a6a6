// Changes to several keys that become visible together, or never: MSET, MULTI/EXEC and the like. Part of
// Keyspace.
//
// A body runs over an overlay: what it writes is kept in this process's own memory, what it reads comes from
// there or from the segment. It runs first without any lock, which tells what memory the changes will take;
// that is reserved. Then the slots are locked, the body runs again on what is true now, and everything is
// committed as one redo list. When the reservation does not fit (somebody changed a key meanwhile), all is
// unlocked and done again.
//
// Locked are the keys' slots, in ascending order; for the whole keyspace, or more slots than the kernel
// follows in a robust list (2048), the gate (layout.h: Header::exclusive) and no slot.
//
// Reserved blocks, and those the commit puts out of use, are listed in the record's TransactionArea: a
// successor finds them there.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "shm/flat_map.h"
#include "shm/keyspace_impl.h"

namespace memento {

struct Keyspace::Transaction {
 public:
  explicit Transaction(Impl& impl) : impl_(impl) {}

  /// A body is running: Keyspace's reads and writes come here.
  bool is_open() const { return is_open_; }

  WriteStatus run(std::span<const HashedKey> keys, bool whole_keyspace, BodyFunction body, void* context);

  bool read(const HashedKey& key, CopyFunction copy, void* context);
  WriteStatus set(const HashedKey& key, std::string_view value, const SetOptions& options);
  WriteStatus update(const HashedKey& key, DecideFunction decide, void* context);
  /// REQUIRES: of the whole keyspace.
  void flush();
  /// What the body's changes so far add to the number of keys; the slot's keys as the body sees them.
  std::int64_t key_count_change();
  bool is_flushed() const { return is_flushed_; }
  void adjust_slot_keys(std::uint32_t slot, std::vector<std::string>* keys) const;

 private:
  /// The state a key is to have.
  struct Write {
    std::string key;
    std::uint32_t slot = 0;
    std::uint64_t hash = 0;
    bool is_put = false;  ///< else it is erased
    std::string value;
    TimeMs expiry_ms = kNoExpiry;
    std::uint64_t created = 0;

    HashedKey hashed() const { return {key, slot, hash}; }
    Entry shape() const { return Entry::shape(key.size(), value.size(), expiry_ms != kNoExpiry, created); }
  };
  /// A listed block or run that a put may take.
  struct Reserved {
    std::uint32_t size_class;  ///< Arena::kNoClass: a run
    std::uint64_t capacity_bytes;
    std::uint64_t entry_offset;
  };

  enum class Attempt { kCommitted, kRefused, kAgain };

  Attempt try_locked(BodyFunction body, void* context);
  bool run_body(BodyFunction body, void* context);
  void lock_all();
  void unlock_all();

  Write* find(const HashedKey& key);
  Write& writable(const HashedKey& key);
  WriteStatus apply(const HashedKey& key, const Change& change, const EntryView* old);
  void put(const HashedKey& key, const Change& change, std::uint64_t created);

  struct Needs {
    std::uint64_t places;
    std::uint64_t redo_entries;
  };
  Needs needs() const;
  bool reserve();
  bool ensure_area(std::uint64_t blocks, std::uint64_t redo_entries);
  bool reserve_block(std::uint64_t bytes);
  bool ensure_tables();
  bool assign_blocks(std::size_t* lacking);
  bool is_prepared();
  std::uint64_t put_count(std::size_t begin, std::size_t end) const;
  bool takes(const Slot& slot, std::uint64_t puts) const;
  void sort_writes();
  void drain_places(std::uint64_t end);
  void release_area();

  void stage_all();
  void stage_changing(std::uint64_t value);
  void stage_slot(std::size_t begin, std::size_t end);
  void stage_flush_of(Extent table);
  void stage_put(const Write& write, Extent table, std::uint64_t* counts, std::uint64_t* bytes);
  void stage_erase(const Write& write, Extent table, std::uint64_t* counts, std::uint64_t* bytes);
  std::uint64_t cell_value(const Word& cell);
  void set_cell(Word& cell, std::uint64_t value);
  Word* free_cell(Word* cells, std::uint64_t lines, std::uint64_t tag);

  std::uint64_t now() const { return static_cast<std::uint64_t>(impl_.now_ms) - impl_.header.time_base_ms; }
  /// Calls visit(begin, end) for each slot's range of order_.
  template <class Visit>
  bool each_slot(Visit&& visit) const;

  Impl& impl_;
  bool is_open_ = false;
  bool is_locked_ = false;
  bool is_whole_ = false;
  bool is_flushed_ = false;
  std::uint64_t generation_ =
      0;  ///< of FLUSH, when the locks were taken: a later one comes after the transaction
  std::vector<std::uint32_t> slots_;  ///< ascending; not used when the whole keyspace is locked
  std::vector<Write> writes_;         ///< the first write_count_; the rest keep their memory for later
  std::size_t write_count_ = 0;
  FlatMap index_;                      ///< hash of a key: its place in writes_
  std::vector<std::size_t> order_;     ///< of writes, by slot
  std::vector<Reserved> reserved_;     ///< in the area's first places
  std::vector<std::size_t> assigned_;  ///< for each write: its place in reserved_
  std::array<std::vector<std::size_t>, kClassLimit + 1> by_class_;  ///< places in reserved_; the last: runs
  std::uint64_t next_place_ = 0;  ///< of the area, for what an erased key leaves
  FlatMap staged_cells_;          ///< cells of the slot being staged that get another value
  std::vector<Word*> changed_cells_;
  bool cells_cleared_ = false;  ///< its other cells will be 0
  std::string scratch_;
};

template <class Visit>
bool Keyspace::Transaction::each_slot(Visit&& visit) const {
  for (std::size_t begin = 0; begin < write_count_;) {
    const std::uint32_t slot = writes_[order_[begin]].slot;
    std::size_t end = begin;
    while (end < write_count_ && writes_[order_[end]].slot == slot) ++end;
    if (!visit(begin, end, impl_.slots[slot])) return false;
    begin = end;
  }
  return true;
}

}  // namespace memento
