// Reads of one process, and what is counted. See keyspace.h for the contract and shm/README.md for why reads
// without a lock are safe. What nearly all reads and SETs come to is in keyspace_fast_path.cc, writes are in
// keyspace_write.cc, background work in maintenance.cc.
#include "shm/keyspace/keyspace.h"

#include <unistd.h>

#include <cassert>
#include <utility>
#include <vector>

#include "shm/keyspace/hash.h"
#include "shm/keyspace/keyspace_scopes.h"
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr int kLockFreeTries = 4;
constexpr int kSumTries = 1000;                           // between two changes to all
constexpr std::uint64_t kBytesOfSlot = (1ull << 40) - 1;  // of Slot::bytes
constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

Keyspace::Impl::Impl(Segment& segment_in, std::uint32_t process_in)
    : LockFreeReads(segment_in.header(), segment_in.base(), segment_in.process(process_in).counters.data()),
      segment(segment_in),
      process(process_in),
      record(segment_in.process(process)),
      owner(base, process, segment.master_pipe()),
      redo(base, record),
      arena(segment_in, record, owner, redo),
      journal(segment_in, process, redo),
      database_changes(base, header, redo, journal),
      ghosts(base, header),
      change_counters(base, header),
      transaction(std::make_unique<Transaction>(*this)) {
  assert(process < header.process_count);
  block_key.reserve(kKeyLimitBytes);  // nothing is allocated while a page is being emptied
  record.mailbox.answers.store(0);    // until it has clients
  record.pid.store(static_cast<std::uint32_t>(getpid()), kRelaxed);
}

Keyspace::Keyspace(Segment& segment, std::uint32_t process)
    : impl_(std::make_unique<Impl>(segment, process)),
      reads_(*impl_),
      contentions_(&impl_->owner.contentions),
      searches_(&impl_->arena.searches),
      has_removed_(&impl_->has_removed),
      changed_keys_(&impl_->changed_keys),
      hash_seed_(impl_->header.hash_seed) {
  set_now_ms(wall_time_ms());
  (void)impl_->journal.make_ring();  // else the first write does, or says why not
  impl_->reclaim_inherited();
  // A predecessor's connections ended with it.
  auto& counters = impl_->record.counters;
  counters[static_cast<std::size_t>(Counter::kConnectionsClosed)].store(
      counters[static_cast<std::size_t>(Counter::kConnectionsAccepted)].load(kRelaxed), kRelaxed);
}

Keyspace::~Keyspace() = default;

void Keyspace::set_now_ms(TimeMs now_ms) { impl_->set_now(now_ms); }
TimeMs Keyspace::now_ms() const { return impl_->now_ms; }
bool Keyspace::take_made_key() { return std::exchange(impl_->made_key, false); }

bool Keyspace::is_open(DatabaseId database) const {
  return database < kDatabaseEnd && impl_->header.is_open(database);
}

bool Keyspace::open_database(DatabaseId database) {
  assert(database < kDatabaseEnd);
  if (is_open(database)) [[likely]]
    return true;
  const std::uint64_t begin = impl_->header.slots_offset + sizeof(Slot) * first_slot(database).value;
  if (!impl_->segment.commit_memory(begin, begin + sizeof(Slot) * kSlotCount)) return false;
  if (impl_->journal.is_on() && !impl_->segment.commit_slot_journals(database.value)) return false;
  const LockGuard guard(impl_->owner, impl_->header.flush_lock);
  impl_->header.open_databases.fetch_or(1ull << database.value, std::memory_order_release);
  return true;
}

void Keyspace::change_database(DatabaseId database) {
  assert(is_open(database));
  database_ = impl_->database = database;
  first_slot_ = first_slot(database);
}

