// Running a body, its overlay, and the memory it will take. See transaction.h; what is committed is staged in
// transaction_commit.cc.
#include "shm/keyspace/transaction.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

#include "shm/keyspace/hash.h"
#include "shm/os/cpu_clock.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::size_t kSlotLockLimit = 1024;  // the kernel follows 2048 locks of a dead process
constexpr std::uint64_t kKeptAreaBytes = 1 << 20;
constexpr std::uint64_t kKeptOverlayBytes = 1 << 20;
constexpr std::size_t kRunClass = kClassLimit;
constexpr std::uint64_t kSlotWords = 6;  // marks twice, version, cells, bytes, generation
constexpr int kConflictsBeforeLocks = 2;
constexpr int kConflictLimit = 16;
constexpr int kRoundLimit = 1000;  // a round that finds its memory does not fit is one nearer to fitting
constexpr std::uint64_t kLockedLimitNs = 50'000'000;
constexpr std::uint64_t kPatienceNs = 1'000'000'000;
constexpr int kSteadyTries = 16;

std::size_t pool_of(std::uint64_t bytes) {
  return bytes > kLargestBlockBytes ? kRunClass : class_of_size(bytes);
}

}  // namespace

WriteStatus Keyspace::Transaction::run(std::span<const HashedKey> keys, bool whole_keyspace,
                                       BodyFunction body, void* context) {
  assert(!is_open_);
  WriteStatus status = WriteStatus::kOutOfMemory;
  try {
    wants_all_ = whole_keyspace;
    is_too_long_ = commits_briefly_ = false;
    slots_.clear();
    for (const HashedKey& key : keys) slots_.push_back(key.slot);
    std::ranges::sort(slots_);
    slots_.erase(std::unique(slots_.begin(), slots_.end()), slots_.end());
    status = run_until_done(body, context);
  } catch (const std::bad_alloc&) {  // of what is done without locks
    drain_places(UINT64_MAX);
  }
  end();
  return status;
}

WriteStatus Keyspace::Transaction::run_until_done(BodyFunction body, void* context) {
  // Of the runs of a body only the last one counts.
  const std::uint64_t hits = impl_.counter(Counter::kHits).load(kRelaxed);
  const std::uint64_t misses = impl_.counter(Counter::kMisses).load(kRelaxed);
  int conflicts = 0;
  const std::uint64_t begin_ticks = cpu_ticks();
  const auto is_patient = [&] {
    return conflicts < kConflictLimit &&
           (conflicts <= kConflictsBeforeLocks || ticks_to_ns(cpu_ticks() - begin_ticks) < kPatienceNs);
  };
  for (int round = 0; round < kRoundLimit && is_patient(); ++round) {
    notes_keys_ = conflicts > 0;
    if (conflicts > 0) reclaim_noted();
    impl_.counter(Counter::kHits).store(hits, kRelaxed);
    impl_.counter(Counter::kMisses).store(misses, kRelaxed);
    const bool locks = conflicts >= kConflictsBeforeLocks && ticks_to_ns(body_ticks_) < kLockedLimitNs / 2;
    switch (locks ? try_locked(body, context) : try_without_locks(body, context)) {
      case Attempt::kCommitted:
        drain_places(next_place_);
        return WriteStatus::kDone;
      case Attempt::kRefused:
        drain_places(reserved_.size());
        return WriteStatus::kUnchanged;
      case Attempt::kOutOfMemory:
        drain_places(reserved_.size());
        return WriteStatus::kOutOfMemory;
      case Attempt::kConflict:
        ++conflicts;
        break;
      case Attempt::kUnready:
        break;
    }
  }
  drain_places(reserved_.size());
  return WriteStatus::kBusy;
}

// What FLUSH has emptied looks changed when somebody frees it: done before the next run, it is not done during it.
void Keyspace::Transaction::reclaim_noted() {
  for (const Noted& noted : noted_) impl_.reclaim_slot(impl_.slots[noted.slot]);
}

