// See database_change.h.
#include "shm/commit/database_change.h"

#include <array>
#include <cassert>
#include <utility>

#include "shm/commit/plant.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kOneSwap = (1ull << 32) + 1;  // of Header::database_changes
constexpr std::uint32_t kSlotsOfOneList = 128;
constexpr std::uint32_t kWordsOfOneSlot = 10;
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

void DatabaseChanges::begin(Kind kind, DatabaseId one, DatabaseId other) {
  assert(header_.database_change.load(kRelaxed) == 0 && (kind == Kind::kFlush) == (one == other));
  header_.database_change.store(Change{kind, Phase::kMarking, one, other, 0}.word(),
                                std::memory_order_release);
  finish();
}

void DatabaseChanges::finish() {
  const std::uint64_t word = header_.database_change.load(std::memory_order_acquire);
  if (word == 0) [[likely]]
    return;
  assert(redo_.size() == 0);
  Change change = Change::of_word(word);
  if (change.phase == Phase::kMarking) {
    mark(change, true);
    // Counted from here on: who sees the old count has read, or will be told to read again; who sees the new
    // one cannot read a slot before it has changed.
    change.phase = Phase::kApplying;
    const std::uint64_t one_more = change.kind == Kind::kSwap ? kOneSwap : 1;
    const auto count_up = [&](DatabaseId database) {
      Word& count = header_.database_changes[database.value];
      redo_.stage(count, count.load(kRelaxed) + one_more);
    };
    count_up(change.one);
    if (change.other != change.one) count_up(change.other);
    redo_.stage(header_.database_change, change.word());
    redo_.commit();
  }
  if (change.phase == Phase::kApplying) {
    apply(change);
    change.phase = Phase::kUnmarking;
    header_.database_change.store(change.word(), std::memory_order_release);
  }
  mark(change, false);
  header_.database_change.store(0, std::memory_order_release);
}

void DatabaseChanges::mark(const Change& change, bool is_changing) {
  for (SlotId s; s < kSlotEnd; ++s) {
    Slot& one = slots_[slot_in(change.one, s)];
    Slot& other = slots_[slot_in(change.other, s)];
    if (is_changing && one.table.load(kRelaxed) == 0 && other.table.load(kRelaxed) == 0) continue;
    for (Slot* slot : {&one, &other}) {
      const std::uint64_t marks = slot->marks.load(kRelaxed);
      const std::uint64_t now = is_changing ? marks | Slot::kChanging : marks & ~Slot::kChanging;
      if (now != marks) slot->marks.store(now, std::memory_order_release);
    }
  }
}

void DatabaseChanges::apply(Change change) {
  while (change.next_slot < kSlotCount) {
    const std::uint32_t end = change.next_slot + kSlotsOfOneList;
    for (SlotId s(change.next_slot); s < SlotId(end); ++s) {
      Slot& slot = slots_[slot_in(change.one, s)];
      if (change.kind == Kind::kFlush) {
        stage_flush(slot);
      } else {
        stage_swap(slot, slots_[slot_in(change.other, s)]);
      }
    }
    change.next_slot = end;
    if (!planted(Plant::kSwapNotedLate)) redo_.stage(header_.database_change, change.word());
    redo_.commit();
    if (planted(Plant::kSwapNotedLate)) header_.database_change.store(change.word());
  }
}

void DatabaseChanges::stage_flush(Slot& slot) {
  if (slot.table.load(kRelaxed) == 0) return;
  redo_.stage(slot.generation, stale_generation(header_));
  redo_.stage(slot.version, slot.version.load(kRelaxed) + 1);
}

void DatabaseChanges::stage_swap(Slot& slot, Slot& other) {
  if (slot.table.load(kRelaxed) == 0 && other.table.load(kRelaxed) == 0) return;
  for (Word Slot::*const word : {&Slot::table, &Slot::cells, &Slot::bytes, &Slot::generation}) {
    redo_.stage(slot.*word, (other.*word).load(kRelaxed));
    redo_.stage(other.*word, (slot.*word).load(kRelaxed));
  }
  for (Slot* one : {&slot, &other}) redo_.stage(one->version, one->version.load(kRelaxed) + 1);
}

}  // namespace memento
