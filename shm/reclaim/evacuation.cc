// Emptying a page: its entries move to other pages of their class, or go (evicted, expired); tables are built
// anew elsewhere. The cell is the only reference to an entry, so that moving one is a write like any other:
// its own redo transaction under its slot's lock. compaction.cc and eviction.cc choose the pages.
//
// A page that is being emptied is marked as draining, so that nobody allocates from it; it becomes free when
// its last block comes back. Blocks that are no live entry's (in a magazine, in a write that is under way)
// are left alone, and then the page stays. The process's record names the pages, so that a successor takes
// the marks off.
#include <algorithm>
#include <array>
#include <cstring>

#include "shm/commit/plant.h"
#include "shm/keyspace/hash.h"
#include "shm/keyspace/keyspace_scopes.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

// Where `judge` keeps an entry it goes to a main page when `to_main`. REQUIRES: the page is draining.
void Keyspace::Impl::evacuate_blocks(PageIndex page, bool to_main, const Judge& judge) {
  const PageInfo info = arena.info(page);
  if (!info.is_class_page()) return;  // it was emptied before it was marked
  const Arena::UseOfReserve reserve(arena);
  const ClassGeometry& geometry = kSizeClasses.geometry[info.size_class()];
  arena.give_back_blocks(info.size_class());
  const Word* bitmap = arena.page_words(page);
  bool goes_on = true;
  for (std::uint32_t block = 0; block < geometry.block_count && goes_on; ++block) {
    if ((bitmap[block / 64].load(kRelaxed) >> block % 64 & 1) == 0) continue;
    if (arena.is_evacuated_full()) arena.finish_evacuation();
    const Offset offset = arena.page_offset(page) + geometry.first_offset + block * geometry.block_bytes;
    goes_on = evacuate_block(offset, info.size_class(), to_main, judge);
  }
  arena.finish_evacuation();
}

// False: there is nowhere to move it to.
bool Keyspace::Impl::evacuate_block(Offset offset, std::uint32_t size_class, bool to_main,
                                    const Judge& judge) {
  const std::uint64_t block_bytes = kSizeClasses.geometry[size_class].block_bytes;
  const std::optional<HashedKey> key = referrer_of(offset, block_bytes);
  if (!key) return true;
  const bool has_target = arena.prepare_target(size_class, to_main);
  Slot& slot = slots[key->slot];
  RemovalNote note(*this, *key);
  const SlotGuard guard(*this, slot);
  const std::optional<Reference> reference = refers_to(*key, offset);
  if (!reference || reference->entry.total_bytes() > block_bytes) return true;
  const auto& [entry, cell] = *reference;
  const std::uint64_t value = cell->load(kRelaxed);
  const Verdict verdict = judge(Cell::heat(value));
  if (entry.expired(now_ms) || !verdict.keeps) {
    if (!journal_takes_removal(*key)) return false;
    stage_erase(slot, *cell, entry, entry.expired(now_ms) ? kRecordExpired : kRecordEvicted);
    arena.stage_gone(offset);
    commit_change(slot, *key, ChangeCause::kServer);
    count(entry.expired(now_ms) ? Counter::kExpired : Counter::kEvicted, 1);
    note.set(!entry.expired(now_ms));
    if (verdict.leaves_ghost) ghosts.add(key->hash);
    return true;
  }
  if (!has_target) return false;
  const Offset target = arena.peek_target();
  // Who empties the page of the target may look at the block without a lock, and checks afterwards
  // (refers_to).
  racy_copy(base + target, base + offset, entry.total_bytes());
  SlotMove(redo, slot).move(*cell, Cell::moved(value, target, verdict.heat));
  arena.stage_moved(offset);
  redo.commit();
  return true;
}

// What is no entry looks like one, or like none. An entry does not say which database it is in: the one whose
// table leads to it.
MEMENTO_RACY std::optional<HashedKey> Keyspace::Impl::referrer_of(Offset offset, std::uint64_t block_bytes) {
  std::array<char, 3 * sizeof(Word)> front{};  // the words in front of a key
  racy_copy(front.data(), base + offset, std::min<std::uint64_t>(front.size(), block_bytes));
  Entry entry = Entry::parse(front.data());
  entry.at = base + offset;
  if (entry.key_bytes > kKeyLimitBytes || entry.total_bytes() > block_bytes) return std::nullopt;
  block_key.resize(entry.key_bytes);
  racy_copy(block_key.data(), entry.key(), entry.key_bytes);
  HashedKey key = hash_key(block_key, header.hash_seed);
  if (header.open_databases.load(kRelaxed) == 0) return key;
  for (DatabaseId in; in < kDatabaseEnd; ++in) {
    if (header.is_open(in) && may_lead_to(key = Keyspace::in_database(in, key), offset)) return key;
  }
  return std::nullopt;
}