Keyspace::Transaction::Attempt Keyspace::Transaction::try_without_locks(BodyFunction body, void* context) {
  generation_ = impl_.header.flush_generation.load(std::memory_order_acquire);
  const bool goes_on = run_body(body, context);
  if (ran_out_) return Attempt::kOutOfMemory;
  learn_slots();
  if (!goes_on || !has_changes()) return versions_hold() ? Attempt::kRefused : Attempt::kConflict;
  commits_briefly_ = is_brief() && prepare_briefly();
  if (!commits_briefly_ && !prepare_memory()) return versions_hold() ? Attempt::kOutOfMemory : Attempt::kConflict;
  choose_locks();
  next_place_ = reserved_.size();
  lock_all();
  Attempt result = Attempt::kConflict;
  if (versions_hold_locked()) {
    result = Attempt::kUnready;
    if (commits_briefly_) {
      if (is_prepared_briefly() && stage_briefly()) result = Attempt::kCommitted;
    } else if (is_prepared()) {
      stage_all();
      result = Attempt::kCommitted;
    }
  }
  unlock_all();
  if (result == Attempt::kCommitted && commits_briefly_) settle_briefly();
  return result;
}

Keyspace::Transaction::Attempt Keyspace::Transaction::try_locked(BodyFunction body, void* context) {
  // The last run shows what this one will need. Where that is not to be had, this one will say so.
  if (commits_briefly_ && has_changes()) (void)prepare_memory();
  is_whole_ = wants_all_ || slots_.size() > kSlotLockLimit;
  commits_briefly_ = false;
  locking_ = slots_;
  next_place_ = reserved_.size();
  lock_all();
  is_locked_ = true;
  has_strayed_ = has_overrun_ = false;
  stop_ticks_ = cpu_ticks() + static_cast<std::uint64_t>(static_cast<double>(kLockedLimitNs) * ticks_per_ns());
  generation_ = impl_.header.flush_generation.load(std::memory_order_acquire);
  const bool goes_on = run_body(body, context);
  is_locked_ = false;
  Attempt result = Attempt::kRefused;
  if (ran_out_) {
    result = Attempt::kOutOfMemory;
  } else if (has_overrun_ || has_strayed_) {
    result = Attempt::kConflict;
  } else if (goes_on && has_changes()) {
    result = Attempt::kUnready;
    if (is_prepared()) {
      result = Attempt::kCommitted;
      stage_all();
    }
  }
  unlock_all();
  learn_slots();
  if (result == Attempt::kUnready && !prepare_memory()) return Attempt::kOutOfMemory;
  return result;
}

bool Keyspace::Transaction::run_body(BodyFunction body, void* context) {
  write_count_ = 0;
  is_flushed_ = false;
  index_.prepare(16);
  noted_.clear();
  noted_slots_ = {};
  read_slots_ = {};
  if (notes_keys_) {
    read_keys_.clear();
    read_index_.prepare(16);
  }
  ran_out_ = false;
  longest_read_bytes_ = 0;
  bool goes_on = false;
  const std::uint64_t begin_ticks = cpu_ticks();
  forget_places();
  is_open_ = true;
  try {
    goes_on = body(context);
  } catch (const std::bad_alloc&) {
    ran_out_ = true;
  }
  is_open_ = false;
  body_ticks_ = cpu_ticks() - begin_ticks;
  return goes_on;
}

// What was read.

// A version at which the slot is as its last change has left it, counts and all: nobody was in the middle of one.
std::uint64_t Keyspace::Transaction::steady_version(std::uint32_t number) {
  Slot& slot = impl_.slots[number];
  for (int attempt = 0; attempt < kSteadyTries; ++attempt) {
    const std::uint64_t version = slot.version.load(std::memory_order_acquire);
    const bool is_free = (slot.lock.word.load(std::memory_order_acquire) & ~FUTEX_WAITERS) == 0;
    if (is_free && impl_.unchanged_since(slot, version)) return version;
  }
  const LockGuard guard(impl_.owner, slot.lock);  // waits for its holder, or repairs what it has left
  return slot.version.load(kRelaxed);
}

void Keyspace::Transaction::note_read(std::uint32_t slot) {
  if (is_locked_) {
    has_strayed_ |= !is_whole_ && !std::ranges::binary_search(locking_, slot);
  } else {
    note(slot, false);
  }
}

void Keyspace::Transaction::note_read_of(const HashedKey& key) {
  if (is_locked_ || !notes_keys_) return note_read(key.slot);
  if (read_index_.find(key.hash) != nullptr) return;
  const auto counters = impl_.watch_key(key);
  note(key.slot, counters.has_value());
  if (!counters) return;
  if (read_index_.is_full()) {
    read_index_.prepare(4 * read_keys_.size());
    for (std::size_t i = 0; i < read_keys_.size(); ++i) read_index_.insert(read_keys_[i].hash, i);
  }
  read_keys_.push_back({key.slot, key.hash, *counters});
  read_index_.insert(key.hash, read_keys_.size() - 1);
}

