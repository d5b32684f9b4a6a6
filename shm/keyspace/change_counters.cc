// A key is marked, and told from itself as it was: the keyspace's side of change_counters.h.
#include "shm/keyspace/change_counters.h"

#include <optional>
#include <utility>

#include "shm/keyspace/keyspace_scopes.h"
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kUntilShift = 1;  // in Slot::marks, above kChanging

// Another one after each recovery: what was watched before is not counted any more.
std::uint64_t segment_name(const Header& header) {
  return header.hash_seed + header.recoveries.load(kRelaxed);
}
std::uint64_t monotonic_s() { return static_cast<std::uint64_t>(monotonic_time_ns() / 1'000'000'000); }

// REQUIRES: locked. One word, one store: whoever locks the slot from now on counts what it changes.
void watch(Slot& slot) {
  const std::uint64_t until = monotonic_s() + ChangeCounters::kWatchS + 1;
  if (slot.marks.load(kRelaxed) >> kUntilShift < until) slot.marks.store(until << kUntilShift, kRelaxed);
}

}  // namespace

// Their memory is granted with the first key that is watched. False: there is none.
bool Keyspace::Impl::grant_change_counters() {
  const std::uint64_t begin = header.change_counters_offset;
  has_change_counters =
      has_change_counters ||
      segment.commit_memory(begin, begin + ChangeCounters::bytes_for(header.change_counter_count));
  return has_change_counters;
}

std::optional<ChangeCounters::Values> Keyspace::Impl::watch_key(const HashedKey& key) {
  if (!grant_change_counters()) return std::nullopt;
  const SlotGuard guard(*this, slots[key.slot]);
  watch(slots[key.slot]);
  return change_counters.read(counted_hash(key.slot, key.hash));
}

std::optional<ChangeMark> Keyspace::mark(const HashedKey& key) {
  Impl& impl = *impl_;
  const Header& header = impl.header;
  if (!impl.grant_change_counters()) return std::nullopt;
  // What has expired is not there; were it cleared away later, that would look like a change.
  if (impl.erase_expired(key)) impl.count(Counter::kExpired, 1);
  Slot& slot = impl.slots[key.slot];
  ChangeMark mark;
  mark.segment = segment_name(header);
  mark.marked_ms = monotonic_time_ms();
  const SlotGuard guard(impl, slot);
  watch(slot);
  mark.counters = impl.change_counters.read(counted_hash(key.slot, key.hash));
  mark.version = slot.version.load(kRelaxed);
  mark.flush_generation = header.flush_generation.load(std::memory_order_acquire);
  mark.database_changes = header.database_changes[database_of(key.slot).value].load(kRelaxed);
  if (const std::optional<Entry> entry = impl.find_locked(slot, mark.flush_generation, key)) {
    mark.exists = 1;
    mark.expiry_ms = entry->expiry_ms();
  }
  return mark;
}

// Not as a read of anybody's. What has expired is there, too, until somebody clears it away.
bool Keyspace::Impl::exists(const HashedKey& key) {
  const CopyFunction ignore = [](void*, const EntryView&) {};
  const std::uint64_t hits = counter(Counter::kHits).load(kRelaxed);
  const std::uint64_t misses = counter(Counter::kMisses).load(kRelaxed);
  const TimeMs now = std::exchange(now_ms, 0);
  const bool is_there =
      transaction->is_open() ? transaction->read(key, ignore, nullptr) : read(key, ignore, nullptr);
  now_ms = now;
  counter(Counter::kHits).store(hits, kRelaxed);
  counter(Counter::kMisses).store(misses, kRelaxed);
  return is_there;
}

bool Keyspace::is_unchanged(const HashedKey& key, const ChangeMark& mark) const {
  Impl& impl = *impl_;
  Transaction& transaction = *impl.transaction;
  if (transaction.is_open()) transaction.note_read_of(key);
  if (mark.segment != segment_name(impl.header)) return false;
  const std::uint64_t database_changes =
      impl.header.database_changes[database_of(key.slot).value].load(std::memory_order_acquire);
  const bool was_all_flushed =
      impl.header.flush_generation.load(std::memory_order_acquire) != mark.flush_generation;
  const bool was_flushed = was_all_flushed || database_changes != mark.database_changes;
  if (mark.exists != 0 && was_flushed) return false;
  // SWAPDB may have brought it, and another one, or FLUSH, taken it away again: no counter tells of that.
  const std::uint32_t swaps =
      DatabaseChanges::swaps_of(database_changes) - DatabaseChanges::swaps_of(mark.database_changes);
  const bool was_changed_again =
      was_all_flushed || static_cast<std::uint32_t>(database_changes - mark.database_changes) != 1;
  if (swaps > 0 && (was_changed_again || impl.exists(key))) return false;
  if (mark.expiry_ms != kNoExpiry && mark.expiry_ms <= impl.now_ms) return false;
  if (monotonic_time_ms() - mark.marked_ms >= ChangeCounters::kWatchS * 1000) {
    return !was_flushed && impl.slots[key.slot].version.load(std::memory_order_acquire) == mark.version;
  }
  return impl.change_counters.is_unchanged(counted_hash(key.slot, key.hash), mark.counters);
}

// What nobody has watched for long is not counted any more.
void Keyspace::Impl::forget_watch(Slot& slot) {
  const auto is_over = [&] {
    const std::uint64_t until = slot.marks.load(kRelaxed) >> kUntilShift;
    return until != 0 && until < monotonic_s();
  };
  if (slot.marks.load(kRelaxed) == 0 || !is_over()) return;
  const SlotGuard guard(*this, slot);
  if (is_over()) slot.marks.store(0, kRelaxed);
}

}  // namespace memento
