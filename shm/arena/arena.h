// Arena: blocks, runs and tables out of the segment's pages, as one process sees them. Blocks of one size
// class share 64 KiB pages with a bitmap; each process keeps a magazine of blocks per class, so that most
// allocations touch only its own record. Every change is a redo transaction; REQUIRES everywhere below: no
// slot lock held, unless said otherwise.
//
// Invariants between transactions: 1. a block whose bit is set is in exactly one place: a cell, a magazine, a
// transaction area, or (runs, tables) a held extent; 2. every magazine has a free place, so that a commit can
// always return the block it replaces; 3. a few committed pages stay free for moving entries (evacuation.cc)
// when memory is short, and some more, committed or not, for writes that take no more memory than they give
// back: only who holds a UseOfReserve takes them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "shm/commit/plant.h"
#include "shm/commit/redo_list.h"
#include "shm/commit/robust_lock.h"
#include "shm/format/layout.h"
#include "shm/format/page_info.h"
#include "shm/format/size_class.h"

namespace memento {

class Segment;

class Arena {
 public:
  Arena(Segment& segment, ProcessRecord& record, LockOwner& owner, RedoList& redo);

  std::uint64_t searches = 0;  ///< how often more than a block was looked for

  // Blocks (arena.cc).

  /// Makes sure the magazine of the class holds a block and has a free place. False: out of memory.
  bool prepare(std::uint32_t size_class);
  bool has_block(std::uint32_t size_class) const { return count_of(record_.magazines[size_class]) > 0; }
  /// The block the next take() will take: fill it before the commit. REQUIRES: has_block().
  Offset peek(std::uint32_t size_class) const {
    const Magazine& magazine = record_.magazines[size_class];
    return Offset{magazine.blocks[count_of(magazine) - 1].load(std::memory_order_relaxed)};
  }

  /// prepare() for several blocks, of which peek_below(0) is the topmost. REQUIRES: count <= kManyLimit.
  static constexpr std::size_t kManyLimit = 32;
  bool prepare_many(std::uint32_t size_class, std::size_t count);
  std::size_t block_count(std::uint32_t size_class) const { return count_of(record_.magazines[size_class]); }
  Offset peek_below(std::uint32_t size_class, std::size_t below_top) const {
    const Magazine& magazine = record_.magazines[size_class];
    return Offset{magazine.blocks[count_of(magazine) - 1 - below_top].load(std::memory_order_relaxed)};
  }
  /// Stages that the topmost `taken` blocks of the class are taken, and these given back. False: there is no
  /// room.
  bool stage_exchange_many(std::uint32_t size_class, std::size_t taken,
                           std::span<const Offset> freed_offsets);

  /// Stages the exchange: takes the peeked block of `taken` (or none: kNoClass) and gives back the block at
  /// `freed_offset` (or none: kNoOffset), which may be a run, which goes to an old-run place.
  /// May be called with slot locks held. REQUIRES: has_room_for(freed_offset).
  static constexpr std::uint32_t kNoClass = ~0u;
  void stage_exchange(std::uint32_t taken, Offset freed_offset);
  /// Where the peeked block of the class is noted: a block of the same class that it replaces is to stand
  /// there then. nullptr: there is none.
  Word* top_place(std::uint32_t size_class) const {
    Magazine& magazine = record_.magazines[size_class];
    const std::uint64_t count = count_of(magazine);
    return count > 0 ? &magazine.blocks[count - 1] : nullptr;
  }
  bool has_room_for(Offset freed_offset) const;
  bool has_room_for_run() const;

  /// After a commit: empties magazines that are full and frees old runs that nobody reads.
  void settle(Offset freed_offset);
  /// settle() for every class: what a dead predecessor left undone.
  void settle_all();
  /// Returns all blocks of one class, or of all, to their pages.
  void give_back_blocks(std::uint32_t size_class);
  void give_back_blocks();

  // Emptying pages (arena_pages.cc). `targets` holds blocks to move entries to, `evacuated` those they leave.

