// FLUSHDB, SWAPDB, and FLUSHALL where there is a journal: changes to all slots of a database, of two, or of
// all, that become visible together, whatever the number of keys. Each slot's part goes through a redo list;
// what is done and what is left to do is one word, Header::database_change, so that it needs no memory, and
// whoever gets the gate after a death goes on.
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
// The journal says that the change begins, then each piece as one group, then that it has ended: who recovers
// from it goes on like whoever gets the gate.
//
// REQUIRES, of all: the gate's lock with Header::exclusive set, and every lock of a slot of these databases
// and FLUSH's was free since; or nobody else is alive. Nothing is staged.
#pragma once

#include <cstdint>

#include "shm/commit/journal_writer.h"
#include "shm/commit/redo_list.h"
#include "shm/format/layout.h"

namespace memento {

class DatabaseChanges {
 public:
  DatabaseChanges(char* base, Header& header, RedoList& redo, JournalWriter& journal)
      : header_(header), slots_(base + header.slots_offset), redo_(redo), journal_(journal) {}

  /// The journal has room for a change of so many databases.
  bool has_room(std::uint32_t database_count) const;
  /// FLUSHALL, of every database that is open.
  void flush_all() { begin(Kind::kFlushAll, DatabaseId(0), DatabaseId(0)); }

  void flush(DatabaseId database) { begin(Kind::kFlush, database, database); }
  /// REQUIRES: both are open, and not the same.
  void swap(DatabaseId one, DatabaseId other) { begin(Kind::kSwap, one, other); }
  /// What a dead process has begun. Waits until the journal has room for it.
  void finish();
  /// Nothing has to be finished, or it can be without waiting.
  bool can_finish();

  // For who replays a journal, in which each change begins with its word:

  /// Whether this is one, of databases that there may be.
  static bool is_begin(std::uint64_t word);
  /// Calls visit(DatabaseId) for those that it names.
  template <class Visit>
  static void each_named(std::uint64_t word, Visit&& visit) {
    const Change change = Change::of_word(word);
    visit(change.one);
    visit(change.other);
  }
  /// What is left to do when the piece that this slot is in has been done, and those in front of it: the word
  /// for Header::database_change.
  static std::uint64_t word_behind(std::uint64_t word, SlotId done);

  /// SWAPDBs among Header::database_changes, which counts all: they may bring keys.
  static std::uint32_t swaps_of(std::uint64_t database_changes) {
    return static_cast<std::uint32_t>(database_changes >> 32);
  }
  /// Its entries do not count: it is as a slot that FLUSH has emptied.
  static std::uint64_t stale_generation(const Header& header) {
    return header.flush_generation.load(std::memory_order_relaxed) - 1;
  }

 private:
  enum class Kind : std::uint8_t { kFlush = 1, kSwap = 2, kFlushAll = 3 };
  enum class Phase : std::uint8_t { kMarking, kApplying, kUnmarking };
  /// Header::database_change: kind 8 bits | phase 8 | databases 8 each | the next slot to apply 32.
  struct Change {
    Kind kind;
    Phase phase;
    DatabaseId one;
    DatabaseId other;
    std::uint32_t next_slot;  ///< with kFlushAll those of all databases count on

    static Change of_word(std::uint64_t word);
    std::uint64_t word() const;
  };

  void begin(Kind kind, DatabaseId one, DatabaseId other);
  /// Stores what is left to do, and says so in the journal.
  void note(std::uint64_t word);
  void mark(const Change& change, bool is_changing);
  void count_up(const Change& change);
  void apply(Change change);
  template <class Visit>
  void each_database(const Change& change, Visit&& visit) const;
  void stage_flush(SlotId slot);
  void stage_swap(SlotId slot, SlotId other);

  Header& header_;
  SlotArray slots_;
  RedoList& redo_;
  JournalWriter& journal_;
};

}  // namespace memento
