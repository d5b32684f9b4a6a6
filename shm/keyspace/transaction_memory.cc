// The memory that a transaction's commit will take: blocks, the area that lists them, tables large enough.
// See transaction.h. It is reserved while nothing is locked; is_prepared() says under the locks whether it is
// still enough. A brief transaction (transaction_brief.cc) uses the tables' part only.
#include <algorithm>
#include <cassert>
#include <optional>

#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kKeptAreaBytes = 1 << 20;
constexpr std::size_t kRunClass = kClassLimit;
constexpr std::uint64_t kSlotWords = 8;  // marks twice, version, cells, bytes, generation; the journal's two

std::size_t pool_of(std::uint64_t bytes) {
  return bytes > kLargestBlockBytes ? kRunClass : class_of_size(bytes);
}

}  // namespace

void Keyspace::Transaction::sort_writes() {
  order_.resize(write_count_);
  for (std::size_t i = 0; i < write_count_; ++i) order_[i] = i;
  // In the order of writes within a slot.
  std::ranges::sort(order_, {}, [&](std::size_t i) { return std::pair(writes_[i].slot, i); });
}

// False: out of memory. What takes no more memory than it gives back may use what is kept for that.
bool Keyspace::Transaction::prepare_memory() {
  std::ranges::sort(noted_, {}, &Noted::slot);
  if (reserve() && ensure_tables() && reserve_journal_run()) return true;
  if (grows()) return false;
  const Arena::UseOfReserve reserve_pages(impl_.arena);
  return reserve() && ensure_tables() && reserve_journal_run();
}

bool Keyspace::Transaction::grows() {
  if (flushed_ != 0) return false;
  std::uint64_t taken_bytes = 0;
  std::uint64_t freed_bytes = 0;
  for (std::size_t i = 0; i < write_count_; ++i) {
    const Write& write = writes_[i];
    if (write.is_put && write.sets_expiry) continue;
    if (write.is_put) taken_bytes += Arena::bytes_for(write.shape().total_bytes());
    freed_bytes += impl_.capacity_of(write.hashed());
  }
  return taken_bytes > freed_bytes;
}

// REQUIRES: sorted. What the area must hold: a place for each block that a put takes or that leaves a cell,
// and the redo list: a cell and a place for each write, the slot's words, and when flushed every other
// entry's place.
Keyspace::Transaction::Needs Keyspace::Transaction::needs() const {
  Needs needs{0, 2 * write_count_ + 16};
  for (std::size_t i = 0; i < write_count_; ++i) needs.places += writes_[i].is_put ? 0 : 1;
  each_slot_only_flushed([&](const Slot&) { needs.redo_entries += kSlotWords; });
  needs.redo_entries += flushed_ != 0 ? kDatabaseLimit : 0;
  needs.redo_entries += 4;  // the journal's tail, and the run with its records
  each_slot([&](std::size_t, std::size_t, const Slot& slot) {
    const std::uint64_t flushed =
        is_flushed(impl_.slot_id(slot)) ? slot.cells.load(kRelaxed) & 0xffffffff : 0;
    const std::uint64_t table_cells = Extent{slot.table.load(kRelaxed)}.size() * kCellsPerLine;
    needs.places += flushed;
    needs.redo_entries += kSlotWords + flushed + table_cells / 65535 + 1;
    return true;
  });
  return needs;
}

