// Writes of one process: SET, erasing, table growth, FLUSH. See keyspace.h for the contract and shm/README.md
// for the redo list. Read-modify-write is in keyspace_update.cc, several keys at once in transaction.cc.
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <optional>

#include "shm/keyspace/keyspace_scopes.h"
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

void copy_pieces(char* to, const Change& change) {
  for (const std::string_view piece : change.pieces) {
    if (piece.empty()) continue;
    if (piece.data() == nullptr) {
      std::memset(to, 0, piece.size());
    } else {
      std::memcpy(to, piece.data(), piece.size());
    }
    to += piece.size();
  }
}

// Waits for whoever changes the whole keyspace, and clears what a dead one left. REQUIRES: no lock held.
void Keyspace::Impl::pass_gate() {
  const LockGuard guard(owner, header.gate_lock);
  database_changes.finish();
  header.exclusive.store(0, std::memory_order_release);
}

// Makes a change of whole databases while nobody else changes anything.
template <class MakeChange>
void Keyspace::Impl::change_databases(std::uint32_t database_count, MakeChange&& make_change) {
  if (!journal.make_ring()) throw JournalFull{};
  lock_gate();
  const bool has_room = database_changes.has_room(database_count);
  if (has_room) make_change();
  unlock_gate();
  if (!has_room) throw JournalFull{};
}

// From here on nobody but this process changes the keyspace. REQUIRES: no lock held.
void Keyspace::Impl::lock_gate() {
  owner.lock(header.gate_lock);
  database_changes.finish();
  header.exclusive.store(1, std::memory_order_seq_cst);
  // Who holds one of these now has not seen `exclusive`: it is waited for. Who takes one from now on sees it,
  // since the exchange that takes a lock and the store above are both seen before what follows them is read.
  const auto pass = [this](RobustLock& lock) {
    if (lock.word.load(std::memory_order_seq_cst) == 0) return;
    owner.lock(lock);
    owner.unlock(lock);
  };
  each_slot([&](SlotId slot) { pass(slots[slot].lock); });
  pass(header.flush_lock);
}

void Keyspace::Impl::unlock_gate() {
  header.exclusive.store(0, std::memory_order_release);
  owner.unlock(header.gate_lock);
}

// REQUIRES: slot locked. A slot of an older flush generation is emptied: its table becomes this process's to
// free. False: this process still holds another dead table; unlock, drain it, and come again.
bool Keyspace::Impl::make_current(Slot& slot) {
  if (is_current(slot)) return true;
  if (arena.held(kHeldDeadTable).load(kRelaxed) != 0) return false;
  SlotMove(redo, slot).make_current(header.flush_generation.load(std::memory_order_acquire));
  redo.stage(arena.held(kHeldDeadTable), slot.table.load(kRelaxed));
  redo.commit();
  return true;
}

// Makes room for `inserts` more entries. `rebuilt_from`: gets the slot's version before, when it has a new
// table then. REQUIRES: no lock held. False: out of memory.
bool Keyspace::Impl::grow(Slot& slot, std::uint64_t inserts, std::optional<std::uint64_t>* rebuilt_from) {
  const std::uint64_t live = slot.cells.load(kRelaxed) & 0xffffffff;
  std::uint64_t lines = Extent{slot.table.load(std::memory_order_acquire)}.size();
  const bool only_tombstones = live + live / 8 + inserts < fill_limit(lines);
  if (!only_tombstones) {
    do {
      lines += std::max<std::uint64_t>(lines / 8, 1);
    } while (live + inserts > fill_limit(lines));
  }
  return rebuild(slot, lines, [&](const Slot& now) {
    const Extent table{now.table.load(kRelaxed)};
    const bool is_short =
        table.word == 0 || (now.cells.load(kRelaxed) >> 32) + inserts > fill_limit(table.size());
    if (is_short && rebuilt_from != nullptr) *rebuilt_from = now.version.load(kRelaxed);
    return is_short;
  });
}

