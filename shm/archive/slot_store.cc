// See slot_store.h.
#include "shm/archive/slot_store.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <string>

#include "shm/commit/slot_change.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kFewLines = 16;  // below, tables grow faster
constexpr std::uint64_t kHeadroomLimitBytes = 1 << 20;

void add_to(Word& word, std::uint64_t change) { word.store(word.load(kRelaxed) + change, kRelaxed); }

}  // namespace

SlotStore::SlotStore(Segment& segment, std::uint32_t process)
    : base_(segment.base()),
      header_(segment.header()),
      slots_(base_ + header_.slots_offset),
      record_(segment.process(process)),
      owner_(base_, process, segment.master_pipe()),
      redo_(base_, record_),
      arena_(segment, record_, owner_, redo_),
      exemption_(arena_) {}

void SlotStore::prefetch_table(const HashedKey& key) const {
  const Extent table{slots_[key.slot].table.load(kRelaxed)};
  const std::uint64_t line = home_line(Cell::tag_of_hash(key.hash), table.size());
  __builtin_prefetch(base_ + table.offset() + line * kLineBytes);
}

void SlotStore::prefetch_entry(const HashedKey& key) const {
  const Extent table{slots_[key.slot].table.load(kRelaxed)};
  if (table.word == 0) return;
  const std::uint64_t tag = Cell::tag_of_hash(key.hash);
  const Word* const line = table_cells(base_, table) + home_line(tag, table.size()) * kCellsPerLine;
  const std::uint32_t found = look_at_line(line, tag).with_tag;
  if (found != 0) __builtin_prefetch(base_ + Cell::offset(line[std::countr_zero(found)].load(kRelaxed)));
}

SlotStore::Place SlotStore::place_of(const HashedKey& key) const {
  const Extent table{slots_[key.slot].table.load(kRelaxed)};
  if (table.word == 0) return {};
  const std::uint64_t lines = table.size();
  Word* const cells = table_cells(base_, table);
  const std::uint64_t tag = Cell::tag_of_hash(key.hash);
  std::uint64_t line = home_line(tag, lines);
  for (std::uint64_t n = 0; n < lines; ++n, line = line + 1 == lines ? 0 : line + 1) {
    Word* const places = cells + line * kCellsPerLine;
    const LineHints hints = look_at_line(places, tag);
    for (std::uint32_t found = hints.with_tag; found != 0; found &= found - 1) {
      Word& cell = places[std::countr_zero(found)];
      const std::uint64_t value = cell.load(kRelaxed);
      if (!Cell::live(value) || Cell::tag(value) != tag) continue;
      const Entry entry = Entry::parse(base_ + Cell::offset(value));
      if (std::string_view(entry.key(), entry.key_bytes) == key.bytes) return {&cell, entry};
    }
    if (has_empty_cell(places, hints)) break;
  }
  return {};
}

std::optional<Entry> SlotStore::find(const HashedKey& key) const {
  const Place place = place_of(key);
  if (place.cell == nullptr) return std::nullopt;
  return place.entry;
}

// The reserve, too, when there is nothing else: what was there before should be there again.
template <class Allocate>
bool SlotStore::with_reserve(Allocate&& allocate) {
  if (allocate()) [[likely]]
    return true;
  if (reserve_) return false;
  reserve_.emplace(arena_);
  return allocate();
}

bool SlotStore::allocate(std::uint64_t entry_bytes, std::uint64_t spare_bytes, Offset* offset) {
  if (entry_bytes <= kLargestBlockBytes) [[likely]] {
    const std::uint32_t size_class = class_of_size(entry_bytes);
    if (!arena_.has_block(size_class) && !with_reserve([&] { return arena_.prepare(size_class); }))
      return false;
    *offset = arena_.peek(size_class);
    add_to(record_.magazines[size_class].count, ~0ull);
    return true;
  }
  if (!arena_.can_ever_hold(entry_bytes)) return false;
  const bool has_run = (spare_bytes > 0 && arena_.allocate_run(entry_bytes + spare_bytes)) ||
                       with_reserve([&] { return arena_.allocate_run(entry_bytes); });
  if (!has_run) return false;
  *offset = arena_.new_run_entry();
  arena_.held(kHeldNewRun).store(0, kRelaxed);
  return true;
}