// False: out of memory.
bool Keyspace::Transaction::reserve() {
  sort_writes();
  note_open_databases();
  std::array<std::size_t, kClassLimit + 1> wanted{};
  std::size_t puts = 0;
  std::uint64_t put_bytes = 0;
  for (std::size_t i = 0; i < write_count_; ++i) {
    if (!writes_[i].is_put) continue;
    ++wanted[pool_of(writes_[i].shape().total_bytes())];
    ++puts;
    put_bytes += Arena::bytes_for(writes_[i].shape().total_bytes());
  }
  const std::uint64_t group_bytes = groups_in_run() ? journal_bytes() : 0;
  if (!impl_.arena.can_ever_hold(put_bytes + longest_read_bytes_ + group_bytes))
    return false;  // before anything is evicted for it
  reserved_.reserve(reserved_.size() + puts + 1);
  for (std::size_t pool = 0; pool < wanted.size(); ++pool)
    by_class_[pool].reserve(by_class_[pool].size() + wanted[pool] + 1);
  const Needs need = needs();
  const std::uint64_t slack = need.places / 8 + 16;  // for what changes before the slots are locked
  if (!ensure_area(reserved_.size() + 2 * puts + need.places + slack, need.redo_entries + slack))
    return false;
  assigned_.resize(write_count_);
  changed_cells_.reserve(write_count_);
  noted_changes_.reserve(write_count_);
  noted_expired_.reserve(write_count_);
  staged_cells_.prepare(write_count_ + 1);
  for (std::size_t i = 0; i < write_count_; ++i) {
    if (!writes_[i].is_put) continue;
    const std::uint64_t bytes = writes_[i].shape().total_bytes();
    const std::size_t pool = pool_of(bytes);
    if (pool != kRunClass && by_class_[pool].size() < wanted[pool] && !reserve_block(bytes)) return false;
  }
  for (std::size_t lacking = 0; !assign_blocks(&lacking);) {
    if (!reserve_block(writes_[lacking].shape().total_bytes())) return false;
  }
  return true;
}

bool Keyspace::Transaction::ensure_area(std::uint64_t blocks, std::uint64_t redo_entries) {
  if (leaves_places_ && reserved_.empty() && (leaves_places_ = !impl_.arena.drain_area(UINT64_MAX)))
    throw JournalFull{};
  const TransactionArea* before = impl_.arena.transaction_area();
  if (before != nullptr && before->block_limit >= blocks && before->redo_limit >= redo_entries) return true;
  drain_places(reserved_.size());
  if (leaves_places_) throw JournalFull{};
  impl_.make_room();
  Arena& arena = impl_.arena;
  arena.free_held(kHeldNewRun);
  const std::uint64_t bytes = TransactionArea::bytes_for(blocks, redo_entries);
  if (!impl_.with_room(bytes, [&] { return arena.allocate_run(bytes); })) return false;
  const Extent run{arena.held(kHeldNewRun).load(kRelaxed)};
  auto& fresh = *reinterpret_cast<TransactionArea*>(impl_.base + run.offset());
  fresh.block_limit = blocks;
  // What the run holds beyond that is for a longer list.
  fresh.redo_limit = (run.size() * kUnitBytes - TransactionArea::bytes_for(blocks, 0)) / sizeof(RedoEntry);
  for (std::uint64_t place = 0; place < blocks; ++place) fresh.block(place).store(0, kRelaxed);
  impl_.redo.stage(arena.held(kHeldNewRun), arena.held(kHeldTransaction).load(kRelaxed));
  impl_.redo.stage(arena.held(kHeldTransaction), run.word);
  impl_.redo.commit();
  arena.free_held(kHeldNewRun);
  return true;
}

void Keyspace::Transaction::release_area() {
  if (leaves_places_) return;
  Arena& arena = impl_.arena;
  const Extent run{arena.held(kHeldTransaction).load(kRelaxed)};
  if (run.size() * kUnitBytes > kKeptAreaBytes) arena.free_held(kHeldTransaction);
}

// Takes a block of so many bytes into the area's next place. False: out of memory.
bool Keyspace::Transaction::reserve_block(std::uint64_t bytes) {
  std::uint32_t size_class = 0;
  impl_.make_room();
  if (!impl_.prepare_block(bytes, &size_class)) return false;
  Word& place = impl_.arena.transaction_area()->block(reserved_.size());
  assert(reserved_.size() < impl_.arena.transaction_area()->block_limit && place.load(kRelaxed) == 0);
  const Offset entry_offset = impl_.block_offset(size_class);
  if (size_class == Arena::kNoClass) {
    Word& held = impl_.arena.held(kHeldNewRun);
    impl_.redo.stage(place, held.load(kRelaxed));
    impl_.redo.stage(held, 0);
  } else {
    impl_.redo.stage(place, entry_offset.value);
    impl_.arena.stage_exchange(size_class, kNoOffset);
  }
  impl_.redo.commit();
  const std::size_t pool = size_class == Arena::kNoClass ? kRunClass : size_class;
  by_class_[pool].push_back(reserved_.size());
  reserved_.push_back({size_class, impl_.arena.capacity(entry_offset), entry_offset});
  return true;
}