void Keyspace::Transaction::note(std::uint32_t slot, bool by_keys) {
  if (!noted_slots_.has(slot)) {
    noted_.push_back({slot, steady_version(slot)});
    noted_slots_.add(slot);
  }
  if (!by_keys) read_slots_.add(slot);
}

void Keyspace::Transaction::note_read_of_all() {
  for (std::uint32_t slot = 0; slot < kSlotCount; ++slot) note_read(slot);
}

bool Keyspace::Transaction::versions_hold_locked() const {
  if (noted_.empty()) return true;
  if (impl_.header.flush_generation.load(std::memory_order_acquire) != generation_) return false;
  SlotSet moved;
  bool have_moved = false;
  for (const Noted& noted : noted_) {
    if (impl_.slots[noted.slot].version.load(kRelaxed) == noted.version) continue;
    if (read_slots_.has(noted.slot)) return false;
    moved.add(noted.slot);
    have_moved = true;
  }
  return !have_moved || std::ranges::all_of(read_keys_, [&](const ReadKey& key) {
    return !moved.has(key.slot) || impl_.change_counters.is_unchanged(key.hash, key.counters);
  });
}

// The same while nobody is in the middle of a change. REQUIRES: nothing locked.
bool Keyspace::Transaction::versions_hold() {
  const bool is_steady = std::ranges::all_of(noted_, [&](const Noted& noted) {
    return (impl_.slots[noted.slot].lock.word.load(std::memory_order_acquire) & ~FUTEX_WAITERS) == 0;
  });
  if (is_steady && impl_.header.exclusive.load(std::memory_order_acquire) == 0) {
    std::atomic_thread_fence(std::memory_order_acquire);
    return versions_hold_locked();
  }
  write_count_ = 0;
  is_flushed_ = false;
  choose_locks();
  lock_all();
  const bool holds = versions_hold_locked();
  unlock_all();
  return holds;
}

// Locks.

// Those of the slots that the body has read or written.
void Keyspace::Transaction::choose_locks() {
  locking_.clear();
  for (const Noted& noted : noted_) locking_.push_back(noted.slot);
  for (std::size_t i = 0; i < write_count_; ++i) locking_.push_back(writes_[i].slot);
  std::ranges::sort(locking_);
  locking_.erase(std::unique(locking_.begin(), locking_.end()), locking_.end());
  is_whole_ = is_flushed_ || locking_.size() > kSlotLockLimit;
}

// A run under locks will need the slots that this one has come to.
void Keyspace::Transaction::learn_slots() {
  const std::size_t known = slots_.size();
  const auto learn = [&](std::uint32_t slot) {
    if (!std::binary_search(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(known), slot)) slots_.push_back(slot);
  };
  for (const Noted& noted : noted_) learn(noted.slot);
  for (std::size_t i = 0; i < write_count_; ++i) learn(writes_[i].slot);
  if (slots_.size() == known) return;
  std::ranges::sort(slots_);
  slots_.erase(std::unique(slots_.begin(), slots_.end()), slots_.end());
}

void Keyspace::Transaction::lock_all() {
  LockOwner& owner = impl_.owner;
  Header& header = impl_.header;
  if (is_whole_) {
    owner.lock(header.gate_lock);
    header.exclusive.store(1, std::memory_order_seq_cst);
    // Who holds one of these now has not seen `exclusive`: it is waited for.
    for (std::uint32_t s = 0; s < kSlotCount; ++s) {
      owner.lock(impl_.slots[s].lock);
      owner.unlock(impl_.slots[s].lock);
    }
    owner.lock(header.flush_lock);
    owner.unlock(header.flush_lock);
    return;
  }
  for (;;) {
    for (const std::uint32_t slot : locking_) owner.lock(impl_.slots[slot].lock);
    if (header.exclusive.load(std::memory_order_acquire) == 0) return;
    unlock_all();
    impl_.pass_gate();
  }
}

void Keyspace::Transaction::unlock_all() {
  if (is_whole_) {
    impl_.header.exclusive.store(0, std::memory_order_release);
    impl_.owner.unlock(impl_.header.gate_lock);
    return;
  }
  for (std::size_t i = locking_.size(); i-- > 0;) impl_.owner.unlock(impl_.slots[locking_[i]].lock);
}

bool Keyspace::Transaction::must_stop() {
  if (is_locked_ && cpu_ticks() >= stop_ticks_) has_overrun_ = true;
  return is_locked_ && (has_overrun_ || has_strayed_);
}

