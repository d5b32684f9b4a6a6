// What one commit does to one slot, staged into the process's redo list. SlotChange is for what changes data:
// a key gets a value, loses it, gets an expiry. SlotMove is for what changes only where things lie: it is no
// change to anybody but readers without locks.
//
// The order is what those rely on: first the words that lead to data or are data (cells, expiries, parts of
// long values), then the slot's version, then its counts, then what becomes of blocks that are out of use
// (the caller's). REQUIRES, of both: the slot's lock, from the beginning until the list is committed. Writers
// of the keyspace.
#pragma once

#include <cstdint>

#include "shm/commit/plant.h"
#include "shm/commit/redo_list.h"
#include "shm/format/entry.h"
#include "shm/format/layout.h"
#include "shm/format/limits.h"

namespace memento {

inline constexpr std::uint64_t kOneExpiry = 1ull << 40;    ///< in Slot::bytes
inline constexpr std::uint64_t kOneUsedCell = 1ull << 32;  ///< in Slot::cells

/// What an entry adds to Slot::bytes.
inline std::uint64_t weight_of(std::uint64_t key_bytes, std::uint64_t value_bytes, bool expires) {
  return key_bytes + value_bytes + (expires ? kOneExpiry : 0);
}
inline std::uint64_t weight_of(const Entry& entry) {
  return weight_of(entry.key_bytes, entry.value_bytes, entry.expires());
}

class SlotChange {
 public:
  SlotChange(RedoList& redo, Slot& slot)
      : redo_(redo),
        slot_(slot),
        cells_(slot.cells.load(std::memory_order_relaxed)),
        bytes_(slot.bytes.load(std::memory_order_relaxed)) {}
  SlotChange(const SlotChange&) = delete;
  SlotChange& operator=(const SlotChange&) = delete;

  /// A cell, or a word of an entry.
  [[gnu::always_inline]] void set(Word& word, std::uint64_t value) { redo_.stage(word, value); }

  /// A key that was not there has an entry of this weight; `takes_empty`: its cell was never used.
  void count_new(std::uint64_t weight, bool takes_empty) {
    cells_ += 1 + (takes_empty ? kOneUsedCell : 0);
    bytes_ += weight;
  }
  void count_gone(std::uint64_t weight, bool leaves_empty) {
    cells_ -= 1 + (leaves_empty ? kOneUsedCell : 0);
    bytes_ -= weight;
  }
  /// A key that stays has another weight.
  void count_weight(std::uint64_t before, std::uint64_t now) { bytes_ += now - before; }
  /// Nothing is left.
  void count_none() { cells_ = bytes_ = 0; }

  void set_expiry(const Entry& entry, TimeMs expiry_ms) {
    set(entry.expiry_word(), Entry::word_of_expiry(expiry_ms));
    count_weight(weight_of(entry), weight_of(entry.key_bytes, entry.value_bytes, expiry_ms != kNoExpiry));
  }

  /// Stages version and counts.
  [[gnu::always_inline]] void finish() {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    redo_.stage(slot_.version, slot_.version.load(kRelaxed) + 1);
    if (cells_ != slot_.cells.load(kRelaxed)) redo_.stage(slot_.cells, cells_);
    if (planted(Plant::kStoreOutsideList)) return slot_.bytes.store(bytes_, kRelaxed);
    if (bytes_ != slot_.bytes.load(kRelaxed) && !planted(Plant::kCounterAfterCommit))
      redo_.stage(slot_.bytes, bytes_);
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  RedoList& redo_;
  Slot& slot_;
  std::uint64_t cells_;
  std::uint64_t bytes_;
};

class SlotMove {
 public:
  SlotMove(RedoList& redo, Slot& slot) : redo_(redo), slot_(slot) {}
  SlotMove(const SlotMove&) = delete;
  SlotMove& operator=(const SlotMove&) = delete;

  /// An entry lies elsewhere.
  void move(Word& cell, std::uint64_t value) {
    redo_.stage(cell, value);
    if (!planted(Plant::kMoveWithoutVersion)) count_up();
  }
  /// All entries are found by another table, without tombstones.
  void rebuild(std::uint64_t table, std::uint64_t entries) {
    redo_.stage(slot_.table, table);
    count_up();
    redo_.stage(slot_.cells, entries | entries * kOneUsedCell);
  }
  /// What a FLUSH of this generation has emptied loses its table too.
  void make_current(std::uint64_t generation) {
    redo_.stage(slot_.table, 0);
    count_up();
    redo_.stage(slot_.cells, 0);
    redo_.stage(slot_.bytes, 0);
    redo_.stage(slot_.generation, generation);
  }

 private:
  void count_up() { redo_.stage(slot_.version, slot_.version.load(std::memory_order_relaxed) + 1); }

  RedoList& redo_;
  Slot& slot_;
};

}  // namespace memento
