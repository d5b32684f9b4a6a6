// See database_change.h.
#include "shm/commit/database_change.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "shm/commit/plant.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kOneSwap = (1ull << 32) + 1;  // of Header::database_changes
constexpr std::uint32_t kSlotsOfOneList = 128;
constexpr std::uint32_t kWordsOfOneSlot = 14;
constexpr std::uint64_t kMostBytesOfOneList =
    JournalWriter::group_bytes(kSlotsOfOneList * record_bytes(0, 2 * sizeof(Word)));
constexpr unsigned kRoomWaitUs = 1000;
static_assert(kSlotsOfOneList * kWordsOfOneSlot + 4 < kRedoLimit && kSlotCount % kSlotsOfOneList == 0);

}  // namespace

DatabaseChanges::Change DatabaseChanges::Change::of_word(std::uint64_t word) {
  return {static_cast<Kind>(word & 255), static_cast<Phase>(word >> 8 & 255),
          DatabaseId(static_cast<std::uint32_t>(word >> 16 & 255)),
          DatabaseId(static_cast<std::uint32_t>(word >> 24 & 255)), static_cast<std::uint32_t>(word >> 32)};
}

std::uint64_t DatabaseChanges::Change::word() const {
  return static_cast<std::uint64_t>(kind) | static_cast<std::uint64_t>(phase) << 8 |
         static_cast<std::uint64_t>(one.value) << 16 | static_cast<std::uint64_t>(other.value) << 24 |
         static_cast<std::uint64_t>(next_slot) << 32;
}

bool DatabaseChanges::is_begin(std::uint64_t word) {
  const Change change = Change::of_word(word);
  const bool is_kind = change.kind >= Kind::kFlush && change.kind <= Kind::kFlushAll;
  return is_kind && change.phase == Phase::kMarking && change.one < kDatabaseEnd &&
         change.other < kDatabaseEnd && (change.kind == Kind::kSwap) == (change.one != change.other) &&
         change.next_slot == 0;
}

std::uint64_t DatabaseChanges::word_behind(std::uint64_t word, SlotId done) {
  Change change = Change::of_word(word);
  const std::uint32_t database = change.kind == Kind::kFlushAll ? database_of(done).value : 0;
  const std::uint32_t place = database * kSlotCount + hash_slot(done).value;
  change.next_slot = std::max(change.next_slot, (place / kSlotsOfOneList + 1) * kSlotsOfOneList);
  return change.word();
}

template <class Visit>
void DatabaseChanges::each_database(const Change& change, Visit&& visit) const {
  if (change.kind != Kind::kFlushAll) {
    visit(change.one);
    if (change.other != change.one) visit(change.other);
    return;
  }
  for (DatabaseId database; database < kDatabaseEnd; ++database) {
    if (header_.is_open(database)) visit(database);
  }
}

bool DatabaseChanges::has_room(std::uint32_t database_count) const {
  constexpr std::uint64_t kPieces = kSlotCount / kSlotsOfOneList;
  const std::uint64_t one_database =
      kSlotCount * record_bytes(0, 2 * sizeof(Word)) + kPieces * JournalWriter::group_bytes(0);
  return journal_.has_spare_room(database_count * one_database + 4 * record_bytes(0, sizeof(Word)));
}

void DatabaseChanges::begin(Kind kind, DatabaseId one, DatabaseId other) {
  assert(header_.database_change.load(kRelaxed) == 0 && (kind == Kind::kSwap) == (one != other));
  note(Change{kind, Phase::kMarking, one, other, 0}.word());
  finish();
}

void DatabaseChanges::note(std::uint64_t word) {
  if (!journal_.writes_records()) {
    header_.database_change.store(word, std::memory_order_release);
    return;
  }
  while (!journal_.has_spare_room(record_bytes(0, sizeof word))) usleep(kRoomWaitUs);
  journal_.stage_event(word);
  redo_.stage(header_.database_change, word);
  redo_.commit();
}

