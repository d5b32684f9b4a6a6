// FLUSHDB and SWAPDB: changes to all slots of one database, or of two, that become visible together, whatever
// the number of keys. Each slot's part goes through a redo list; what is done and what is left to do is one
// word, Header::database_change, so that it needs no memory, and whoever gets the gate after a death goes on.
//
//   marking    the slots that have a table are marked as changing: from here on nobody reads them
//   applying   piece by piece, each one list: FLUSHDB gives a slot a generation that is not the current one,
//   as
//              FLUSH does for all; SWAPDB exchanges what two slots hold. The list also says how far it is
//   unmarking  the slots can be read again
//
// Marks are words that only the gate's holder changes meanwhile, and making or taking them twice is doing so
// once: they need no list. A slot's number, lock, version and marks stay with its database.
//
// REQUIRES, of all: the gate's lock with Header::exclusive set, and every lock of a slot of these databases
// and FLUSH's was free since; or nobody else is alive. Nothing is staged.
#pragma once

#include <cstdint>

#include "shm/commit/redo_list.h"
#include "shm/format/layout.h"

namespace memento {

class DatabaseChanges {
 public:
  DatabaseChanges(char* base, Header& header, RedoList& redo)
      : header_(header), slots_(base + header.slots_offset), redo_(redo) {}

  void flush(DatabaseId database) { begin(Kind::kFlush, database, database); }
  /// REQUIRES: both are open, and not the same.
  void swap(DatabaseId one, DatabaseId other) { begin(Kind::kSwap, one, other); }
  /// What a dead process has begun.
  void finish();

  /// SWAPDBs among Header::database_changes, which counts all: they may bring keys.
  static std::uint32_t swaps_of(std::uint64_t database_changes) {
    return static_cast<std::uint32_t>(database_changes >> 32);
  }
  /// Its entries do not count: it is as a slot that FLUSH has emptied.
  static std::uint64_t stale_generation(const Header& header) {
    return header.flush_generation.load(std::memory_order_relaxed) - 1;
  }

 private:
  enum class Kind : std::uint8_t { kFlush = 1, kSwap = 2 };
  enum class Phase : std::uint8_t { kMarking, kApplying, kUnmarking };
  /// Header::database_change: kind 8 bits | phase 8 | databases 8 each | the next slot to apply 32.
  struct Change {
    Kind kind;
    Phase phase;
    DatabaseId one;
    DatabaseId other;
    std::uint32_t next_slot;

    static Change of_word(std::uint64_t word);
    std::uint64_t word() const;
  };

  void begin(Kind kind, DatabaseId one, DatabaseId other);
  void mark(const Change& change, bool is_changing);
  void apply(Change change);
  void stage_flush(Slot& slot);
  void stage_swap(Slot& slot, Slot& other);

  Header& header_;
  SlotArray slots_;
  RedoList& redo_;
};

}  // namespace memento
