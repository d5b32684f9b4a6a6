// What holds something of the keyspace for a scope: a pin on a run, a slot's lock, the note that a key was
// removed; and the building of tables, which uses it. Part of the keyspace's inside (keyspace_impl.h).
#pragma once

#include "shm/keyspace/keyspace_impl.h"

namespace memento {

/// A run's entry is being read without a lock, for a scope: its bytes stay as they are. REQUIRES: the slot's
/// lock when it begins.
class Keyspace::Pin {
 public:
  Pin(Word& pin, Offset entry_offset) : pin_(pin) {
    pin_.store(entry_offset.value, std::memory_order_release);
  }
  ~Pin() { pin_.store(0, std::memory_order_release); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

 private:
  Word& pin_;
};

/// Notes at the end of a scope that a key was removed in it. It is made before the lock is taken, and so
/// notes when that has been let go.
class Keyspace::Impl::RemovalNote {
 public:
  RemovalNote(Impl& impl, const HashedKey& key) : impl_(impl), key_(key) {}
  ~RemovalNote() {
    if (is_set_) impl_.note_removed(key_, is_evicted_);
  }
  RemovalNote(const RemovalNote&) = delete;
  RemovalNote& operator=(const RemovalNote&) = delete;

  void set(bool is_evicted) {
    is_set_ = true;
    is_evicted_ = is_evicted;
  }

 private:
  Impl& impl_;
  const HashedKey& key_;
  bool is_set_ = false;
  bool is_evicted_ = false;
};

/// A slot's lock for a scope.
class Keyspace::SlotGuard {
 public:
  SlotGuard(Impl& impl, Slot& slot) : impl_(impl), slot_(slot) { impl_.lock_slot(slot_); }
  ~SlotGuard() { impl_.owner.unlock(slot_.lock); }
  SlotGuard(const SlotGuard&) = delete;
  SlotGuard& operator=(const SlotGuard&) = delete;

 private:
  Impl& impl_;
  Slot& slot_;
};

/// Builds a table of `lines` lines aside and swings it in, if is_wanted(slot) says so under the lock.
/// REQUIRES: no lock held; lines take all live entries. False: out of memory.
template <class IsWanted>
bool Keyspace::Impl::rebuild(Slot& slot, std::uint64_t lines, IsWanted&& is_wanted) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  if (!arena.allocate_table(lines)) return false;
  {
    const SlotGuard guard(*this, slot);
    const Extent old{slot.table.load(kRelaxed)};
    const std::uint64_t count = slot.cells.load(kRelaxed) & 0xffffffff;
    if (is_current(slot) && count <= fill_limit(lines) && is_wanted(slot)) {
      const Extent table{arena.held(kHeldNewTable).load(kRelaxed)};
      Word* cells = table_cells(base, table);
      for (std::uint64_t i = 0; i < lines * kCellsPerLine; ++i) cells[i].store(0, kRelaxed);
      const Word* old_cells = table_cells(base, old);
      for (std::uint64_t i = 0; i < old.size() * kCellsPerLine; ++i) {
        const std::uint64_t cell = old_cells[i].load(kRelaxed);
        if (Cell::live(cell)) place_cell(cells, lines, cell);
      }
      SlotMove(redo, slot).rebuild(table.word, count);
      redo.stage(arena.held(kHeldNewTable), 0);
      redo.stage(arena.held(kHeldOldTable), old.word);
      redo.commit();
    }
  }
  arena.free_held(kHeldOldTable);
  arena.free_held(kHeldNewTable);
  return true;
}

}  // namespace memento
