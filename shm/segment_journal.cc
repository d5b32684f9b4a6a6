// Turning the journal on. See segment.h.
#include <algorithm>
#include <bit>
#include <cassert>
#include <string>

#include "shm/commit/journal_heads.h"
#include "shm/commit/journal_rings.h"
#include "shm/format/journal_record.h"
#include "shm/format/layout.h"
#include "shm/segment.h"

namespace memento {

bool Segment::commit_slot_journals(std::uint32_t database) {
  const std::uint64_t begin =
      header().slot_journals_offset + sizeof(SlotJournal) * first_slot(DatabaseId(database)).value;
  return commit_memory(begin, begin + sizeof(SlotJournal) * (kSlotCount + 1));
}

Outcome Segment::begin_journal(std::uint64_t consumers, std::uint64_t ring_bytes) {
  assert((consumers & ~kJournalConsumers) == 0 && std::has_single_bit(ring_bytes));
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (header().is_open(database) && !commit_slot_journals(database.value))
      return system_error("reserving memory for the journal in " + path_);
  }
  const std::uint64_t before = header().journal_ring_bytes.load();
  const std::uint64_t goes_on = before == ring_bytes ? header().journal.load() & kJournalConsumers : 0;
  for (std::uint32_t consumer = 0; consumer < kJournalConsumerLimit; ++consumer)
    complete_heads(*this, consumer);
  if (goes_on == 0) journal_rings().remove_all();
  header().journal_ring_bytes.store(ring_bytes);
  for (std::uint32_t i = 0; i < process_count(); ++i) {
    const bool has_ring = goes_on != 0 && journal_rings().bytes(i, ring_bytes) != nullptr;
    if (consumers != 0 && !journal_rings().make(i, ring_bytes))
      return system_error("reserving " + std::to_string(ring_bytes) + " bytes beside " + path_ +
                          " for a journal's ring");
    for (std::uint32_t consumer = 0; consumer < kJournalConsumerLimit; ++consumer) {
      if (!has_ring || (goes_on >> consumer & 1) == 0)
        process(i).journal.heads[consumer].store(process(i).journal.tail.load());
    }
  }
  header().journal.store(consumers | kJournalCounts);
  return Done{};
}

std::uint64_t Segment::change_count() {
  if (header().journal.load() == 0) return 0;
  const SlotJournal* const journals = slot_journals();
  std::uint64_t count = 0;
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (!header().is_open(database)) continue;
    const SlotId first = first_slot(database);
    for (SlotId slot = first; slot < first + (kSlotCount + 1); ++slot)
      count += number_of(journals[slot.value].position.load(std::memory_order_relaxed));
  }
  return count;
}

// Behind the last record that has something left: all are empty, but for what the journal has yet to tell.
std::uint32_t Segment::records_needed() {
  std::uint32_t count = process_count();
  const std::uint64_t journal = header().journal.load();
  const auto is_needed = [&](const ProcessRecord& record) {
    for (std::uint32_t consumer = 0; consumer < kJournalConsumerLimit; ++consumer) {
      if ((journal >> consumer & 1) != 0 &&
          record.journal.heads[consumer].load() != record.journal.tail.load())
        return true;
    }
    return std::ranges::any_of(record.held, [](const Word& held) { return held.load() != 0; });
  };
  while (count > 0 && !is_needed(process(count - 1))) --count;
  return count;
}

}  // namespace memento