void DatabaseChanges::finish() {
  const std::uint64_t word = header_.database_change.load(std::memory_order_acquire);
  if (word == 0) [[likely]]
    return;
  assert(redo_.size() == 0);
  // Who finishes what a dead process has begun may not have written a record yet.
  while (!journal_.make_ring()) usleep(kRoomWaitUs);
  Change change = Change::of_word(word);
  if (change.phase == Phase::kMarking) {
    mark(change, true);
    // Counted from here on: who sees the old count has read, or will be told to read again; who sees the new
    // one cannot read a slot before it has changed.
    change.phase = Phase::kApplying;
    count_up(change);
    redo_.stage(header_.database_change, change.word());
    redo_.commit();
  }
  if (change.phase == Phase::kApplying) {
    apply(change);
    change.phase = Phase::kUnmarking;
    header_.database_change.store(change.word(), std::memory_order_release);
  }
  mark(change, false);
  note(0);
}

bool DatabaseChanges::can_finish() {
  const std::uint64_t word = header_.database_change.load(std::memory_order_acquire);
  if (word == 0) return true;
  std::uint32_t count = 0;
  each_database(Change::of_word(word), [&](DatabaseId) { ++count; });
  return journal_.make_ring() && has_room(count);
}

void DatabaseChanges::count_up(const Change& change) {
  const std::uint64_t one_more = change.kind == Kind::kSwap ? kOneSwap : 1;
  each_database(change, [&](DatabaseId database) {
    Word& count = header_.database_changes[database.value];
    redo_.stage(count, count.load(kRelaxed) + one_more);
  });
}

void DatabaseChanges::mark(const Change& change, bool is_changing) {
  for (SlotId s; s < kSlotEnd; ++s) {
    bool has_table = false;
    each_database(change, [&](DatabaseId database) {
      has_table |= slots_[slot_in(database, s)].table.load(kRelaxed) != 0;
    });
    if (is_changing && !has_table) continue;
    each_database(change, [&](DatabaseId database) {
      Slot& slot = slots_[slot_in(database, s)];
      const std::uint64_t marks = slot.marks.load(kRelaxed);
      const std::uint64_t now = is_changing ? marks | Slot::kChanging : marks & ~Slot::kChanging;
      if (now != marks) slot.marks.store(now, std::memory_order_release);
    });
  }
}

void DatabaseChanges::apply(Change change) {
  const std::uint32_t slot_end = change.kind == Kind::kFlushAll ? kDatabaseLimit * kSlotCount : kSlotCount;
  while (change.next_slot < slot_end) {
    const DatabaseId one =
        change.kind == Kind::kFlushAll ? DatabaseId(change.next_slot / kSlotCount) : change.one;
    const std::uint32_t end = change.next_slot + kSlotsOfOneList;
    // Nobody writes to the ring meanwhile but who finishes changes, and others' rings have as much to spare.
    while (!journal_.has_spare_room(kMostBytesOfOneList)) usleep(kRoomWaitUs);
    journal_.begin_group();
    for (std::uint32_t s = change.next_slot; header_.is_open(one) && s < end; ++s) {
      const SlotId slot = slot_in(one, SlotId(s % kSlotCount));
      if (change.kind == Kind::kSwap) {
        stage_swap(slot, slot_in(change.other, slot));
      } else {
        stage_flush(slot);
      }
    }
    (void)journal_.end_group();
    change.next_slot = end;
    if (!planted(Plant::kSwapNotedLate)) redo_.stage(header_.database_change, change.word());
    redo_.commit();
    if (planted(Plant::kSwapNotedLate)) header_.database_change.store(change.word());
  }
}

void DatabaseChanges::stage_flush(SlotId id) {
  Slot& slot = slots_[id];
  if (slot.table.load(kRelaxed) == 0) return;
  if (journal_.is_on()) {
    journal_.add({id, RecordKind::kFlush});
    journal_.end_slot();
  }
  redo_.stage(slot.generation, stale_generation(header_));
  redo_.stage(slot.version, slot.version.load(kRelaxed) + 1);
}

void DatabaseChanges::stage_swap(SlotId id, SlotId other_id) {
  Slot& slot = slots_[id];
  Slot& other = slots_[other_id];
  if (slot.table.load(kRelaxed) == 0 && other.table.load(kRelaxed) == 0) return;
  if (journal_.is_on()) journal_.add_swap(id, other_id);
  for (Word Slot::*const word : {&Slot::table, &Slot::cells, &Slot::bytes, &Slot::generation}) {
    redo_.stage(slot.*word, (other.*word).load(kRelaxed));
    redo_.stage(other.*word, (slot.*word).load(kRelaxed));
  }
  for (Slot* one : {&slot, &other}) redo_.stage(one->version, one->version.load(kRelaxed) + 1);
}

}  // namespace memento