MEMENTO_RACY Keyspace::Impl::Search Keyspace::Impl::find(Extent table, const HashedKey& key, Entry* entry,
                                                         Word** cell) const {
  if (table.word == 0) return Search::kMiss;
  const std::uint64_t lines = table.size();
  if (!is_committed(table.offset(), lines * kLineBytes)) return Search::kTorn;
  Word* cells = table_cells(base, table);
  const std::uint64_t tag = Cell::tag_of_hash(key.hash);
  std::uint64_t line = home_line(tag, lines);
  for (std::uint64_t n = 0; n < lines; ++n, line = line + 1 == lines ? 0 : line + 1) {
    Word* places = cells + line * kCellsPerLine;
    const LineHints hints = look_at_line(places, tag);
    for (std::uint32_t found = hints.with_tag; found != 0; found &= found - 1) {
      Word& place = places[std::countr_zero(found)];
      const std::uint64_t value = place.load(std::memory_order_acquire);
      if (!Cell::live(value) || Cell::tag(value) != tag) continue;
      const Offset offset = Cell::offset(value);
      if (!is_committed(offset, kSmallestBlockBytes)) return Search::kTorn;
      const Entry candidate = Entry::parse(base + offset);
      if (!is_committed(offset, candidate.total_bytes())) return Search::kTorn;
      if (candidate.key_bytes != key.bytes.size() ||
          !racy_equal(candidate.key(), key.bytes.data(), candidate.key_bytes)) {
        continue;
      }
      *entry = candidate;
      *cell = &place;
      return Search::kHit;
    }
    if (has_empty_cell(places, hints)) return Search::kMiss;
  }
  return Search::kMiss;
}

bool Keyspace::Impl::read(const HashedKey& key, CopyFunction copy, void* context) {
  Slot& slot = slots[key.slot];
  for (int attempt = 0; attempt < kLockFreeTries; ++attempt) {
    const std::uint64_t version = slot.version.load(std::memory_order_acquire);
    // A transaction under way may have moved the version already, and its last words are yet to come.
    if (slot.is_changing()) continue;
    const Extent table{slot.table.load(std::memory_order_acquire)};
    const bool current = slot.generation.load(std::memory_order_acquire) ==
                         header.flush_generation.load(std::memory_order_acquire);
    Entry entry;
    Word* cell = nullptr;
    const Search search = current ? find(table, key, &entry, &cell) : Search::kMiss;
    if (search == Search::kTorn) continue;
    const bool hit = search == Search::kHit && !entry.expired(now_ms);
    if (hit) {
      // The lengths are believed only when they were read from a live entry.
      if (slot.version.load(std::memory_order_acquire) != version) continue;
      if (entry.total_bytes() > kLargestBlockBytes) break;
#if defined(__SANITIZE_THREAD__)
      std::string private_copy(entry.value_bytes, '\0');
      racy_copy(private_copy.data(), entry.value(), entry.value_bytes);
      EntryView view = view_of(entry, header);
      view.value = private_copy;
      copy(context, view);
#else
      copy(context, view_of(entry, header));
#endif
    }
    if (!unchanged_since(slot, version)) continue;
    if (hit && header.evicts.load(kRelaxed) != 0) warm(*cell, offset_of(entry), key);
    count(hit ? Counter::kHits : Counter::kMisses, 1);
    if (!hit && search == Search::kHit && tells_removed_keys(header)) [[unlikely]]
      remove_expired(key);
    return hit;
  }
  const bool hit = read_pinned(slot, key, copy, context);
  count(hit ? Counter::kHits : Counter::kMisses, 1);
  return hit;
}

// One more heat for a cell that was read. It may have changed since, or its table: then the comparison fails.
void Keyspace::Impl::warm(Word& cell, Offset offset, const HashedKey& key) {
  std::uint64_t value = cell.load(kRelaxed);
  const bool is_it =
      Cell::live(value) && Cell::offset(value) == offset && Cell::tag(value) == Cell::tag_of_hash(key.hash);
  if (!is_it || Cell::heat(value) == Cell::kHeatLimit) return;
  cell.compare_exchange_strong(value, value + Cell::kOneHeat, std::memory_order_relaxed);
}