void SlotStore::free_entry(Offset offset) {
  const PageInfo page = arena_.info(arena_.page_of(offset));
  if (page.kind() == 0) {
    const Offset run = run_of(offset);
    arena_.held(kHeldOldRun)
        .store(Extent::make(run, arena_.run_head(run).units.load(kRelaxed), Extent::kRun).word, kRelaxed);
    return arena_.free_held(kHeldOldRun);
  }
  Magazine& magazine = record_.magazines[page.size_class()];
  const std::uint64_t count = magazine.count.load(kRelaxed);
  magazine.blocks[count].store(offset.value, kRelaxed);
  magazine.count.store(count + 1, kRelaxed);
  arena_.settle(offset);
}

void SlotStore::free_table(Extent table) {
  if (table.word == 0) return;
  arena_.held(kHeldOldTable).store(table.word, kRelaxed);
  arena_.free_held(kHeldOldTable);
}

// An entry of so many bytes would get just such a block.
bool SlotStore::is_in_block_of(Offset offset, std::uint64_t entry_bytes) const {
  const PageInfo page = arena_.info(arena_.page_of(offset));
  return page.kind() != 0 && entry_bytes <= kLargestBlockBytes &&
         class_of_size(entry_bytes) == page.size_class();
}

bool SlotStore::put(const HashedKey& key, const Value& value) {
  const Entry entry =
      Entry::shape(key.bytes.size(), value.bytes.size(), value.expiry_ms != kNoExpiry, value.created);
  const Place old = place_of(key);
  Offset offset;
  const bool stays = old.cell != nullptr && is_in_block_of(offset_of(old.entry), entry.total_bytes());
  const std::uint64_t old_weight = stays ? weight_of(old.entry) : 0;
  if (stays) {
    offset = offset_of(old.entry);
  } else if (!allocate(entry.total_bytes(), 0, &offset)) {
    return false;
  }
  copy_bytes(entry.write(base_ + offset, key.bytes, value.expiry_ms), value.bytes);
  if (!stays) return link(key, old, offset);
  add_to(slots_[key.slot].bytes,
         weight_of(entry.key_bytes, entry.value_bytes, value.expiry_ms != kNoExpiry) - old_weight);
  return true;
}

// The key's cell leads to the entry at this offset, which is written, and no longer to the old one.
bool SlotStore::link(const HashedKey& key, const Place& old, Offset offset) {
  Slot& slot = slots_[key.slot];
  const std::uint64_t weight = weight_of(Entry::parse(base_ + offset));
  const std::uint64_t cell = Cell::make(offset, key.hash);
  if (old.cell != nullptr) {
    add_to(slot.bytes, weight - weight_of(old.entry));
    old.cell->store(cell, kRelaxed);
    free_entry(offset_of(old.entry));
    return true;
  }
  const std::uint64_t lines = Extent{slot.table.load(kRelaxed)}.size();
  if (slot.cells.load(kRelaxed) >> 32 >= fill_limit(lines) && !grow(slot)) return false;
  const Extent table{slot.table.load(kRelaxed)};
  Word* const cells = table_cells(base_, table);
  for (std::uint64_t line = home_line(Cell::tag_of_hash(key.hash), table.size());;
       line = line + 1 == table.size() ? 0 : line + 1) {
    for (std::uint32_t i = 0; i < kCellsPerLine; ++i) {
      Word& place = cells[line * kCellsPerLine + i];
      const std::uint64_t before = place.load(kRelaxed);
      if (Cell::live(before)) continue;
      place.store(cell, kRelaxed);
      add_to(slot.cells, 1 + (before == 0 ? kOneUsedCell : 0));
      add_to(slot.bytes, weight);
      ++entry_count_;
      return true;
    }
  }
}