// Gives each put one of the reserved blocks. False: `lacking` gets none.
bool Keyspace::Transaction::assign_blocks(std::size_t* lacking) {
  std::array<std::size_t, kClassLimit + 1> used{};
  for (std::size_t i = 0; i < write_count_; ++i) {
    if (!writes_[i].is_put) continue;
    const std::uint64_t bytes = writes_[i].shape().total_bytes();
    const std::size_t pool = pool_of(bytes);
    const std::vector<std::size_t>& blocks = by_class_[pool];
    std::size_t& next = used[pool];
    while (next < blocks.size() && reserved_[blocks[next]].capacity_bytes < bytes) ++next;
    if (next == blocks.size()) return *lacking = i, false;
    assigned_[i] = blocks[next++];
  }
  return true;
}

// Slots emptied by FLUSH are made current, tables made large enough. False: out of memory.
bool Keyspace::Transaction::ensure_tables() {
  return each_slot([&](std::size_t begin, std::size_t end, Slot& slot) {
    const SlotId number = writes_[order_[begin]].slot;
    if (!impl_.is_current(slot)) {
      if (!impl_.drain_dead_table()) throw JournalFull{};
      const SlotGuard guard(impl_, slot);
      const std::uint64_t before = slot.version.load(kRelaxed);
      if (!impl_.is_current(slot) && impl_.make_current(slot)) follow(number, before);
    }
    const std::uint64_t puts = put_count(begin, end);
    if (takes(slot, puts)) return true;
    if (!impl_.drain_dead_table()) throw JournalFull{};
    std::optional<std::uint64_t> before;
    const bool grew = impl_.with_room(0, [&] { return impl_.grow(slot, puts, &before); });
    if (before) follow(number, *before);
    return grew;
  });
}

std::uint64_t Keyspace::Transaction::put_count(std::size_t begin, std::size_t end) const {
  std::uint64_t count = 0;
  for (std::size_t i = begin; i < end; ++i) count += writes_[order_[i]].is_put;
  return count;
}

bool Keyspace::Transaction::takes(const Slot& slot, std::uint64_t puts) const {
  const Extent table{slot.table.load(std::memory_order_acquire)};
  const std::uint64_t used = is_flushed(impl_.slot_id(slot)) ? 0 : slot.cells.load(kRelaxed) >> 32;
  return puts == 0 || (table.word != 0 && used + puts <= fill_limit(table.size()));
}

// REQUIRES: locked. All that was prepared suffices for what the body now wants.
bool Keyspace::Transaction::is_prepared() {
  std::size_t lacking = 0;
  if (impl_.arena.transaction_area() == nullptr || assigned_.size() < write_count_) return false;
  sort_writes();  // the body may have run again; there is room for as many as are assigned
  note_open_databases();
  if (!assign_blocks(&lacking)) return false;
  const Needs need = needs();
  if (reserved_.size() + need.places > impl_.arena.transaction_area()->block_limit ||
      need.redo_entries > impl_.arena.transaction_area()->redo_limit || !has_journal_run())
    return false;
  return each_slot([&](std::size_t begin, std::size_t end, const Slot& slot) {
    return impl_.is_current(slot) && takes(slot, put_count(begin, end));
  });
}

void Keyspace::Transaction::drain_places(std::uint64_t end) {
  if (end == 0 && reserved_.empty()) return;
  leaves_places_ = !impl_.arena.drain_area(end);
  reserved_.clear();
  for (std::vector<std::size_t>& pool : by_class_) pool.clear();
  next_place_ = 0;
}

}  // namespace memento