// REQUIRES: slot locked. The entry as of that generation of FLUSH.
std::optional<Entry> Keyspace::Impl::find_locked(const Slot& slot, std::uint64_t generation,
                                                 const HashedKey& key) const {
  Entry entry;
  Word* cell = nullptr;
  if (slot.generation.load(kRelaxed) != generation ||
      find(Extent{slot.table.load(kRelaxed)}, key, &entry, &cell) != Search::kHit || entry.expired(now_ms)) {
    return std::nullopt;
  }
  return entry;
}

// Large values, and small ones in a slot that changes all the time: the entry is found under the lock; a run
// is then pinned, so that nobody frees it, and copied without the lock.
bool Keyspace::Impl::read_pinned(Slot& slot, const HashedKey& key, CopyFunction copy, void* context) {
  EntryView view;
  std::optional<Pin> pin;
  {
    const SlotGuard guard(*this, slot);
    const auto entry = find_locked(slot, header.flush_generation.load(std::memory_order_acquire), key);
    if (!entry) return false;
    view = view_of(*entry, header);
    const Offset offset = offset_of(*entry);
    if (arena.is_class_page(offset)) {
      copy(context, view);
      return true;
    }
    pin.emplace(record.pins[kReadPin], offset);
  }
  copy(context, view);
  return true;
}

// Inside a body the body's validation sees to that, and its own locks are not to be waited for.
template <class Sum>
std::uint64_t Keyspace::Impl::sum_between_changes(Sum&& sum) {
  for (int attempt = 0; attempt < kSumTries && !transaction->is_open(); ++attempt) {
    if (header.exclusive.load(std::memory_order_acquire) != 0) pass_gate();
    const std::uint64_t changes = whole_changes();
    const std::uint64_t result = sum();
#if !defined(__SANITIZE_THREAD__)  // GCC's ThreadSanitizer knows no fences
    std::atomic_thread_fence(std::memory_order_acquire);
#endif
    if (header.exclusive.load(std::memory_order_acquire) == 0 && whole_changes() == changes) return result;
  }
  return sum();
}

std::uint64_t Keyspace::key_count() const {
  Transaction& transaction = *impl_->transaction;
  if (transaction.is_open()) transaction.note_read_of_all();
  std::uint64_t sum = 0;
  if (!transaction.is_flushed(database_)) {
    sum = impl_->sum_between_changes([this] {
      std::uint64_t count = 0;
      Impl::each_slot_of(database_, [&](SlotId s) {
        if (impl_->is_current(impl_->slots[s])) count += impl_->slots[s].cells.load(kRelaxed) & 0xffffffff;
      });
      return count;
    });
  }
  return transaction.is_open() ? sum + static_cast<std::uint64_t>(transaction.key_count_change()) : sum;
}

Keyspace::ReadCounts Keyspace::read_counts() const {
  return {impl_->counter(Counter::kHits).load(kRelaxed), impl_->counter(Counter::kMisses).load(kRelaxed)};
}

void Keyspace::set_read_counts(const ReadCounts& counts) {
  impl_->counter(Counter::kHits).store(counts.hits, kRelaxed);
  impl_->counter(Counter::kMisses).store(counts.misses, kRelaxed);
}

bool Keyspace::must_stop() { return impl_->transaction->must_stop(); }
bool Keyspace::is_in_body() const { return impl_->transaction->is_open(); }
bool Keyspace::is_body_locked() const { return impl_->transaction->is_locked(); }
bool Keyspace::may_still_hold() const { return impl_->transaction->may_still_hold(); }

void Keyspace::note_versions(std::span<const HashedKey> keys, std::vector<std::uint64_t>* versions) const {
  versions->clear();
  versions->push_back(impl_->header.flush_generation.load(std::memory_order_acquire));
  for (const HashedKey& key : keys) {
    versions->push_back(impl_->slots[key.slot].version.load(std::memory_order_acquire));
  }
}

