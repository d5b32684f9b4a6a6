// Read-modify-write of short values, under the slot's lock. See keyspace_update.h.
#include "shm/keyspace/keyspace_update.h"

#include <optional>

#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

WriteStatus Keyspace::Update::run() {
  impl_.made_key = false;
  Outcome outcome = Outcome::kAgain;
  while (outcome == Outcome::kAgain) {
    impl_.make_room();
    const bool is_ready = prepared_bytes_ == 0 || prepare(prepared_bytes_);
    outcome = !is_ready ? Outcome::kOutOfMemory : is_long_ && overtaken_ < kTries ? in_steps() : under_lock();
  }
  impl_.arena.settle(freed_offset_);
  impl_.arena.free_held(kHeldNewRun);
  if (replaces_expired_) {
    impl_.note_removed(key_, false);
  } else if (has_expired_) {
    impl_.remove_expired(key_);
  }
  switch (outcome) {
    case Outcome::kJournalFull:
      throw JournalFull{};
    case Outcome::kDone:
      return WriteStatus::kDone;
    case Outcome::kOutOfMemory:
      impl_.throw_if_journal_refused();
      return WriteStatus::kOutOfMemory;
    default:
      return WriteStatus::kUnchanged;
  }
}

Keyspace::Update::Found Keyspace::Update::find() {
  Found found;
  found.is_there =
      impl_.find(Extent{slot_.table.load(kRelaxed)}, key_, &found.entry, &found.cell) == Impl::Search::kHit;
  found.is_live = found.is_there && !found.entry.expired(impl_.now_ms);
  has_expired_ = found.is_there && !found.is_live;
  found.offset = found.is_there ? impl_.offset_of(found.entry) : kNoOffset;
  return found;
}

bool Keyspace::Update::prepare(std::uint64_t bytes) { return impl_.prepare_block(bytes, &size_class_); }

Entry Keyspace::Update::shape(const Change& change, const Found& old) const {
  return Entry::shape(key_.bytes.size(), change.value_bytes(), change.expiry_ms != kNoExpiry,
                      old.is_live ? old.entry.created : impl_.created_now);
}

// REQUIRES: locked. Short values, and long ones of who was overtaken too often.
Keyspace::Update::Outcome Keyspace::Update::under_lock() {
  if (!lock(may_insert_)) return Outcome::kOutOfMemory;
  const HeldSlot held(impl_, slot_);
  const Found old = find();
  if (is_run(old) && overtaken_ < kTries) {
    is_long_ = true;
    return Outcome::kAgain;
  }
  const EntryView view = old.is_live ? view_of(old.entry, impl_.header) : EntryView{};
  Change change = decide_(context_, old.is_live ? &view : nullptr);
  if (change.action == Change::Action::kKeep || (!old.is_live && change.action != Change::Action::kReplace)) {
    return Outcome::kUnchanged;
  }
  if (!impl_.arena.has_room_for(old.offset))
    return Outcome::kAgain;  // making room for something else took it
  if (change.action == Change::Action::kErase) return commit_erase(old);
  if (change.action == Change::Action::kSetExpiry) {
    if (old.entry.has_expiry_word) return commit_expiry(old, change.expiry_ms);
    if (change.expiry_ms == kNoExpiry) return Outcome::kDone;
    change.pieces = {view.value};
    if (!reserve_) reserve_.emplace(impl_.arena);  // an expiry is set even when memory is full
  }
  const Entry entry = shape(change, old);
  const std::uint64_t needed = entry.total_bytes();
  if (needed > kLargestBlockBytes && overtaken_ < kTries) {
    is_long_ = true;
    return Outcome::kAgain;
  }
  if (!impl_.is_ready(needed, &size_class_) || (!old.is_there && !may_insert_)) {
    // What takes no more memory than it gives back is written even when memory is full.
    if (!reserve_ && old.is_there && Arena::bytes_for(needed) <= Arena::bytes_for(old.entry.total_bytes()))
      reserve_.emplace(impl_.arena);
    prepared_bytes_ = needed;
    may_insert_ = may_insert_ || !old.is_there;
    return Outcome::kAgain;
  }
  if (!impl_.journal_takes(entry, size_class_)) return Outcome::kJournalFull;
  const Offset offset = impl_.block_offset(size_class_);
  copy_pieces(entry.write(impl_.base + offset, key_.bytes, change.expiry_ms), change);
  return commit_put(old, offset);
}

// The entry at this offset, which is written, takes the old one's place.
Keyspace::Update::Outcome Keyspace::Update::commit_put(const Found& old, Offset offset) {
  Word* const cell = old.is_there
                         ? old.cell
                         : impl_.free_cell(Extent{slot_.table.load(kRelaxed)}, Cell::tag_of_hash(key_.hash));
  impl_.commit_put(slot_, key_, *cell, old.is_there ? &old.entry : nullptr, offset, size_class_);
  note_put(old);
  freed_offset_ = old.offset;
  return Outcome::kDone;
}

Keyspace::Update::Outcome Keyspace::Update::commit_erase(const Found& old) {
  if (!impl_.journal_takes(key_)) return Outcome::kJournalFull;
  impl_.commit_erase(slot_, key_, *old.cell, old.entry);
  freed_offset_ = old.offset;
  return Outcome::kDone;
}

Keyspace::Update::Outcome Keyspace::Update::commit_expiry(const Found& old, TimeMs expiry_ms) {
  if (!impl_.journal_takes(key_)) return Outcome::kJournalFull;
  if (impl_.journal.is_on()) {
    auto record = JournalWriter::of_entry(key_.slot, RecordKind::kExpire, old.entry);
    record.expiry_ms = expiry_ms;
    impl_.journal.stage(record);
  }
  SlotChange slot_change(impl_.redo, slot_);
  slot_change.set_expiry(old.entry, expiry_ms);
  slot_change.finish();
  impl_.commit_change(slot_, key_);
  return Outcome::kDone;
}

WriteStatus Keyspace::update_erased(const HashedKey& key, DecideFunction decide, void* context) {
  if (impl_->transaction->is_open()) return impl_->transaction->update(key, decide, context);
  return Update(*impl_, key, decide, context).run();
}

}  // namespace memento
