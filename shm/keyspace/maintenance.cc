// Background work of a worker: freeing what FLUSH made unreachable, the expiry sweep, and what a record
// inherits from a dead predecessor. Each step is a transaction of its own.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <new>
#include <utility>

#include "shm/commit/plant.h"
#include "shm/keyspace/hash.h"
#include "shm/keyspace/keyspace_scopes.h"
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kSweepKeys = 64;  // looked at or removed between two looks at the time, about
constexpr std::uint64_t kSweepBytes = 64 * 1024;
constexpr std::int64_t kRoundNs = 500'000'000;  // from the begin of one to that of the next, at least
constexpr std::uint64_t kSmallLines = 4;        // of a table; smaller ones are not made for what is left

constexpr std::uint64_t lines_wanted(std::uint64_t live) {
  return std::max<std::uint64_t>((live + live / 4) / (kCellsPerLine - 1) + 1, kSmallLines);
}

}  // namespace

// What a predecessor in this record left between two transactions.
void Keyspace::Impl::reclaim_inherited() {
  for (const std::uint32_t role : {kHeldNewRun, kHeldNewTable, kHeldOldTable}) arena.free_held(role);
  arena.free_old_runs();
  arena.settle_all();
  if (arena.drain_area(UINT64_MAX)) arena.free_held(kHeldTransaction);
  arena.free_held(kHeldMovedRun);
  if (!planted(Plant::kDrainingLeft)) arena.end_draining();
  arena.finish_evacuation();
  (void)drain_dead_table();
}

// False: it is still held, and stays so until the journal has been read.
bool Keyspace::Impl::drain_dead_table() {
  if (arena.held(kHeldDeadTable).load(kRelaxed) == 0) return true;
  ++rooms_made;
  return arena.drain_dead_table();
}

// Empties one slot of an older generation. True when there was something to free.
bool Keyspace::Impl::reclaim_slot(Slot& slot) {
  if (is_current(slot) || slot.table.load(kRelaxed) == 0) return false;
  if (!drain_dead_table()) return journal_refused = true, false;
  {
    const SlotGuard guard(*this, slot);
    make_current(slot);
  }
  (void)drain_dead_table();
  return true;
}

// Out of memory with flushed entries not yet freed: frees them all. True when that gave anything.
bool Keyspace::Impl::reclaim_flushed() {
  const std::uint64_t changes = whole_changes();
  if (changes == reclaimed_changes) return false;
  bool any = false;
  each_slot([&](SlotId s) { any |= reclaim_slot(slots[s]); });
  reclaimed_changes = changes;
  return any;
}

// Background work on the slot comes by time alone: keys that expire, and what is noted for WATCH.
bool Keyspace::Impl::will_need_work(const Slot& slot) {
  return slot.bytes.load(kRelaxed) >= kOneExpiry || slot.marks.load(kRelaxed) != 0;
}

bool Keyspace::Impl::is_sparse(const Slot& slot) {
  const Extent table{slot.table.load(kRelaxed)};
  if (table.size() <= 2 * kSmallLines) return false;
  const std::uint64_t live = slot.cells.load(kRelaxed) & 0xffffffff;
  return live * 4 < fill_limit(table.size()) && table.size() > 2 * lines_wanted(live);
}

// A table that holds a quarter of what it could is made smaller. True when it was done.
bool Keyspace::Impl::shrink_slot(Slot& slot) {
  return is_current(slot) && is_sparse(slot) &&
         rebuild(slot, lines_wanted(slot.cells.load(kRelaxed) & 0xffffffff), is_sparse);
}

// False: it is not there any more, or has another expiry.
bool Keyspace::Impl::erase_expired(const HashedKey& key) {
  if (!arena.make_place_for_run()) return false;
  Slot& slot = slots[key.slot];
  Offset offset;
  {
    const SlotGuard guard(*this, slot);
    Entry entry;
    Word* cell = nullptr;
    const Extent table{slot.table.load(kRelaxed)};
    if (!is_current(slot) || find(table, key, &entry, &cell) != Search::kHit || !entry.expired(now_ms) ||
        !journal_takes(key))
      return false;
    offset = offset_of(entry);
    commit_erase(slot, key, *cell, entry, ChangeCause::kServer);
  }
  arena.settle(offset);
  note_removed(key, false);
  return true;
}

// The sweep's way through all databases.
SlotId Keyspace::Impl::next_slot(SlotId slot) const {
  DatabaseId in = database_of(slot);
  if (hash_slot(slot) + 1 < kSlotEnd) return slot + 1;
  do {
    in = in + 1 < kDatabaseEnd ? in + 1 : DatabaseId();
  } while (!header.is_open(in));
  return first_slot(in);
}

// Removes expired entries of a slot, from a place on, which moves; how many.
std::uint64_t Keyspace::Impl::sweep_piece(SlotId slot, std::uint64_t* place) {
  const std::uint64_t begin = std::exchange(*place, kScanEnd);
  if (slots[slot].bytes.load(kRelaxed) < kOneExpiry) return 0;
  read_piece(slot, {begin, kScanEnd, kSweepKeys, kSweepBytes, true}, &swept);
  *place = swept.end;
  std::uint64_t erased = 0;
  for (std::size_t i = 0; i < swept.key_count(); ++i) {
    const HashedKey key{swept.key(i), slot, hash_in_slot(swept.key(i), header.hash_seed)};
    erased += erase_expired(key);
  }
  return erased;
}