// Bytes of the block or run that the key's entry has now; 0: there is none.
std::uint64_t Keyspace::Impl::capacity_of(const HashedKey& key) {
  Slot& slot = slots[key.slot];
  const SlotGuard guard(*this, slot);
  Entry entry;
  Word* cell = nullptr;
  if (!is_current(slot) || find(Extent{slot.table.load(kRelaxed)}, key, &entry, &cell) != Search::kHit)
    return 0;
  return Arena::bytes_for(entry.total_bytes());
}

// REQUIRES: slot locked and current, the key absent, a non-full table. The first cell an insert may use.
Word* Keyspace::Impl::free_cell(Extent table, std::uint64_t tag) const {
  Word* cells = table_cells(base, table);
  const std::uint64_t lines = table.size();
  for (std::uint64_t line = home_line(tag, lines);; line = line + 1 == lines ? 0 : line + 1) {
    for (std::uint32_t i = 0; i < kCellsPerLine; ++i) {
      Word& place = cells[line * kCellsPerLine + i];
      if (!Cell::live(place.load(kRelaxed))) return &place;
    }
  }
}

// REQUIRES: slot locked and current. Stages and commits: `cell` (of `old`, or a free one) gets the new block.
void Keyspace::Impl::commit_put(Slot& slot, const HashedKey& key, Word& cell, const Entry* old, Offset offset,
                                std::uint32_t size_class) {
  const Entry now = Entry::parse(base + offset);
  const std::uint64_t before = cell.load(kRelaxed);
  if (journal.is_on()) [[unlikely]]
    journal.stage_put(key.slot, now, size_class == Arena::kNoClass ? run_of(offset) : kNoOffset);
  SlotChange change(redo, slot);
  change.set(cell, fresh_cell(offset, key.hash, before));
  if (old != nullptr) {
    change.count_weight(weight_of(*old), weight_of(now));
  } else {
    change.count_new(weight_of(now), before == 0);
  }
  change.finish();
  if (size_class == Arena::kNoClass) redo.stage(arena.held(kHeldNewRun), 0);
  arena.stage_exchange(size_class, old != nullptr ? offset_of(*old) : kNoOffset);
  commit_change(slot, key);
  if (planted(Plant::kCounterAfterCommit)) slot.bytes.store(change.bytes(), kRelaxed);
  if (planted(Plant::kChangeCountedLate) && slot.marks.load(kRelaxed) != 0)
    change_counters.count(counted_hash(key.slot, key.hash));
}

// REQUIRES: slot locked and current. Stages that the entry is gone; its block is the caller's to stage, and
// the commit. REQUIRES: journal_takes(key).
void Keyspace::Impl::stage_erase(Slot& slot, Word& cell, const Entry& old, std::uint8_t record_flags) {
  if (journal.is_on()) [[unlikely]]
    journal.stage({slot_id(slot), RecordKind::kErase, record_flags, {old.key(), old.key_bytes}});
  Word* const cells = table_cells(base, Extent{slot.table.load(kRelaxed)});
  Word* const line = cells + (&cell - cells) / kCellsPerLine * kCellsPerLine;
  bool has_empty = false;
  for (std::uint32_t i = 0; i < kCellsPerLine; ++i) has_empty |= line[i].load(kRelaxed) == 0;
  SlotChange change(redo, slot);
  change.set(cell, has_empty ? 0 : kTombstone);
  change.count_gone(weight_of(old), has_empty);
  change.finish();
}

void Keyspace::Impl::commit_erase(Slot& slot, const HashedKey& key, Word& cell, const Entry& old,
                                  ChangeCause cause) {
  stage_erase(slot, cell, old, cause == ChangeCause::kServer ? kRecordExpired : 0);
  arena.stage_exchange(Arena::kNoClass, offset_of(old));
  commit_change(slot, key, cause);
}

// With eviction, being written again is being used, and a key that was evicted a while ago is not new.
std::uint64_t Keyspace::Impl::fresh_heat(std::uint64_t hash, std::uint64_t before) {
  if (!Cell::live(before)) return ghosts.take(hash) ? Cell::kOneHeat : 0;
  return std::min(Cell::heat(before) + 1, Cell::kHeatLimit) * Cell::kOneHeat;
}

