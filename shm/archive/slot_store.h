// SlotStore: slots being filled from disk, by one of the threads that share them out. Cells, counts and
// entries are stored straight, without locks, redo lists or versions: nobody else looks at these slots yet,
// and what a loader that dies leaves is cleared as a whole (clear_for_load()). Blocks, runs and tables come
// from the arena, which all threads share.
//
// Not thread safe; one object for each thread, and while it lives its thread has no other LockOwner or
// Keyspace. What false leaves is only good for being cleared.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "shm/arena/arena.h"
#include "shm/commit/redo_list.h"
#include "shm/commit/robust_lock.h"
#include "shm/format/entry.h"
#include "shm/format/layout.h"
#include "shm/format/table.h"
#include "shm/keyspace/hash.h"

namespace memento {

class Segment;

class SlotStore {
 public:
  SlotStore(Segment& segment, std::uint32_t process);
  /// The record is empty then.
  ~SlotStore() { arena_.give_back_all(); }
  SlotStore(const SlotStore&) = delete;
  SlotStore& operator=(const SlotStore&) = delete;

  struct Value {
    std::string_view bytes;
    std::uint64_t created = 0;  ///< ms since the time base
    TimeMs expiry_ms = kNoExpiry;
  };

  /// Called for many keys in turn, the fetches overlap.
  void prefetch_slot(SlotId slot) const { __builtin_prefetch(&slots_[slot]); }
  void prefetch_table(const HashedKey& key) const;
  void prefetch_entry(const HashedKey& key) const;

  /// Nothing: no such key. Valid until the slot is changed.
  std::optional<Entry> find(const HashedKey& key) const;
  /// False, of all below: no memory.
  bool put(const HashedKey& key, const Value& value);
  /// REQUIRES, of the three: the key is there.
  void erase(const HashedKey& key);
  bool set_expiry(const HashedKey& key, TimeMs expiry_ms);
  /// The first `kept` bytes of the value stay, `added` comes, then what stood from `tail` on. REQUIRES: both
  /// are within the value, kept <= tail.
  bool splice(const HashedKey& key, std::uint64_t kept, std::uint64_t tail, std::string_view added,
              TimeMs expiry_ms);

  /// A value that comes in pieces, in a run that nothing leads to yet.
  struct Filling {
    Extent run;  ///< word 0: there is none
    std::uint64_t value_bytes = 0;
    std::uint64_t filled_bytes = 0;
  };
  /// REQUIRES: is_long(value_bytes).
  bool begin_filling(const HashedKey& key, const Value& without_bytes, std::uint64_t value_bytes,
                     Filling* filling);
  static bool is_long(std::uint64_t value_bytes) { return value_bytes > kLargestBlockBytes; }
  /// REQUIRES: it fits.
  void fill(Filling* filling, std::string_view bytes);
  /// The key has it. REQUIRES: it is full.
  bool put(const HashedKey& key, Filling* filling);
  void drop(Filling* filling);

  /// Makes room for so many entries at once.
  bool reserve(SlotId slot, std::uint64_t entries);
  void empty(SlotId slot);
  void swap(SlotId one, SlotId other);
  /// Calls visit(const Entry&) for each entry.
  template <class Visit>
  void each_entry(SlotId id, Visit&& visit) const {
    const Extent table{slots_[id].table.load(std::memory_order_relaxed)};
    const Word* const cells = table_cells(base_, table);
    for (std::uint64_t i = 0; i < table.size() * kCellsPerLine; ++i) {
      const std::uint64_t cell = cells[i].load(std::memory_order_relaxed);
      if (Cell::live(cell)) visit(Entry::parse(base_ + Cell::offset(cell)));
    }
  }
  /// Of all slots, as far as this object has put them there.
  std::uint64_t entry_count() const { return entry_count_; }

 private:
  struct Place {
    Word* cell = nullptr;  ///< nullptr: the key is not there
    Entry entry;
  };
  Place place_of(const HashedKey& key) const;
  template <class Allocate>
  bool with_reserve(Allocate&& allocate);
  bool allocate(std::uint64_t entry_bytes, std::uint64_t spare_bytes, Offset* offset);
  void free_entry(Offset offset);
  void free_table(Extent table);
  bool link(const HashedKey& key, const Place& old, Offset offset);
  bool grow(Slot& slot);
  bool rebuild(Slot& slot, std::uint64_t lines);
  Offset offset_of(const Entry& entry) const { return Offset{static_cast<std::uint64_t>(entry.at - base_)}; }
  bool is_in_block_of(Offset offset, std::uint64_t entry_bytes) const;

  char* const base_;
  Header& header_;
  const SlotArray slots_;
  ProcessRecord& record_;
  LockOwner owner_;
  RedoList redo_;
  Arena arena_;
  Arena::Exemption exemption_;                  ///< what was there before may be above a limit set later
  std::optional<Arena::UseOfReserve> reserve_;  ///< when there is no other memory
  std::uint64_t entry_count_ = 0;
};

}  // namespace memento