// Rounds through the slots of a share, in all databases. True: this round is to go on right now. A round that
// is over is followed by another one half a second after its begin, so that a key is gone within a second.
bool Keyspace::Impl::sweep_share(WorkShare share, std::int64_t budget_us) {
  const std::int64_t begin_ns = monotonic_time_ns();
  if (round_slot == kRoundIsOver) {
    if (begin_ns - round_began_ns < kRoundNs) return false;
    round_began_ns = begin_ns;
    round_slot = share.index;
    round_place = 0;
  }
  constexpr std::uint32_t kEnd = kDatabaseLimit * kSlotCount;
  const std::int64_t end_ns = begin_ns + budget_us * 1000;
  std::uint64_t expired = 0;
  for (int turn = 0; round_slot < kEnd && (turn % 16 != 0 || monotonic_time_ns() < end_ns); ++turn) {
    const DatabaseId in(round_slot / kSlotCount);
    const std::uint32_t next_database = (in.value + 1) * kSlotCount + share.index;
    if (!header.is_open(in)) {
      round_slot = next_database;
      continue;
    }
    const SlotId slot = first_slot(in) + round_slot % kSlotCount;
    if (is_current(slots[slot])) expired += sweep_piece(slot, &round_place);
    if (round_place != 0 && round_place < kScanEnd) continue;
    round_place = 0;
    round_slot += share.count;
    if (round_slot / kSlotCount != in.value) round_slot = next_database;
  }
  if (expired > 0) count(Counter::kExpired, expired);
  if (round_slot < kEnd) return true;
  round_slot = kRoundIsOver;
  return false;
}

void Keyspace::Impl::note_removed(const HashedKey& key, bool is_evicted) noexcept {
  if (!tells_removed_keys(header)) return;
  has_removed = true;
  try {
    removed.keys.push_back({std::string(key.bytes), key.slot, key.hash, is_evicted});
  } catch (const std::bad_alloc&) {
    removed.is_complete = false;
  }
}

// Somebody who is told of it need not wait for the sweep. REQUIRES: nothing locked, or a body
// is running.
void Keyspace::Impl::remove_expired(const HashedKey& key) {
  if (!tells_removed_keys(header)) return;
  if (transaction->is_open()) return transaction->note_expired(key);
  if (erase_expired(key)) count(Counter::kExpired, 1);
}

Keyspace::RemovedKeys Keyspace::take_removed_keys() {
  impl_->has_removed = false;
  return std::exchange(impl_->removed, {});
}

void Keyspace::give_back() {
  impl_->reclaim_inherited();
  for (Arena::ReaderWait wait; !impl_->arena.free_old_runs();) {
    if (!impl_->arena.wait_for_readers(&wait)) break;
  }
  impl_->arena.give_back_all();
}

bool Keyspace::maintain(std::int64_t budget_us, bool expires, WorkShare share, std::int64_t rest_us) {
  try {
    return impl_->maintain(budget_us, expires, share, rest_us);
  } catch (const std::bad_alloc&) {  // it goes on next time
    return false;
  }
}

// All work on a slot but the sweep. True: there was some.
bool Keyspace::Impl::tend_slot(Slot& slot) {
  const bool was_reclaimed = reclaim_slot(slot);
  const bool worked = shrink_slot(slot) || was_reclaimed;
  forget_watch(slot);
  lap.found_any |= worked || will_need_work(slot);
  return worked;
}

bool Keyspace::Impl::maintain(std::int64_t budget_us, bool expires, WorkShare share, std::int64_t rest_us) {
  const std::int64_t begin_ns = monotonic_time_ns();
  const std::int64_t end_ns = begin_ns + budget_us * 1000;
  arena.free_old_runs();
  const std::uint64_t shortages = header.memory_shortages.load(kRelaxed);
  if (shortages != std::exchange(shortages_seen, shortages)) arena.give_back_blocks();
  const bool rests = sweep_slot_next == SlotId() && sweep_place_next == 0 &&
                     lap.rests(begin_ns - rest_us * 1000, whole_changes());
  bool found_work = false;
  std::uint64_t expired = 0;
  std::uint32_t visited = 0;
  const std::uint32_t slot_count =
      rests
          ? 0
          : kSlotCount * static_cast<std::uint32_t>(1 + std::popcount(header.open_databases.load(kRelaxed)));
  for (int turn = 0; visited < slot_count && (turn % 16 != 0 || monotonic_time_ns() < end_ns); ++turn) {
    const SlotId slot = sweep_slot_next;
    if (slot == SlotId() && sweep_place_next == 0) lap.begin(whole_changes());
    if (sweep_place_next > 0 || !is_at_rest(slots[slot])) {
      if (sweep_place_next == 0) found_work |= tend_slot(slots[slot]);
      if (expires) expired += sweep_piece(slot, &sweep_place_next);
      if (expires && sweep_place_next < kScanEnd) continue;
    }
    sweep_slot_next = next_slot(slot);
    sweep_place_next = 0;
    ++visited;
    if (sweep_slot_next != SlotId()) continue;
    lap.end(monotonic_time_ns());
    if (lap.was_idle && rest_us > 0) break;  // else the next lap would be under way, and no rest begin
  }
  if (expired > 0) count(Counter::kExpired, expired);
  const bool has_share_left = expires && tells_removed_keys(header) && sweep_share(share, budget_us);
  const bool is_over_limit = evict_above_limit(end_ns);
  return is_over_limit || has_share_left || (visited < slot_count && (found_work || expired > 0));
}

// The limit may have been lowered. True: more has to go.
bool Keyspace::Impl::evict_above_limit(std::int64_t end_ns) {
  if (header.evicts.load(kRelaxed) == 0) return false;
  while (!arena.is_within_limit(0)) {
    if (!evict()) return false;
    if (monotonic_time_ns() >= end_ns) return true;
  }
  return false;
}

}  // namespace memento
