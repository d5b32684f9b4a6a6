// Emptying a keyspace that a loader left half full. See recovery.h. Nothing of it counts, so that words are
// stored one by one: a process that dies in here leaves what the next one clears again.
#include <linux/futex.h>

#include <algorithm>

#include "shm/archive/recovery.h"
#include "shm/format/layout.h"
#include "shm/os/random.h"
#include "shm/segment.h"

namespace memento {
namespace {

void clear_slots(Segment& segment, DatabaseId database) {
  Header& header = segment.header();
  const SlotArray slots(segment.base() + header.slots_offset);
  SlotJournal* const journals = segment.slot_journals();
  const SlotId begin = first_slot(database);
  for (SlotId id = begin; id < begin + kSlotCount; ++id) {
    Slot& slot = slots[id];
    for (Word* word : {&slot.table, &slot.cells, &slot.bytes, &slot.marks}) word->store(0);
    slot.generation.store(header.flush_generation.load());
    slot.version.fetch_add(1);
  }
  for (SlotId id = begin; id < begin + kSlotCount + 1; ++id) {
    journals[id.value].position.store(0);
    journals[id.value].last_at.store(0);
  }
}

void clear_record(ProcessRecord& record) {
  for (Magazine& magazine : record.magazines) magazine.count.store(0);
  record.targets.count.store(0);
  record.evacuated.count.store(0);
  record.draining.store(0);
  for (Word& held : record.held) held.store(0);
}

// All pages are free, but for the evicted keys' fingerprints, which processes may have made already.
void clear_arena(char* base, Header& header) {
  auto* const units = reinterpret_cast<Word*>(base + header.unit_bitmap_offset);
  auto* const infos = reinterpret_cast<Word*>(base + header.page_infos_offset);
  const std::uint64_t page_count = header.committed_pages.load();
  for (std::uint64_t word = 0; word * 4 < page_count; ++word) units[word].store(0);
  for (std::uint64_t page = 0; page < page_count; ++page) infos[page].store(0);
  const Extent ghosts{header.ghosts.load()};
  const std::uint64_t first_unit =
      ghosts.word == 0 ? 0 : (ghosts.offset().value - header.arena_offset) / kUnitBytes;
  for (std::uint64_t unit = first_unit; unit < first_unit + ghosts.size(); ++unit)
    units[unit / 64].fetch_or(1ull << unit % 64);
  std::uint64_t free_pages = 0;
  for (std::uint64_t page = 0; page < page_count; ++page)
    free_pages += (units[page / 4].load() >> page % 4 * kUnitsPerPage & 0xffff) == 0 ? 1 : 0;
  header.used_units.store(ghosts.size());
  header.free_pages.store(free_pages);
  header.page_hint.store(0);
  for (Word& hint : header.unit_hints) hint.store(0);
  for (auto* words : {&header.open_pages[0], &header.open_pages[1], &header.class_hints, &header.main_hints})
    for (Word& word : *words) word.store(0);
}

}  // namespace

Outcome clear_for_load(Segment& segment) {
  Header& header = segment.header();
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (!header.is_open(database)) continue;
    if (!segment.commit_slot_journals(database.value))
      return system_error("reserving memory for the journal in " + segment.path());
    clear_slots(segment, database);
  }
  for (std::uint32_t i = 0; i < segment.process_count(); ++i) clear_record(segment.process(i));
  clear_arena(segment.base(), header);
  header.database_change.store(0);
  header.exclusive.store(0);
  if (header.gate_lock.word.load() == FUTEX_OWNER_DIED) header.gate_lock.word.store(0);
  // Frames of the former life do not pass for those of the next.
  header.memory_id = random_number();
  return Done{};
}

}  // namespace memento
