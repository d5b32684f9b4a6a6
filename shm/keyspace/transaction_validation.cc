// Which slots a transaction has read and at which versions, whether these still hold, and the locks it takes
// to commit. See transaction.h.
#include <algorithm>

#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kSteadyTries = 16;

}  // namespace

// A version at which the slot is as its last change has left it, counts and all: nobody was in the middle of
// one.
std::uint64_t Keyspace::Transaction::steady_version(SlotId number) {
  Slot& slot = impl_.slots[number];
  for (int attempt = 0; attempt < kSteadyTries; ++attempt) {
    const std::uint64_t version = slot.version.load(std::memory_order_acquire);
    const bool is_free = (slot.lock.word.load(std::memory_order_acquire) & ~FUTEX_WAITERS) == 0;
    if (is_free && impl_.unchanged_since(slot, version)) return version;
  }
  const LockGuard guard(impl_.owner, slot.lock);  // waits for its holder, or repairs what it has left
  return slot.version.load(kRelaxed);
}

void Keyspace::Transaction::note_read(SlotId slot) {
  if (is_locked_) {
    has_strayed_ |= !is_whole_ && !std::ranges::binary_search(locking_, slot);
  } else {
    note(slot, false);
  }
}

void Keyspace::Transaction::note_read_of(const HashedKey& key) {
  if (is_locked_ || !notes_keys_) return note_read(key.slot);
  const std::uint64_t hash = counted_hash(key.slot, key.hash);
  if (read_index_.find(hash) != nullptr) return;
  const auto counters = impl_.watch_key(key);
  note(key.slot, counters.has_value());
  if (!counters) return;
  if (read_index_.is_full()) {
    read_index_.prepare(4 * read_keys_.size());
    for (std::size_t i = 0; i < read_keys_.size(); ++i) read_index_.insert(read_keys_[i].counted_hash, i);
  }
  read_keys_.push_back({key.slot, hash, *counters});
  read_index_.insert(hash, read_keys_.size() - 1);
}

void Keyspace::Transaction::note(SlotId slot, bool by_keys) {
  if (!noted_slots_.has(slot)) {
    noted_.push_back({slot, steady_version(slot)});
    noted_slots_.add(slot);
  }
  if (!by_keys) read_slots_.add(slot);
}

void Keyspace::Transaction::note_read_of_all() {
  Impl::each_slot_of(impl_.database, [this](SlotId slot) { note_read(slot); });
}

bool Keyspace::Transaction::versions_hold_locked() const {
  if (noted_.empty()) return true;
  if (impl_.whole_changes() != whole_changes_) return false;
  bool holds = true;
  bool have_moved = false;
  for (const Noted& noted : noted_) {
    if (impl_.slots[noted.slot].version.load(kRelaxed) == noted.version) continue;
    holds = holds && !read_slots_.has(noted.slot);
    moved_slots_.add(noted.slot);
    have_moved = true;
  }
  if (!have_moved) return true;
  holds = holds && std::ranges::all_of(read_keys_, [&](const ReadKey& key) {
            return !moved_slots_.has(key.slot) ||
                   impl_.change_counters.is_unchanged(key.counted_hash, key.counters);
          });
  for (const Noted& noted : noted_) moved_slots_.remove(noted.slot);
  return holds;
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
  flushed_ = 0;
  choose_locks();
  lock_all();
  const bool holds = versions_hold_locked();
  unlock_all();
  return holds;
}

// This process itself has counted the slot's version up by one, without a change to any key.
void Keyspace::Transaction::follow(SlotId slot, std::uint64_t before) {
  const auto noted = std::ranges::lower_bound(noted_, slot, {}, &Noted::slot);
  if (noted != noted_.end() && noted->slot == slot && noted->version == before) ++noted->version;
}

// Those of the slots that the body has read or written.
void Keyspace::Transaction::choose_locks() {
  locking_.clear();
  for (const Noted& noted : noted_) locking_.push_back(noted.slot);
  for (std::size_t i = 0; i < write_count_; ++i) locking_.push_back(writes_[i].slot);
  std::ranges::sort(locking_);
  locking_.erase(std::unique(locking_.begin(), locking_.end()), locking_.end());
  is_whole_ = flushed_ != 0 || locking_.size() > kSlotLockLimit;
}

// A run under locks will need the slots that this one has come to.
void Keyspace::Transaction::learn_slots() {
  const std::size_t known = slots_.size();
  const auto learn = [&](SlotId slot) {
    if (!std::binary_search(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(known), slot))
      slots_.push_back(slot);
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
  if (is_whole_) return impl_.lock_gate();
  for (;;) {
    for (const SlotId slot : locking_) owner.lock(impl_.slots[slot].lock);
    if (header.exclusive.load(std::memory_order_acquire) == 0) return;
    unlock_all();
    impl_.pass_gate();
  }
}

void Keyspace::Transaction::unlock_all() {
  if (is_whole_) return impl_.unlock_gate();
  for (std::size_t i = locking_.size(); i-- > 0;) impl_.owner.unlock(impl_.slots[locking_[i]].lock);
}

}  // namespace memento