// Locks the slot in a state in which a put or an erase can be committed: current, and with a free cell when
// `may_insert`. False: out of memory, nothing is locked.
bool Keyspace::Impl::lock_for_write(Slot& slot, bool may_insert) {
  for (;;) {
    lock_slot(slot);
    if (!make_current(slot)) {
      owner.unlock(slot.lock);
      if (!drain_dead_table()) throw JournalFull{};
      continue;
    }
    const Extent table{slot.table.load(kRelaxed)};
    if (!may_insert || (table.word != 0 && slot.cells.load(kRelaxed) >> 32 < fill_limit(table.size())))
      return true;
    owner.unlock(slot.lock);
    if (!with_room(0, [&] { return grow(slot, 1); })) return false;
  }
}

// Makes room for what the next commit replaces: a place for a run, and for a flushed slot's table. Draining
// such a table changes the magazines, so it is done before a block is chosen.
void Keyspace::Impl::make_room() {
  if (!drain_dead_table() || !arena.make_place_for_run() || !journal.make_ring()) throw JournalFull{};
}

bool Keyspace::Impl::prepare_block(std::uint64_t bytes, std::uint32_t* size_class) {
  const bool is_run = bytes > kLargestBlockBytes;
  if (is_run && !arena.can_ever_hold(Arena::bytes_for(bytes))) return false;
  *size_class = is_run ? Arena::kNoClass : class_of_size(bytes);
  const auto allocate = [&] {
    if (!is_run) return arena.prepare(*size_class);
    const Extent kept{arena.held(kHeldNewRun).load(kRelaxed)};
    if (kept.word != 0 && kept.size() * kUnitBytes >= bytes + sizeof(RunHead)) return true;
    arena.free_held(kHeldNewRun);
    return arena.allocate_run(bytes);
  };
  return with_room(bytes, allocate);
}

Offset Keyspace::Impl::block_offset(std::uint32_t size_class) const {
  return size_class == Arena::kNoClass ? arena.new_run_entry() : arena.peek(size_class);
}

WriteStatus Keyspace::set_carefully(const HashedKey& key, std::string_view value, const SetOptions& options) {
  if (options.keep_expiry) {
    return update(key, [&](const EntryView* old) {
      if ((old == nullptr && options.condition == SetCondition::kIfPresent) ||
          (old != nullptr && options.condition == SetCondition::kIfAbsent)) {
        return Change{};
      }
      return Change{Change::Action::kReplace, {value}, old != nullptr ? old->expiry_ms : kNoExpiry};
    });
  }
  Impl& impl = *impl_;
  if (impl.transaction->is_open()) return impl.transaction->set(key, value, options);
  const Entry entry =
      Entry::shape(key.bytes.size(), value.size(), options.expiry_ms != kNoExpiry, impl.created_now);
  Slot& slot = impl.slots[key.slot];
  std::uint32_t size_class = 0;
  Offset offset;
  Entry old;
  Word* cell = nullptr;
  bool there = false;
  std::optional<Arena::UseOfReserve> reserve;
  for (;;) {
    impl.make_room();
    if (!impl.prepare_block(entry.total_bytes(), &size_class)) {
      // What takes no more memory than it gives back is written even when memory is full.
      if (reserve || impl.capacity_of(key) < Arena::bytes_for(entry.total_bytes()))
        return impl.throw_if_journal_refused(), WriteStatus::kOutOfMemory;
      reserve.emplace(impl.arena);
      continue;
    }
    offset = impl.block_offset(size_class);
    const std::uint64_t rooms_made = impl.rooms_made;
    std::memcpy(entry.write(impl.base + offset, key.bytes, options.expiry_ms), value.data(), value.size());
    if (!impl.lock_for_write(slot, true)) {
      impl.arena.free_held(kHeldNewRun);
      impl.throw_if_journal_refused();
      return WriteStatus::kOutOfMemory;
    }
    // When memory was short, making room changed the magazine: fill what is on top of it now.
    if (impl.rooms_made == rooms_made) {
      there = impl.find(Extent{slot.table.load(kRelaxed)}, key, &old, &cell) == Impl::Search::kHit;
      if (!there || impl.arena.has_room_for(impl.offset_of(old))) break;
    }
    impl.owner.unlock(slot.lock);
  }
  const Extent table{slot.table.load(kRelaxed)};
  const bool live = there && !old.expired(impl.now_ms);
  if ((options.condition == SetCondition::kIfAbsent && live) ||
      (options.condition == SetCondition::kIfPresent && !live)) {
    impl.owner.unlock(slot.lock);
    impl.arena.free_held(kHeldNewRun);
    if (there && !live) impl.remove_expired(key);
    return WriteStatus::kUnchanged;
  }
  if (!impl.journal_takes(entry, size_class)) [[unlikely]] {
    impl.owner.unlock(slot.lock);
    impl.arena.free_held(kHeldNewRun);
    throw JournalFull{};
  }
  if (!there) cell = impl.free_cell(table, Cell::tag_of_hash(key.hash));
  impl.commit_put(slot, key, *cell, there ? &old : nullptr, offset, size_class);
  impl.made_key = !live;
  impl.owner.unlock(slot.lock);
  if (there && !live) impl.note_removed(key, false);
  impl.arena.settle(there ? impl.offset_of(old) : kNoOffset);
  return WriteStatus::kDone;
}