// Looked at without a lock: a hint.
bool Keyspace::Impl::may_lead_to(const HashedKey& key, Offset offset) const {
  const Extent table{slots[key.slot].table.load(std::memory_order_acquire)};
  if (table.word == 0 || !is_committed(table.offset(), table.size() * kLineBytes)) return false;
  const std::uint64_t tag = Cell::tag_of_hash(key.hash);
  std::uint64_t line = home_line(tag, table.size());
  for (std::uint64_t n = 0; n < table.size(); ++n, line = line + 1 == table.size() ? 0 : line + 1) {
    const Word* const cells = table_cells(base, table) + line * kCellsPerLine;
    bool has_empty = false;
    for (std::uint32_t i = 0; i < kCellsPerLine; ++i) {
      const std::uint64_t cell = cells[i].load(kRelaxed);
      if (Cell::live(cell) && Cell::offset(cell) == offset && Cell::tag(cell) == tag) return true;
      has_empty |= cell == 0;
    }
    if (has_empty) return false;
  }
  return false;
}

std::optional<Keyspace::Impl::Reference> Keyspace::Impl::refers_to(const HashedKey& referrer,
                                                                   Offset offset) const {
  const Slot& slot = slots[referrer.slot];
  Reference found{};
  if (!is_current(slot) ||
      find(Extent{slot.table.load(kRelaxed)}, referrer, &found.entry, &found.cell) != Search::kHit ||
      found.entry.at != base + offset) {
    return std::nullopt;
  }
  return found;
}

// Builds the tables anew that lie between two offsets. REQUIRES: those pages are draining.
void Keyspace::Impl::evacuate_tables(Offset begin, Offset end) {
  const Arena::UseOfReserve reserve(arena);
  bool has_memory = true;
  each_slot([&](SlotId s) {
    const Extent table{slots[s].table.load(std::memory_order_acquire)};
    if (!has_memory || table.word == 0 || table.offset() >= end ||
        table.offset() + table.size() * kLineBytes <= begin)
      return;
    const auto is_there = [&](const Slot& slot) { return slot.table.load(kRelaxed) == table.word; };
    has_memory = rebuild(slots[s], table.size(), is_there);
  });
}

// Copies the run that begins at an offset to another place. The copy is made without the slot's lock, under a
// pin: while that is there the run's bytes stay as they are, but for its expiry and what grows behind its
// end.
void Keyspace::Impl::move_run(Offset run) {
  const Offset offset = entry_of_run(run);
  const std::optional<HashedKey> key = referrer_of(offset, find_committed_end() - offset);
  if (!key) return;
  Slot& slot = slots[key->slot];
  const auto find_it = [&]() -> std::optional<Reference> {
    if (arena.is_class_page(offset)) return std::nullopt;
    return refers_to(*key, offset);
  };
  std::uint64_t copied_bytes = 0;
  std::optional<Pin> pin;
  {
    const SlotGuard guard(*this, slot);
    const std::optional<Reference> reference = find_it();
    if (!reference) return;
    copied_bytes = reference->entry.total_bytes();
    pin.emplace(record.pins[kMovePin], offset);
  }
  if (arena.has_room_for_run() && arena.allocate_run(copied_bytes, kHeldMovedRun)) {
    const Offset target = entry_of_run(Extent{arena.held(kHeldMovedRun).load(kRelaxed)}.offset());
    std::memcpy(base + target, base + offset, copied_bytes);
    const SlotGuard guard(*this, slot);
    const std::optional<Reference> reference = find_it();  // its value may have grown at its end
    if (reference && reference->entry.total_bytes() == copied_bytes) {
      const auto& [entry, cell] = *reference;
      if (entry.has_expiry_word) entry.write_expiry(base + target);
      const std::uint64_t value = cell->load(kRelaxed);
      SlotMove(redo, slot).move(*cell, Cell::moved(value, target, Cell::heat(value)));
      redo.stage(arena.held(kHeldMovedRun), 0);
      arena.stage_exchange(Arena::kNoClass, offset);
      redo.commit();
    }
  }
  pin.reset();
  arena.free_held(kHeldMovedRun);
  arena.free_old_runs();
}

}  // namespace memento