// What only a large transaction needed is given back.
void Keyspace::Transaction::end() {
  release_area();
  forget_places();
  is_flushed_ = false;
  std::size_t kept_bytes = scratch_.capacity() + built_.capacity() + writes_.capacity() * (sizeof(Write) + sizeof(std::uint64_t) * 8);
  for (std::size_t i = 0; i < write_count_; ++i) kept_bytes += writes_[i].value.capacity() + writes_[i].key.capacity();
  if (kept_bytes < kKeptOverlayBytes) return;
  writes_ = {};
  write_count_ = 0;
  index_ = {};
  order_ = {};
  reserved_ = {};
  assigned_ = {};
  by_class_ = {};
  staged_cells_ = {};
  changed_cells_ = {};
  scratch_ = {};
  noted_ = {};
  read_keys_ = {};
  read_index_ = {};
  built_ = {};
}

// The overlay.

Keyspace::Transaction::Write* Keyspace::Transaction::find(const HashedKey& key) {
  const std::uint64_t* place =
      index_.find(key.hash, [&](std::uint64_t at) { return writes_[at].key == key.bytes; });
  return place != nullptr ? &writes_[*place] : nullptr;
}

Keyspace::Transaction::Write& Keyspace::Transaction::writable(const HashedKey& key) {
  if (Write* found = find(key)) return *found;
  if (is_locked_) note_read(key.slot);
  if (write_count_ == writes_.size()) writes_.emplace_back();
  Write& write = writes_[write_count_];
  write.key.assign(key.bytes);
  write.slot = key.slot;
  write.hash = key.hash;
  if (index_.is_full()) {
    index_.prepare(4 * write_count_);
    for (std::size_t i = 0; i < write_count_; ++i) index_.insert(writes_[i].hash, i);
  }
  index_.insert(key.hash, write_count_++);
  return write;
}

bool Keyspace::Transaction::read(const HashedKey& key, CopyFunction copy, void* context) {
  if (const Write* write = find(key)) {
    if (!is_there(*write)) return false;
    copy(context, EntryView{write->value, static_cast<TimeMs>(write->created + impl_.header.time_base_ms),
                            write->expiry_ms});
    return true;
  }
  if (is_flushed_) return false;
  note_read_of(key);
  if (has_strayed_) return false;
  if (!is_locked_) {
    auto measured = [&](const EntryView& view) {
      longest_read_bytes_ = std::max(longest_read_bytes_, Arena::bytes_for(view.value.size() + key.bytes.size()));
      copy(context, view);
    };
    return impl_.read(
        key, [](void* to, const EntryView& view) { (*static_cast<decltype(measured)*>(to))(view); }, &measured);
  }
  Entry entry;
  const bool is_there = impl_.find_locked(impl_.slots[key.slot], generation_, key, &entry);
  if (is_there) copy(context, view_of(entry, impl_.header));
  impl_.count(is_there ? Counter::kHits : Counter::kMisses, 1);
  return is_there;
}

WriteStatus Keyspace::Transaction::set(const HashedKey& key, std::string_view value,
                                       const SetOptions& options) {
  bool is_there = false;
  TimeMs expiry_ms = options.expiry_ms;
  if (options.condition != SetCondition::kAlways || options.keep_expiry) {
    auto note = [&](const EntryView& view) {
      if (options.keep_expiry) expiry_ms = view.expiry_ms;
    };
    is_there = read(
        key, [](void* to, const EntryView& view) { (*static_cast<decltype(note)*>(to))(view); }, &note);
    if (is_there == (options.condition == SetCondition::kIfAbsent) &&
        options.condition != SetCondition::kAlways) {
      return WriteStatus::kUnchanged;
    }
  }
  put(key, Change{Change::Action::kReplace, {value}, expiry_ms}, now());
  return WriteStatus::kDone;
}

WriteStatus Keyspace::Transaction::update(const HashedKey& key, DecideFunction decide, void* context) {
  EntryView old;
  auto note = [&](const EntryView& view) {
    old = view;
    // Without a lock the bytes are not going to stay where they are.
    if (!is_locked_ && find(key) == nullptr) {
      scratch_.assign(view.value);
      old.value = scratch_;
    }
  };
  const bool is_there = read(
      key, [](void* to, const EntryView& view) { (*static_cast<decltype(note)*>(to))(view); }, &note);
  const Change change = decide(context, is_there ? &old : nullptr);
  return apply(key, change, is_there ? &old : nullptr);
}