WriteStatus Keyspace::erase(const HashedKey& key) {
  return update(key, [](const EntryView* old) {
    Change change;
    if (old != nullptr) change.action = Change::Action::kErase;
    return change;
  });
}

// Under the slot's lock: is a block of so many bytes at hand?
bool Keyspace::Impl::is_ready(std::uint64_t bytes, std::uint32_t* size_class) {
  if (bytes <= kLargestBlockBytes) {
    *size_class = class_of_size(bytes);
    return arena.has_block(*size_class);
  }
  *size_class = Arena::kNoClass;
  const Extent run{arena.held(kHeldNewRun).load(kRelaxed)};
  return run.word != 0 && run.size() * kUnitBytes >= bytes + sizeof(RunHead);
}

void Keyspace::flush() {
  Impl& impl = *impl_;
  if (impl.transaction->is_open()) return impl.transaction->flush(kAllDatabases);
  impl.changed_keys.add_all();
  if (impl.journal.is_on())
    return impl.change_databases(impl.open_database_count(), [&] { impl.database_changes.flush_all(); });
  while (!impl.try_flush(false)) impl.pass_gate();
}

void Keyspace::flush_database() {
  Impl& impl = *impl_;
  if (impl.transaction->is_open()) return impl.transaction->flush(1u << database_.value);
  impl.changed_keys.add_all();
  while (!impl.journal.is_on() && impl.header.open_databases.load(std::memory_order_acquire) == 0) {
    if (impl.try_flush(true)) return;
    impl.pass_gate();
  }
  impl.change_databases(1, [&] { impl.database_changes.flush(database_); });
}

void Keyspace::swap_databases(DatabaseId one, DatabaseId other) {
  assert(!impl_->transaction->is_open() && is_open(one) && is_open(other));
  if (one == other) return;
  impl_->changed_keys.add_all();
  impl_->change_databases(1, [&] { impl_->database_changes.swap(one, other); });
}

// Writers look at the word under the lock of what they change. So whoever did not see the bit has made its
// change when the gate has been locked, which waits for all who hold such a lock.
void Keyspace::begin_tracking() {
  impl_->header.trackers.fetch_or(Header::tracker_bit(impl_->process));
  impl_->lock_gate();
  impl_->unlock_gate();
}

void Keyspace::end_tracking() { impl_->header.end_tracking(impl_->process); }

// False: somebody changes the whole keyspace, or there are more databases than 0.
bool Keyspace::Impl::try_flush(bool only_database_0) {
  const LockGuard guard(owner, header.flush_lock);
  if (header.exclusive.load(std::memory_order_acquire) != 0 || journal.is_on()) return false;
  if (only_database_0 && header.open_databases.load(kRelaxed) != 0) return false;
  const std::uint64_t next = header.flush_generation.load(kRelaxed) + 1;
  // One word, one store: it needs no redo list, and must not have one. Writers of slots do not take this
  // lock: a list committed by a dead process would take effect only when the master reaps it, after writes
  // acknowledged meanwhile.
  if (planted(Plant::kFlushByList)) {
    redo.stage(header.flush_generation, next);
    redo.commit();
  } else {
    header.flush_generation.store(next, std::memory_order_release);
  }
  return true;
}

}  // namespace memento