// Makes room for one more entry.
bool SlotStore::grow(Slot& slot) {
  const std::uint64_t live = slot.cells.load(kRelaxed) & 0xffffffff;
  std::uint64_t lines = Extent{slot.table.load(kRelaxed)}.size();
  const bool only_tombstones = live + live / 8 + 1 < fill_limit(lines);
  if (!only_tombstones) lines += std::max<std::uint64_t>(lines / (lines < kFewLines ? 2 : 4), 1);
  return rebuild(slot, lines);
}

bool SlotStore::rebuild(Slot& slot, std::uint64_t lines) {
  if (!with_reserve([&] { return arena_.allocate_table(lines); })) return false;
  const Extent table{arena_.held(kHeldNewTable).load(kRelaxed)};
  arena_.held(kHeldNewTable).store(0, kRelaxed);
  Word* const cells = table_cells(base_, table);
  std::memset(static_cast<void*>(cells), 0, lines * kLineBytes);
  const Extent old{slot.table.load(kRelaxed)};
  const Word* const old_cells = table_cells(base_, old);
  for (std::uint64_t i = 0; i < old.size() * kCellsPerLine; ++i) {
    const std::uint64_t cell = old_cells[i].load(kRelaxed);
    if (Cell::live(cell)) place_cell(cells, lines, cell);
  }
  const std::uint64_t live = slot.cells.load(kRelaxed) & 0xffffffff;
  slot.table.store(table.word, kRelaxed);
  slot.cells.store(live | live * kOneUsedCell, kRelaxed);
  slot.generation.store(header_.flush_generation.load(kRelaxed), kRelaxed);
  free_table(old);
  return true;
}

bool SlotStore::reserve(SlotId id, std::uint64_t entries) {
  Slot& slot = slots_[id];
  std::uint64_t lines = entries / kCellsPerLine;
  while (fill_limit(lines) < entries) ++lines;
  return lines <= Extent{slot.table.load(kRelaxed)}.size() || rebuild(slot, lines);
}

void SlotStore::erase(const HashedKey& key) {
  Slot& slot = slots_[key.slot];
  const Place place = place_of(key);
  assert(place.cell != nullptr);
  Word* const cells = table_cells(base_, Extent{slot.table.load(kRelaxed)});
  Word* const line = cells + (place.cell - cells) / kCellsPerLine * kCellsPerLine;
  bool has_empty = false;
  for (std::uint32_t i = 0; i < kCellsPerLine; ++i) has_empty |= line[i].load(kRelaxed) == 0;
  place.cell->store(has_empty ? 0 : kTombstone, kRelaxed);
  add_to(slot.cells, 0 - (1 + (has_empty ? kOneUsedCell : 0)));
  add_to(slot.bytes, 0 - weight_of(place.entry));
  --entry_count_;
  free_entry(offset_of(place.entry));
}

bool SlotStore::set_expiry(const HashedKey& key, TimeMs expiry_ms) {
  const Place place = place_of(key);
  assert(place.cell != nullptr);
  const Entry& old = place.entry;
  if (old.expiry_ms() == expiry_ms) return true;
  if (old.has_expiry_word) {
    add_to(slots_[key.slot].bytes,
           weight_of(old.key_bytes, old.value_bytes, expiry_ms != kNoExpiry) - weight_of(old));
    old.expiry_word().store(Entry::word_of_expiry(expiry_ms), kRelaxed);
    return true;
  }
  const std::string value(old.value(), old.value_bytes);
  return put(key, {value, old.created, expiry_ms});
}

