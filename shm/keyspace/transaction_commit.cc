// What a transaction commits: one redo list over all its slots. See transaction.h. Everything here runs with
// the slots locked and every block at hand.
//
// A cell may change twice (an erased key's, taken by a new one), and whether an erased cell becomes empty or
// a tombstone depends on its neighbours as they will be: so the cells of one slot are worked out aside, then
// staged.
#include <cassert>
#include <cstring>

#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::uint64_t key_of(const Word& cell) { return reinterpret_cast<std::uint64_t>(&cell); }

}  // namespace

void Keyspace::Transaction::stage_all() {
  RedoList& redo = impl_.redo;
  redo.use_area(*impl_.arena.transaction_area());
  if (shows_in_parts()) stage_changing(true);
  begin_records();
  stage_slots();
  if (flushed_ != 0 && !flushes_all()) {
    stage_flush_of_databases();
    commit_staged();
  } else if (flushed_ != 0) {
    const LockGuard guard(impl_.owner, impl_.header.flush_lock);
    const std::uint64_t generation = impl_.header.flush_generation.load(kRelaxed) + 1;
    for (std::size_t i = 0; i < write_count_; ++i) {
      if (i == 0 || writes_[order_[i]].slot != writes_[order_[i - 1]].slot) {
        redo.stage(impl_.slots[writes_[order_[i]].slot].generation, generation);
      }
    }
    redo.stage(impl_.header.flush_generation, generation);
    commit_staged();
  } else if (redo.size() > 0) {
    commit_staged();
  }
  redo.use_record();
}

// The changes are counted now that nothing comes between: a commit that does not happen must not look like a
// change to the next run of the same transaction.
void Keyspace::Transaction::commit_staged() {
  for (const Write* write : noted_changes_) impl_.note_change(impl_.slots[write->slot], write->hashed());
  if (flushed_ != 0) impl_.changed_keys.add_all();
  end_records();
  if (shows_in_parts()) stage_changing(false);
  impl_.redo.commit();
}

// REQUIRES: committed, nothing locked.
void Keyspace::Transaction::tell_expired() {
  for (const Write* write : noted_expired_) impl_.note_removed(write->hashed(), false);
}

// REQUIRES: not open, nothing locked.
void Keyspace::Transaction::remove_expired() {
  for (const RemovedKey& found : found_expired_) impl_.remove_expired({found.bytes, found.slot, found.hash});
  found_expired_ = {};
}

// Who reads one key of it after the other must not see the first changed and the second not yet; nor a key
// that was flushed and is about to be set.
bool Keyspace::Transaction::shows_in_parts() const {
  return write_count_ > 1 || (flushed_ != 0 && (write_count_ > 0 || !flushes_all()));
}

// Whatever is there goes: by one word, as in FLUSH.
bool Keyspace::Transaction::flushes_all() const {
  return (open_databases_ & ~std::uint64_t{flushed_}) == 0 && !impl_.journal.is_on();
}

// As database_change.h does it, but as a part of one list.
void Keyspace::Transaction::stage_flush_of_databases() {
  RedoList& redo = impl_.redo;
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (!is_flushed(database)) continue;
    Word& count = impl_.header.database_changes[database.value];
    redo.stage(count, count.load(kRelaxed) + 1);
  }
  const std::uint64_t stale = DatabaseChanges::stale_generation(impl_.header);
  each_slot_only_flushed([&](Slot& slot) {
    record_flush(impl_.slot_id(slot));
    impl_.journal.end_slot();
    redo.stage(slot.generation, stale);
    redo.stage(slot.version, slot.version.load(kRelaxed) + 1);
  });
}

void Keyspace::Transaction::stage_slots() {
  noted_changes_.clear();
  noted_expired_.clear();
  each_slot([&](std::size_t begin, std::size_t end, const Slot&) {
    stage_slot(begin, end);
    return true;
  });
}

// Where the entry of a put is, or goes.
Offset Keyspace::Transaction::block_for(const Write& write) const {
  const auto index = static_cast<std::size_t>(&write - writes_.data());
  return commits_briefly_ ? blocks_[index] : reserved_[assigned_[index]].entry_offset;
}

// Nothing leads to this entry any more.
void Keyspace::Transaction::leave_block(Offset entry_offset) {
  if (commits_briefly_) {
    const PageInfo page = impl_.arena.info(impl_.arena.page_of(entry_offset));
    freed_.push_back({page.kind() == 0 ? Arena::kNoClass : page.size_class(), entry_offset});
  } else {
    impl_.redo.stage(impl_.arena.transaction_area()->block(next_place_++),
                     impl_.arena.block_word(entry_offset));
  }
}

void Keyspace::Transaction::stage_changing(bool is_changing) {
  const auto stage = [&](Slot& slot) {
    const std::uint64_t others = slot.marks.load(kRelaxed) & ~Slot::kChanging;
    impl_.redo.stage(slot.marks, others | (is_changing ? Slot::kChanging : 0));
  };
  each_slot([&](std::size_t, std::size_t, Slot& slot) { return stage(slot), true; });
  each_slot_only_flushed(stage);
}