  /// The pages take nothing new until end_draining(). False: another process is emptying one of them.
  bool begin_draining(PageIndex first_page, std::uint64_t count);
  /// Another process is emptying pages.
  bool others_drain() const;
  /// What could not be emptied counts as taken now.
  void end_draining();
  /// A page whose entries were used again counts as taken now.
  void renew_age(PageIndex page, bool is_main);
  bool prepare_target(std::uint32_t size_class, bool is_main);
  Offset peek_target() const;
  bool is_evacuated_full() const { return count_of(record_.evacuated) == kMagazineLimit; }
  /// Slot lock held: the entry at `offset` goes to peek_target(), or is gone.
  void stage_moved(Offset offset);
  void stage_gone(Offset offset);
  /// Evacuated blocks go back to their page, which is free when they were the last; what is left of the
  /// targets too.
  void finish_evacuation();
  /// The held new run becomes the ghosts' (ghosts.h). False: there are some by now, and it is still held.
  bool publish_ghosts();

  /// Whether so many pages are free beside the reserve, and the limit allows them.
  bool may_take_pages(std::uint64_t pages) const;
  /// The same, or could be once they are committed.
  bool has_pages(std::uint64_t pages) const;
  /// Of the segment, with the pages in use.
  std::uint64_t used_bytes() const;
  bool is_within_limit(std::uint64_t pages) const;
  /// Set: a page was emptied for what is being allocated, which may take one above the limit too.
  void let_replace(bool replaces) { replaces_ = replaces; }
  /// While one lives, what is allocated may be above the limit.
  class Exemption {
   public:
    explicit Exemption(Arena& arena) : arena_(arena) { arena_.is_exempt_ = true; }
    ~Exemption() { arena_.is_exempt_ = false; }
    Exemption(const Exemption&) = delete;
    Exemption& operator=(const Exemption&) = delete;

   private:
    Arena& arena_;
  };

  // Extents (arena_extents.cc).

  /// Allocates a run or table into an empty held place. False: out of memory.
  bool allocate_run(std::uint64_t bytes, std::uint32_t role = kHeldNewRun);
  bool allocate_table(std::uint64_t lines);
  /// Frees what lies in a held place.
  void free_held(std::uint32_t role);
  Word& held(std::uint32_t role) { return record_.held[role]; }

  /// The area this process holds, or nullptr; its first `end` places are emptied: blocks go to magazines,
  /// runs to where readers may still be waited for.
  TransactionArea* transaction_area() const;
  /// False: some stay, since the journal has yet to be read.
  bool drain_area(std::uint64_t end);
  /// Frees the entries of the held dead table, one transaction each, then the table. False: some stay, since
  /// the journal has yet to be read.
  bool drain_dead_table();
  /// What stands for a block in the area's places.
  std::uint64_t block_word(Offset entry_offset) const;

  /// Offset of the entry in the held new run (behind the run's head).
  Offset new_run_entry() const;