WriteStatus Keyspace::Transaction::apply(const HashedKey& key, const Change& change, const EntryView* old) {
  const std::uint64_t created =
      old != nullptr ? static_cast<std::uint64_t>(old->created_ms) - impl_.header.time_base_ms : now();
  const Write* const before = find(key);
  const bool is_first = before == nullptr || before->sets_expiry;
  switch (change.action) {
    case Change::Action::kKeep:
      return WriteStatus::kUnchanged;
    case Change::Action::kErase:
      if (old == nullptr) return WriteStatus::kUnchanged;
      writable(key).is_put = false;
      return WriteStatus::kDone;
    case Change::Action::kSetExpiry:
      if (old == nullptr) return WriteStatus::kUnchanged;
      put(key, Change{Change::Action::kReplace, {old->value}, change.expiry_ms}, created);
      writable(key).sets_expiry = is_first;
      return WriteStatus::kDone;
    case Change::Action::kReplace:
      put(key, change, created);
      return WriteStatus::kDone;
  }
  return WriteStatus::kUnchanged;
}

// Pieces may point into what the key's write holds now.
void Keyspace::Transaction::put(const HashedKey& key, const Change& change, std::uint64_t created) {
  Write& write = writable(key);
  const std::uint64_t value_bytes = change.value_bytes();
  const bool is_patched = write.is_put && value_bytes == write.value.size() && patch(change, &write.value);
  if (!is_patched) {
    built_.resize(value_bytes);
    copy_pieces(built_.data(), change);
    std::swap(write.value, built_);
  }
  write.is_put = true;
  write.sets_expiry = false;
  write.expiry_ms = change.expiry_ms;
  write.created = created;
}

// Changes what is not where it was already. False: a piece comes from elsewhere in the value.
bool Keyspace::Transaction::patch(const Change& change, std::string* value) {
  const auto is_inside = [&](std::string_view piece) {
    return piece.data() != nullptr && piece.data() + piece.size() > value->data() && piece.data() < value->data() + value->size();
  };
  std::size_t position = 0;
  for (const std::string_view piece : change.pieces) {
    if (!piece.empty() && is_inside(piece) && piece.data() != value->data() + position) return false;
    position += piece.size();
  }
  char* to = value->data();
  for (const std::string_view piece : change.pieces) {
    if (piece.data() == nullptr) {
      std::memset(to, 0, piece.size());
    } else if (!piece.empty() && piece.data() != to) {
      std::memcpy(to, piece.data(), piece.size());
    }
    to += piece.size();
  }
  return true;
}

void Keyspace::Transaction::flush() {
  has_strayed_ |= is_locked_ && !is_whole_;
  write_count_ = 0;
  index_.clear();
  forget_places();
  is_flushed_ = true;
}

std::int64_t Keyspace::Transaction::key_count_change() {
  std::int64_t change = 0;
  for (std::size_t i = 0; i < write_count_; ++i) {
    const Write& write = writes_[i];
    Entry entry;
    Word* cell = nullptr;
    const Slot& slot = impl_.slots[write.slot];
    const bool is_there =
        !is_flushed_ && impl_.is_current(slot) &&
        impl_.find(Extent{slot.table.load(kRelaxed)}, write.hashed(), &entry, &cell) == Impl::Search::kHit;
    change += static_cast<int>(write.is_put) - static_cast<int>(is_there);
  }
  return change;
}

// Memory, reserved while nothing is locked.

void Keyspace::Transaction::sort_writes() {
  order_.resize(write_count_);
  for (std::size_t i = 0; i < write_count_; ++i) order_[i] = i;
  // In the order of writes within a slot.
  std::ranges::sort(order_, {}, [&](std::size_t i) { return std::pair(writes_[i].slot, i); });
}

// False: out of memory. What takes no more memory than it gives back may use what is kept for that.
bool Keyspace::Transaction::prepare_memory() {
  std::ranges::sort(noted_, {}, &Noted::slot);
  if (reserve() && ensure_tables()) return true;
  if (grows()) return false;
  const Arena::UseOfReserve reserve_pages(impl_.arena);
  return reserve() && ensure_tables();
}