void Keyspace::Transaction::stage_slot(std::size_t begin, std::size_t end) {
  RedoList& redo = impl_.redo;
  Slot& slot = impl_.slots[writes_[order_[begin]].slot];
  const Extent table{slot.table.load(kRelaxed)};
  SlotChange change(redo, slot);
  staged_cells_.clear();
  changed_cells_.clear();
  cells_cleared_ = is_flushed(impl_.slot_id(slot));
  if (cells_cleared_) {
    record_flush(impl_.slot_id(slot));
    stage_flush_of(table);
    change.count_none();
  }
  for (std::size_t i = begin; i < end; ++i) {
    const Write& write = writes_[order_[i]];
    if (write.is_put) {
      stage_put(write, table, &change);
    } else if (!cells_cleared_) {
      stage_erase(write, table, &change);
    }
  }
  impl_.journal.end_slot();
  for (Word* cell : changed_cells_) change.set(*cell, *staged_cells_.find(key_of(*cell)));
  if (cells_cleared_ || !changed_cells_.empty()) change.finish();
}

// All entries of the slot go: their blocks to the area, their cells to 0.
void Keyspace::Transaction::stage_flush_of(Extent table) {
  Word* cells = table_cells(impl_.base, table);
  const std::uint64_t count = table.size() * kCellsPerLine;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t cell = cells[i].load(kRelaxed);
    if (Cell::live(cell)) leave_block(Cell::offset(cell));
  }
  for (std::uint64_t i = 0; i < count; i += 65535) {
    impl_.redo.stage_fill(cells[i], 0, std::min<std::uint64_t>(65535, count - i));
  }
}

void Keyspace::Transaction::stage_put(const Write& write, Extent table, SlotChange* change) {
  noted_changes_.push_back(&write);
  const Offset offset = block_for(write);
  const Entry entry = write.shape();
  if (!commits_briefly_)
    copy_bytes(entry.write(impl_.base + offset, write.key, write.expiry_ms), write.value);
  record_put(write, offset);
  Entry old;
  Word* cell = nullptr;
  const bool replaces =
      !cells_cleared_ && impl_.find(table, write.hashed(), &old, &cell) == Impl::Search::kHit;
  const Offset old_offset = replaces ? impl_.offset_of(old) : kNoOffset;
  const std::uint64_t weight = weight_of(entry.key_bytes, entry.value_bytes, write.expiry_ms != kNoExpiry);
  if (replaces) {
    if (old.expired(impl_.now_ms)) noted_expired_.push_back(&write);
    change->count_weight(weight_of(old), weight);
  } else {
    cell = free_cell(table_cells(impl_.base, table), table.size(), Cell::tag_of_hash(write.hash));
    change->count_new(weight, cell_value(*cell) == 0);
  }
  set_cell(*cell, impl_.fresh_cell(offset, write.hash, cell_value(*cell)));
  if (commits_briefly_) {
    if (replaces) leave_block(old_offset);
  } else {  // the old block takes the new one's place in the area
    const std::size_t place = assigned_[static_cast<std::size_t>(&write - writes_.data())];
    impl_.redo.stage(impl_.arena.transaction_area()->block(place),
                     replaces ? impl_.arena.block_word(old_offset) : 0);
  }
}

void Keyspace::Transaction::stage_erase(const Write& write, Extent table, SlotChange* change) {
  Entry old;
  Word* cell = nullptr;
  if (impl_.find(table, write.hashed(), &old, &cell) != Impl::Search::kHit) return;
  noted_changes_.push_back(&write);
  if (old.expired(impl_.now_ms)) noted_expired_.push_back(&write);
  record_erase(write, old.expired(impl_.now_ms));
  Word* cells = table_cells(impl_.base, table);
  Word* line = cells + (cell - cells) / kCellsPerLine * kCellsPerLine;
  bool has_empty = false;
  for (std::uint32_t i = 0; i < kCellsPerLine; ++i) has_empty |= cell_value(line[i]) == 0;
  set_cell(*cell, has_empty ? 0 : kTombstone);
  change->count_gone(weight_of(old), has_empty);
  leave_block(impl_.offset_of(old));
}

std::uint64_t Keyspace::Transaction::cell_value(const Word& cell) {
  if (const std::uint64_t* staged = staged_cells_.find(key_of(cell))) return *staged;
  return cells_cleared_ ? 0 : cell.load(kRelaxed);
}

void Keyspace::Transaction::set_cell(Word& cell, std::uint64_t value) {
  if (std::uint64_t* staged = staged_cells_.find(key_of(cell))) {
    *staged = value;
    return;
  }
  staged_cells_.insert(key_of(cell), value);
  changed_cells_.push_back(&cell);
}

Word* Keyspace::Transaction::free_cell(Word* cells, std::uint64_t lines, std::uint64_t tag) {
  for (std::uint64_t line = home_line(tag, lines);; line = line + 1 == lines ? 0 : line + 1) {
    for (std::uint32_t i = 0; i < kCellsPerLine; ++i) {
      Word& place = cells[line * kCellsPerLine + i];
      if (!Cell::live(cell_value(place))) return &place;
    }
  }
}

}  // namespace memento