bool SlotStore::splice(const HashedKey& key, std::uint64_t kept, std::uint64_t tail, std::string_view added,
                       TimeMs expiry_ms) {
  const Place place = place_of(key);
  const Entry& old = place.entry;
  assert(place.cell != nullptr && kept <= tail && tail <= old.value_bytes);
  const std::uint64_t tail_bytes = old.value_bytes - tail;
  const std::uint64_t value_bytes = kept + added.size() + tail_bytes;
  const Entry entry = Entry::shape(old.key_bytes, value_bytes, expiry_ms != kNoExpiry, old.created);
  const std::uint64_t before = weight_of(old);
  if (old.extended && entry.extended && entry.total_bytes() <= arena_.capacity(offset_of(old))) {
    char* const value = const_cast<char*>(old.value());
    std::memmove(value + kept + added.size(), value + tail, tail_bytes);
    copy_bytes(value + kept, added);
    old.extension_word().store(Entry::word_of_lengths(old.key_bytes, value_bytes), kRelaxed);
    old.expiry_word().store(Entry::word_of_expiry(expiry_ms), kRelaxed);
    add_to(slots_[key.slot].bytes, weight_of(old.key_bytes, value_bytes, expiry_ms != kNoExpiry) - before);
    return true;
  }
  const bool appends = tail_bytes == 0 && kept == old.value_bytes;
  Offset offset;  // who appended has done so again
  const std::uint64_t spare_bytes = appends ? std::min(entry.total_bytes() / 8, kHeadroomLimitBytes) : 0;
  if (!allocate(entry.total_bytes(), spare_bytes, &offset)) return false;
  char* const value = entry.write(base_ + offset, key.bytes, expiry_ms);
  copy_bytes(value, {old.value(), kept});
  copy_bytes(value + kept, added);
  copy_bytes(value + kept + added.size(), {old.value() + tail, tail_bytes});
  return link(key, place, offset);
}

bool SlotStore::begin_filling(const HashedKey& key, const Value& value, std::uint64_t value_bytes,
                              Filling* filling) {
  assert(is_long(value_bytes));
  const Entry entry =
      Entry::shape(key.bytes.size(), value_bytes, value.expiry_ms != kNoExpiry, value.created);
  Offset offset;
  if (!allocate(entry.total_bytes(), 0, &offset)) return false;
  entry.write(base_ + offset, key.bytes, value.expiry_ms);
  const Offset run = run_of(offset);
  *filling = {Extent::make(run, arena_.run_head(run).units.load(kRelaxed), Extent::kRun), value_bytes, 0};
  return true;
}

void SlotStore::fill(Filling* filling, std::string_view bytes) {
  assert(bytes.size() <= filling->value_bytes - filling->filled_bytes);
  const Entry entry = Entry::parse(base_ + entry_of_run(filling->run.offset()));
  copy_bytes(const_cast<char*>(entry.value()) + filling->filled_bytes, bytes);
  filling->filled_bytes += bytes.size();
}

bool SlotStore::put(const HashedKey& key, Filling* filling) {
  assert(filling->filled_bytes == filling->value_bytes);
  const Offset offset = entry_of_run(filling->run.offset());
  *filling = {};
  return link(key, place_of(key), offset);
}

void SlotStore::drop(Filling* filling) {
  if (filling->run.word != 0) free_entry(entry_of_run(filling->run.offset()));
  *filling = {};
}

void SlotStore::empty(SlotId id) {
  Slot& slot = slots_[id];
  entry_count_ -= slot.cells.load(kRelaxed) & 0xffffffff;
  each_entry(id, [&](const Entry& entry) { free_entry(offset_of(entry)); });
  free_table(Extent{slot.table.load(kRelaxed)});
  for (Word Slot::*const word : {&Slot::table, &Slot::cells, &Slot::bytes}) (slot.*word).store(0, kRelaxed);
}

void SlotStore::swap(SlotId one_id, SlotId other_id) {
  Slot& one = slots_[one_id];
  Slot& other = slots_[other_id];
  for (Word Slot::*const word : {&Slot::table, &Slot::cells, &Slot::bytes, &Slot::generation}) {
    const std::uint64_t value = (one.*word).load(kRelaxed);
    (one.*word).store((other.*word).load(kRelaxed), kRelaxed);
    (other.*word).store(value, kRelaxed);
  }
}

}  // namespace memento