bool Keyspace::Transaction::grows() {
  if (is_flushed_) return false;
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
  each_slot([&](std::size_t, std::size_t, const Slot& slot) {
    const std::uint64_t flushed = is_flushed_ ? slot.cells.load(kRelaxed) & 0xffffffff : 0;
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
  std::array<std::size_t, kClassLimit + 1> wanted{};
  std::size_t puts = 0;
  std::uint64_t put_bytes = 0;
  for (std::size_t i = 0; i < write_count_; ++i) {
    if (!writes_[i].is_put) continue;
    ++wanted[pool_of(writes_[i].shape().total_bytes())];
    ++puts;
    put_bytes += Arena::bytes_for(writes_[i].shape().total_bytes());
  }
  if (!impl_.arena.can_ever_hold(put_bytes + longest_read_bytes_)) return false;  // before anything is evicted for it
  reserved_.reserve(reserved_.size() + puts + 1);
  for (std::size_t pool = 0; pool < wanted.size(); ++pool) by_class_[pool].reserve(by_class_[pool].size() + wanted[pool] + 1);
  const Needs need = needs();
  const std::uint64_t slack = need.places / 8 + 16;  // for what changes before the slots are locked
  if (!ensure_area(reserved_.size() + 2 * puts + need.places + slack, need.redo_entries + slack))
    return false;
  assigned_.resize(write_count_);
  changed_cells_.reserve(write_count_);
  noted_changes_.reserve(write_count_);
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
  const TransactionArea* before = impl_.arena.transaction_area();
  if (before != nullptr && before->block_limit >= blocks && before->redo_limit >= redo_entries) return true;
  drain_places(reserved_.size());
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
  const std::uint64_t entry_offset = impl_.block_offset(size_class);
  if (size_class == Arena::kNoClass) {
    Word& held = impl_.arena.held(kHeldNewRun);
    impl_.redo.stage(place, held.load(kRelaxed));
    impl_.redo.stage(held, 0);
  } else {
    impl_.redo.stage(place, entry_offset);
    impl_.arena.stage_exchange(size_class, 0);
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
    const std::uint32_t number = writes_[order_[begin]].slot;
    if (!impl_.is_current(slot)) {
      impl_.drain_dead_table();
      const SlotGuard guard(impl_, slot);
      const std::uint64_t before = slot.version.load(kRelaxed);
      if (!impl_.is_current(slot) && impl_.make_current(slot)) follow(number, before);
    }
    const std::uint64_t puts = put_count(begin, end);
    if (takes(slot, puts)) return true;
    impl_.drain_dead_table();
    std::optional<std::uint64_t> before;
    const bool grew = impl_.with_room(0, [&] { return impl_.grow(slot, puts, &before); });
    if (before) follow(number, *before);
    return grew;
  });
}

// This process itself has counted the slot's version up by one, without a change to any key.
void Keyspace::Transaction::follow(std::uint32_t slot, std::uint64_t before) {
  const auto noted = std::ranges::lower_bound(noted_, slot, {}, &Noted::slot);
  if (noted != noted_.end() && noted->slot == slot && noted->version == before) ++noted->version;
}

std::uint64_t Keyspace::Transaction::put_count(std::size_t begin, std::size_t end) const {
  std::uint64_t count = 0;
  for (std::size_t i = begin; i < end; ++i) count += writes_[order_[i]].is_put;
  return count;
}

bool Keyspace::Transaction::takes(const Slot& slot, std::uint64_t puts) const {
  const Extent table{slot.table.load(std::memory_order_acquire)};
  const std::uint64_t used = is_flushed_ ? 0 : slot.cells.load(kRelaxed) >> 32;
  return puts == 0 || (table.word != 0 && used + puts <= fill_limit(table.size()));
}

// REQUIRES: locked, sorted. All that was prepared suffices for what the body now wants.
bool Keyspace::Transaction::is_prepared() {
  std::size_t lacking = 0;
  if (impl_.arena.transaction_area() == nullptr || assigned_.size() < write_count_ ||
      !assign_blocks(&lacking))
    return false;
  const Needs need = needs();
  if (reserved_.size() + need.places > impl_.arena.transaction_area()->block_limit ||
      need.redo_entries > impl_.arena.transaction_area()->redo_limit)
    return false;
  return each_slot([&](std::size_t begin, std::size_t end, const Slot& slot) {
    return impl_.is_current(slot) && takes(slot, put_count(begin, end));
  });
}

void Keyspace::Transaction::drain_places(std::uint64_t end) {
  impl_.arena.drain_area(end);
  reserved_.clear();
  for (std::vector<std::size_t>& pool : by_class_) pool.clear();
  next_place_ = 0;
}

WriteStatus Keyspace::transact_erased(std::span<const HashedKey> keys, bool whole_keyspace, BodyFunction body,
                                      void* context) {
  return impl_->transaction->run(keys, whole_keyspace, body, context);
}

}  // namespace memento
