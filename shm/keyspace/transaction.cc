// A transaction's runs: when its body is run again, under which conditions its result counts, and when it is
// given up. See transaction.h. The other parts: transaction_overlay.cc, transaction_validation.cc,
// transaction_memory.cc, transaction_commit.cc, transaction_brief.cc.
#include "shm/keyspace/transaction.h"

#include <algorithm>
#include <cassert>

#include "shm/os/cpu_clock.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kKeptOverlayBytes = 1 << 20;
constexpr int kConflictsBeforeLocks = 2;
constexpr int kConflictLimit = 16;
constexpr int kRoundLimit = 1000;  // a round that finds its memory does not fit is one nearer to fitting
constexpr std::uint64_t kLockedLimitNs = 50'000'000;
constexpr std::uint64_t kPatienceNs = 1'000'000'000;

}  // namespace

WriteStatus Keyspace::Transaction::run(std::span<const HashedKey> keys, bool whole_keyspace,
                                       BodyFunction body, void* context) {
  assert(!is_open());
  WriteStatus status = WriteStatus::kOutOfMemory;
  if (leaves_places_ && (leaves_places_ = !impl_.arena.drain_area(UINT64_MAX))) throw JournalFull{};
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
  } catch (const JournalFull&) {
    drain_places(UINT64_MAX);
    end();
    throw;
  }
  end();
  if (!found_expired_.empty()) [[unlikely]]
    remove_expired();
  if (status == WriteStatus::kOutOfMemory) impl_.throw_if_journal_refused();
  return status;
}

WriteStatus Keyspace::Transaction::run_until_done(BodyFunction body, void* context) {
  // Of the runs of a body only the last one counts.
  const std::uint64_t hits = impl_.counter(Counter::kHits).load(kRelaxed);
  const std::uint64_t misses = impl_.counter(Counter::kMisses).load(kRelaxed);
  int conflicts = 0;
  std::uint64_t begin_ticks = 0;  // of the first conflict: few see one
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
        tell_expired();
        drain_places(next_place_);
        return WriteStatus::kDone;
      case Attempt::kRefused:
        drain_places(reserved_.size());
        return WriteStatus::kUnchanged;
      case Attempt::kOutOfMemory:
        drain_places(reserved_.size());
        return WriteStatus::kOutOfMemory;
      case Attempt::kJournalFull:
        throw JournalFull{};
      case Attempt::kConflict:
        body_ticks_ = cpu_ticks() - body_begin_ticks_;
        if (conflicts++ == 0) begin_ticks = cpu_ticks();
        break;
      case Attempt::kUnready:
        break;
    }
  }
  drain_places(reserved_.size());
  return WriteStatus::kBusy;
}

// What FLUSH has emptied looks changed when somebody frees it: done before the next run, it is not done
// during it.
void Keyspace::Transaction::reclaim_noted() {
  for (const Noted& noted : noted_) impl_.reclaim_slot(impl_.slots[noted.slot]);
}

Keyspace::Transaction::Attempt Keyspace::Transaction::try_without_locks(BodyFunction body, void* context) {
  begin_reading();
  const bool goes_on = run_body(body, context);
  if (ran_out_) return Attempt::kOutOfMemory;
  learn_slots();
  if (!goes_on || !has_changes()) return versions_hold() ? Attempt::kRefused : Attempt::kConflict;
  commits_briefly_ = is_brief() && prepare_briefly();
  if (!commits_briefly_ && !prepare_memory())
    return versions_hold() ? Attempt::kOutOfMemory : Attempt::kConflict;
  choose_locks();
  next_place_ = reserved_.size();
  lock_all();
  Attempt result = Attempt::kConflict;
  if (versions_hold_locked()) {
    result = Attempt::kUnready;
    const bool is_ready = commits_briefly_ ? is_prepared_briefly() && !groups_in_run() : is_prepared();
    if (is_ready && !journal_takes()) {
      result = Attempt::kJournalFull;
    } else if (is_ready && commits_briefly_) {
      if (stage_briefly()) result = Attempt::kCommitted;
    } else if (is_ready) {
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
  stop_ticks_ =
      cpu_ticks() + static_cast<std::uint64_t>(static_cast<double>(kLockedLimitNs) * ticks_per_ns());
  begin_reading();
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
      result = journal_takes() ? Attempt::kCommitted : Attempt::kJournalFull;
      if (result == Attempt::kCommitted) stage_all();
    }
  }
  unlock_all();
  learn_slots();
  if (result == Attempt::kUnready && !prepare_memory()) return Attempt::kOutOfMemory;
  return result;
}

void Keyspace::Transaction::begin_reading() {
  whole_changes_ = impl_.whole_changes();
  generation_ = impl_.header.flush_generation.load(std::memory_order_acquire);
}

void Keyspace::Transaction::forget_noted() {
  for (const Noted& noted : noted_) {
    noted_slots_.remove(noted.slot);
    read_slots_.remove(noted.slot);
  }
  noted_.clear();
}

bool Keyspace::Transaction::run_body(BodyFunction body, void* context) {
  write_count_ = 0;
  flushed_ = 0;
  found_expired_.clear();
  index_.prepare(16);
  forget_noted();
  if (notes_keys_) {
    read_keys_.clear();
    read_index_.prepare(16);
  }
  ran_out_ = false;
  longest_read_bytes_ = 0;
  bool goes_on = false;
  body_begin_ticks_ = cpu_ticks();
  forget_places();
  impl_.in_transaction = true;
  try {
    goes_on = body(context);
  } catch (const std::bad_alloc&) {
    ran_out_ = true;
  }
  impl_.in_transaction = false;
  return goes_on;
}

bool Keyspace::Transaction::must_stop() {
  if (is_locked_ && cpu_ticks() >= stop_ticks_) has_overrun_ = true;
  return is_locked_ && (has_overrun_ || has_strayed_);
}

// What only a large transaction needed is given back.
void Keyspace::Transaction::end() {
  release_area();
  if (impl_.journal.is_on()) impl_.arena.free_held(kHeldNewRun);  // of a group that did not need it
  forget_places();
  flushed_ = 0;
  std::size_t kept_bytes = scratch_.capacity() + built_.capacity() +
                           writes_.capacity() * (sizeof(Write) + sizeof(std::uint64_t) * 8);
  for (std::size_t i = 0; i < write_count_; ++i)
    kept_bytes += writes_[i].value.capacity() + writes_[i].key.capacity();
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
  forget_noted();
  noted_ = {};
  read_keys_ = {};
  read_index_ = {};
  built_ = {};
}

WriteStatus Keyspace::transact_erased(std::span<const HashedKey> keys, bool whole_keyspace, BodyFunction body,
                                      void* context) {
  return impl_->transaction->run(keys, whole_keyspace, body, context);
}

}  // namespace memento
