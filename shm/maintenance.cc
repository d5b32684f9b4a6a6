// Background work of a worker: freeing what FLUSH made unreachable, the expiry sweep, and what a record
// inherits from a dead predecessor. Each step is a transaction of its own.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

#include "shm/hash.h"
#include "shm/keyspace_impl.h"
#include "shm/plant.h"
#include "shm/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kLockFreeTries = 4;
constexpr std::uint64_t kSmallLines = 4;  // of a table; smaller ones are not made for what is left

}  // namespace

// What a predecessor in this record left between two transactions.
void Keyspace::Impl::reclaim_inherited() {
  for (const std::uint32_t role : {kHeldNewRun, kHeldNewTable, kHeldOldTable}) arena.free_held(role);
  arena.free_old_runs();
  arena.settle_all();
  arena.drain_area(UINT64_MAX);
  arena.free_held(kHeldTransaction);
  arena.free_held(kHeldMovedRun);
  if (!planted(Plant::kDrainingLeft)) arena.end_draining();
  arena.finish_evacuation();
  drain_dead_table();
}

void Keyspace::Impl::drain_dead_table() {
  if (arena.drain_dead_table()) ++rooms_made;
}

// Empties one slot of an older generation. True when there was something to free.
bool Keyspace::Impl::reclaim_slot(Slot& slot) {
  if (is_current(slot) || slot.table.load(kRelaxed) == 0) return false;
  drain_dead_table();
  {
    const SlotGuard guard(*this, slot);
    make_current(slot);
  }
  drain_dead_table();
  return true;
}

// Out of memory with flushed entries not yet freed: frees them all. True when that gave anything.
bool Keyspace::Impl::reclaim_flushed() {
  const std::uint64_t generation = header.flush_generation.load(std::memory_order_acquire);
  if (generation == reclaimed_generation) return false;
  bool any = false;
  for (std::uint32_t s = 0; s < kSlotCount; ++s) any |= reclaim_slot(slots[s]);
  reclaimed_generation = generation;
  return any;
}

// Copies the keys of a slot without its lock. False: the slot changed meanwhile.
MEMENTO_RACY bool Keyspace::Impl::gather(const Slot& slot, bool only_expired,
                                         std::vector<std::string>* keys) const {
  keys->clear();
  const std::uint64_t version = slot.version.load(std::memory_order_acquire);
  if (slot.is_changing()) return false;
  const Extent table{slot.table.load(std::memory_order_acquire)};
  if (!is_current(slot) || table.word == 0) {
    return unchanged_since(slot, version);
  }
  if (!is_committed(table.offset(), table.size() * kLineBytes)) return false;
  const Word* cells = table_cells(base, table);
  for (std::uint64_t i = 0; i < table.size() * kCellsPerLine; ++i) {
    const std::uint64_t cell = cells[i].load(std::memory_order_acquire);
    if (!Cell::live(cell)) continue;
    const std::uint64_t offset = Cell::offset(cell);
    if (!is_committed(offset, kSmallestBlockBytes)) return false;
    const Entry entry = Entry::parse(base + offset);
    if (entry.key_bytes > kKeyLimitBytes || !is_committed(offset, entry.total_bytes())) return false;
    if (entry.expired(now_ms) != only_expired) continue;
    if (!unchanged_since(slot, version)) return false;
    std::string& key = keys->emplace_back(entry.key_bytes, '\0');
    racy_copy(key.data(), entry.key(), entry.key_bytes);
  }
  return unchanged_since(slot, version);
}

std::vector<std::string> Keyspace::Impl::collect_keys(std::uint32_t number, bool only_expired) {
  std::vector<std::string> keys;
  Slot& slot = slots[number];
  for (int attempt = 0; attempt < kLockFreeTries; ++attempt) {
    if (gather(slot, only_expired, &keys)) return keys;
  }
  const SlotGuard guard(*this, slot);
  gather(slot, only_expired, &keys);
  return keys;
}

// A table that holds a quarter of what it could is made smaller. True when it was done.
bool Keyspace::Impl::shrink_slot(Slot& slot) {
  const auto lines_wanted = [](const Slot& now) {
    const std::uint64_t live = now.cells.load(kRelaxed) & 0xffffffff;
    return std::max<std::uint64_t>((live + live / 4) / (kCellsPerLine - 1) + 1, kSmallLines);
  };
  const auto is_sparse = [&](const Slot& now) {
    const Extent table{now.table.load(kRelaxed)};
    return table.size() > 2 * lines_wanted(now) &&
           (now.cells.load(kRelaxed) & 0xffffffff) * 4 < fill_limit(table.size());
  };
  return is_current(slot) && is_sparse(slot) && rebuild(slot, lines_wanted(slot), is_sparse);
}

// Removes the expired entries of a slot; how many.
std::uint64_t Keyspace::Impl::sweep_slot(std::uint32_t number) {
  Slot& slot = slots[number];
  if (slot.bytes.load(kRelaxed) >> 40 == 0) return 0;
  std::uint64_t removed = 0;
  for (const std::string& text : collect_keys(number, true)) {
    const HashedKey key{text, number, hash_in_slot(text, header.hash_seed)};
    for (Arena::ReaderWait wait; !arena.has_room_for_run();) arena.wait_for_readers(&wait);
    std::uint64_t offset = 0;
    {
      const SlotGuard guard(*this, slot);
      Entry entry;
      Word* cell = nullptr;
      const Extent table{slot.table.load(kRelaxed)};
      if (!is_current(slot) || find(table, key, &entry, &cell) != Search::kHit || !entry.expired(now_ms))
        continue;
      offset = static_cast<std::uint64_t>(entry.at - base);
      commit_erase(slot, key, table, *cell, entry);
    }
    arena.settle(offset);
    ++removed;
  }
  return removed;
}

void Keyspace::give_back() {
  impl_->reclaim_inherited();
  for (Arena::ReaderWait wait; !impl_->arena.free_old_runs();) impl_->arena.wait_for_readers(&wait);
  impl_->arena.give_back_all();
}

std::vector<std::string> Keyspace::slot_keys(std::uint32_t slot) {
  if (impl_->transaction->is_open()) impl_->transaction->note_read(slot);
  std::vector<std::string> keys = impl_->collect_keys(slot, false);
  if (impl_->transaction->is_open()) impl_->transaction->adjust_slot_keys(slot, &keys);
  return keys;
}

bool Keyspace::maintain(std::int64_t budget_us, bool expires) {
  try {
    return impl_->maintain(budget_us, expires);
  } catch (const std::bad_alloc&) {  // it goes on next time
    return false;
  }
}

bool Keyspace::Impl::maintain(std::int64_t budget_us, bool expires) {
  const std::int64_t end_ns = monotonic_time_ns() + budget_us * 1000;
  arena.free_old_runs();
  const std::uint64_t shortages = header.memory_shortages.load(kRelaxed);
  if (shortages != std::exchange(shortages_seen, shortages)) arena.give_back_blocks();
  bool found_work = false;
  for (std::uint32_t visited = 0; visited < kSlotCount; ++visited) {
    if (visited % 16 == 0 && monotonic_time_ns() >= end_ns) return found_work;
    const std::uint32_t slot = sweep_slot_next;
    sweep_slot_next = (slot + 1) % kSlotCount;
    found_work |= reclaim_slot(slots[slot]);
    found_work |= shrink_slot(slots[slot]);
    forget_watch(slots[slot]);
    const std::uint64_t expired = expires ? sweep_slot(slot) : 0;
    if (expired > 0) {
      found_work = true;
      count(Counter::kExpired, expired);
    }
  }
  return false;
}

}  // namespace memento