  /// Bytes of the block or run that an entry of so many bytes takes.
  static std::uint64_t bytes_for(std::uint64_t entry_bytes) {
    return entry_bytes <= kLargestBlockBytes
               ? kSizeClasses.geometry[class_of_size(entry_bytes)].block_bytes
               : (entry_bytes + sizeof(RunHead) + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
  }
  /// Whether blocks and runs of so many bytes could be there at once if nothing else were: who wants more is
  /// refused before anything is given up for it.
  bool can_ever_hold(std::uint64_t bytes) const;

  /// Bytes an entry at `offset` may take: its block's or run's size.
  std::uint64_t capacity(Offset entry_offset) const;

  bool is_pinned_by_others(Offset entry_offset) const;
  /// Stages that the run held in this role goes to a place for old runs, where it waits until it has been
  /// read. REQUIRES: has_room_for_run().
  void stage_kept_run(std::uint32_t role);
  /// A consumer of the journal has yet to read what the run at this offset holds.
  bool is_in_journal(Offset run) const;
  RunHead& run_head(Offset run) const { return *reinterpret_cast<RunHead*>(base_ + run); }
  /// Frees old runs that wait for readers. True when all places are empty.
  bool free_old_runs();
  struct ReaderWait {
    std::uint32_t moments = 0;
    std::array<SlowWait, kOldRunLimit> slow{};  ///< for each old run
  };
  /// Frees old runs, or waits a moment for who reads them. False: it would be in vain, those that are left
  /// are the journal's, which has yet to be read.
  bool wait_for_readers(ReaderWait* wait);
  /// Waits until one more run may be replaced. False: not before the journal has been read.
  bool make_place_for_run() {
    for (ReaderWait wait; !has_room_for_run();) {
      if (!wait_for_readers(&wait)) return has_room_for_run();
    }
    return true;
  }
  /// Returns all magazines and held extents to the pages: a record nobody will use again.
  void give_back_all();

  bool is_class_page(Offset offset) const { return info(page_of(offset)).kind() != 0; }
  PageIndex page_of(Offset offset) const { return PageIndex{in_arena(offset) / kPageBytes}; }
  Offset page_offset(PageIndex page) const { return Offset{header_.arena_offset + page.value * kPageBytes}; }
  std::uint64_t used_units_of(PageIndex page) const {
    return units_word(page).load(std::memory_order_relaxed) >> units_shift(page) & 0xffff;
  }
  /// Behind the last page that is committed.
  PageIndex end_page() const { return PageIndex{committed_pages()}; }
  std::uint64_t committed_pages() const { return header_.committed_pages.load(std::memory_order_acquire); }
  PageInfo info(PageIndex page) const { return {info_word(page).load(std::memory_order_relaxed)}; }
  Word& age(PageIndex page) { return page_ages_[page.value]; }
  Word* page_words(PageIndex page) const { return reinterpret_cast<Word*>(base_ + page_offset(page)); }

  /// While one lives, the last free pages are for taking.
  class UseOfReserve {
   public:
    explicit UseOfReserve(Arena& arena) : arena_(arena) { ++arena_.reserve_users_; }
    ~UseOfReserve() { --arena_.reserve_users_; }
    UseOfReserve(const UseOfReserve&) = delete;
    UseOfReserve& operator=(const UseOfReserve&) = delete;

   private:
    Arena& arena_;
  };

 private:
  static std::uint64_t count_of(const Magazine& magazine) {
    return magazine.count.load(std::memory_order_relaxed);
  }
  std::uint64_t in_arena(Offset offset) const { return offset.value - header_.arena_offset; }
  Word& info_word(PageIndex page) const { return page_infos_[page.value]; }
  /// The word of the unit bitmap, and where the page's 16 bits begin in it.
  Word& units_word(PageIndex page) const { return units_[page.value / 4]; }
  static std::uint64_t units_shift(PageIndex page) { return page.value % 4 * kUnitsPerPage; }
  static std::uint64_t first_unit_of(PageIndex page) { return page.value * kUnitsPerPage; }
  static PageIndex page_of_unit(std::uint64_t unit) { return PageIndex{unit / kUnitsPerPage}; }
  std::uint64_t free_reserve_pages() const;
  std::uint64_t reserve_pages() const;
  bool refill(Magazine& magazine, std::uint32_t size_class, bool is_main);
  void flush(Magazine& magazine, std::uint64_t block_count);
  std::optional<PageIndex> find_page(std::uint32_t size_class, bool is_main);
  std::optional<PageIndex> claim_page(std::uint64_t kind, std::uint64_t flags);
  std::uint64_t stage_next_age();
  std::optional<PageIndex> find_line_page(std::uint64_t lines);
  /// The first of so many units.
  std::optional<std::uint64_t> find_units(std::uint64_t units, bool may_take_free_page);
  std::optional<std::uint64_t> find_units_in(PageIndex page, PageIndex end, std::uint64_t units,
                                             bool may_take_free_page) const;
  Word& unit_hint(std::uint64_t units);
  void lower_unit_hints(PageIndex page);
  std::uint64_t free_pages_around(std::uint64_t first, std::uint64_t units) const;
  void stage_units(std::uint64_t first, std::uint64_t units, bool used);
  void stage_run_start(std::uint64_t first_unit, bool begins);
  void stage_used_units(std::int64_t change);
  void stage_free_pages(std::int64_t change);
  void stage_lines(PageIndex page, std::uint64_t first, std::uint64_t lines, bool used);
  void stage_page_release(PageIndex page);
  void set_draining(PageIndex first_page, std::uint64_t count, bool drains);
  bool commit_more_pages(std::uint64_t pages);
  bool allocate_units(std::uint64_t units, std::uint32_t role, Extent::Kind kind, std::uint64_t size);
  bool is_pinned(Offset entry_offset) const;
  const Word* find_pin(Offset entry_offset, std::uint32_t* process) const;
  void stage_old_run(Extent run);
  bool give_back_from(Word& place, Offset entry_offset);
  void stage_open_pages(const PageInfo& page, std::int64_t change);

  Segment& segment_;
  char* base_;
  Header& header_;
  ProcessRecord& record_;
  LockOwner& owner_;
  RedoList& redo_;
  Word* units_;
  Word* page_infos_;
  Word* page_ages_;
  int reserve_users_ = 0;
  bool replaces_ = false;   ///< let_replace()
  bool is_exempt_ = false;  ///< Exemption
};

}  // namespace memento