// A change to several keys holds its locks from before the first cell is stored until after the last version.
// So if something of it was read, a lock is seen held here, or else all versions are seen moved: locks first,
// then versions.
bool Keyspace::versions_hold(std::span<const HashedKey> keys,
                             const std::vector<std::uint64_t>& versions) const {
  for (const HashedKey& key : keys) {
    if ((impl_->slots[key.slot].lock.word.load(std::memory_order_acquire) & ~FUTEX_WAITERS) != 0)
      return false;
  }
  if (impl_->header.exclusive.load(std::memory_order_acquire) != 0) return false;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!impl_->unchanged_since(impl_->slots[keys[i].slot], versions[i + 1])) return false;
  }
  return impl_->header.flush_generation.load(std::memory_order_acquire) == versions[0];
}

std::uint64_t Keyspace::watch_version(const HashedKey& key) const {
  const Slot& slot = impl_->slots[key.slot];
  // A version would have to move 2^40 times between two flushes to hide one.
  return slot.version.load(std::memory_order_acquire) +
         (impl_->header.flush_generation.load(std::memory_order_acquire) << 40);
}

std::uint64_t Keyspace::expiring_key_count() const {
  return impl_->sum_between_changes([this] {
    std::uint64_t count = 0;
    Impl::each_slot_of(database_, [&](SlotId s) {
      if (impl_->is_current(impl_->slots[s])) count += impl_->slots[s].bytes.load(kRelaxed) / kOneExpiry;
    });
    return count;
  });
}

std::uint64_t Keyspace::payload_bytes() const {
  return impl_->sum_between_changes([this] {
    std::uint64_t bytes = 0;
    Impl::each_slot_of(database_, [&](SlotId s) {
      if (impl_->is_current(impl_->slots[s])) bytes += impl_->slots[s].bytes.load(kRelaxed) & kBytesOfSlot;
    });
    return bytes;
  });
}

std::uint64_t Keyspace::payload_bytes_of_all() const {
  std::uint64_t sum = 0;
  impl_->each_slot([&](SlotId s) {
    if (impl_->is_current(impl_->slots[s])) sum += impl_->slots[s].bytes.load(kRelaxed) & kBytesOfSlot;
  });
  return sum;
}

std::uint64_t Keyspace::memory_used_bytes() const { return impl_->arena.used_bytes(); }
std::uint64_t Keyspace::memory_limit_bytes() const {
  const std::uint64_t limit_bytes = impl_->header.limit_bytes.load(kRelaxed);
  return limit_bytes != 0 ? limit_bytes : impl_->header.size_bytes;
}
std::uint64_t Keyspace::memory_size_bytes() const { return impl_->header.size_bytes; }
void Keyspace::set_memory_limit(std::uint64_t bytes) {
  impl_->header.limit_bytes.store(bytes < impl_->header.size_bytes ? bytes : 0, kRelaxed);
}
void Keyspace::set_value_limit(std::uint64_t bytes) {
  impl_->header.value_limit_bytes.store(bytes, kRelaxed);
}

bool Keyspace::finds_room() {
  if (impl_->arena.has_pages(1) || evicts()) [[likely]]
    return true;
  return impl_->find_memory(1) && impl_->arena.has_pages(1);
}

// What keys have left behind is given back first.
bool Keyspace::exceeds_limit() {
  if (impl_->header.limit_bytes.load(kRelaxed) == 0 || impl_->arena.is_within_limit(0)) [[likely]]
    return false;
  if (evicts()) return false;
  (void)impl_->find_memory(1);
  return !impl_->arena.is_within_limit(0);
}

std::uint64_t Keyspace::connected_clients() const {
  const std::uint64_t closed = counter_sum(Counter::kConnectionsClosed);  // first: it never exceeds the other
  return counter_sum(Counter::kConnectionsAccepted) - closed;
}

std::uint64_t Keyspace::counter_sum(Counter counter) const {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < impl_->header.process_count; ++i) {
    sum += impl_->segment.process(i).counters[static_cast<std::size_t>(counter)].load(kRelaxed);
  }
  return sum;
}

}  // namespace memento
