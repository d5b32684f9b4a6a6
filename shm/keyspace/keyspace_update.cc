// Read-modify-write of one key. See keyspace.h for the contract.
//
// Short values are decided on and copied under the slot's lock. A long one (a run) would hold up everybody
// else who wants the slot: it is pinned under the lock, which keeps its bytes as they are, decided on and
// copied without it, and committed under it when the key is still as it was. A change that costs less than a
// copy is made in the run itself:
//
//   expiry   one word
//   patch    a part of a value whose length stays: its words go through the redo list. Who reads a run finds
//   it under
//            the lock and pins it, and what another process has pinned is not patched
//   growth   what comes behind the end goes into the room that the run has left; then one word says so
//
// Whoever is overtaken kTries times in a row keeps the lock for the whole change.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "shm/commit/plant.h"
#include "shm/keyspace/keyspace_impl.h"
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kTries = 3;
constexpr std::uint64_t kHeadroomLimitBytes = 1 << 20;
constexpr std::uint64_t kOtherRedoEntries = 16;  // beside a patch's words

constexpr std::uint64_t kWordMask = sizeof(Word) - 1;

bool is_at(std::string_view piece, std::string_view value, std::uint64_t position) {
  return piece.data() == value.data() + position && position + piece.size() <= value.size();
}

}  // namespace

struct Keyspace::Update {
 public:
  Update(Impl& impl, const HashedKey& key, DecideFunction decide, void* context)
      : impl_(impl), key_(key), slot_(impl.slots[key.slot]), decide_(decide), context_(context) {}

  WriteStatus run();

 private:
  enum class Outcome { kDone, kUnchanged, kAgain, kOutOfMemory };

  /// What the slot says of the key. REQUIRES: locked and current.
  struct Found {
    Entry entry;
    Word* cell = nullptr;
    bool is_there = false;
    bool is_live = false;  ///< there, and not expired
    Offset offset;
  };
  /// Bytes [begin, end) of the value are to change.
  struct Hull {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  class HeldSlot {
   public:
    HeldSlot(Impl& impl, Slot& slot) : impl_(impl), slot_(slot) {}
    ~HeldSlot() { impl_.owner.unlock(slot_.lock); }
    HeldSlot(const HeldSlot&) = delete;
    HeldSlot& operator=(const HeldSlot&) = delete;

   private:
    Impl& impl_;
    Slot& slot_;
  };
  bool lock(bool may_insert) { return impl_.lock_for_write(slot_, may_insert); }
  Found find();
  void note_put(const Found& old) {
    impl_.made_key = !old.is_live;
    replaces_expired_ = has_expired_;
  }
  bool is_run(const Found& found) const { return found.is_there && !impl_.arena.is_class_page(found.offset); }
  bool prepare(std::uint64_t bytes);
  Entry shape(const Change& change, const Found& old) const;

  Outcome under_lock();
  Outcome commit_erase(const Found& old);
  Outcome commit_expiry(const Found& old, TimeMs expiry_ms);

  Outcome in_steps();
  Outcome apply_in_steps(Change change, const Found& old);
  bool still_is(const Found& old, const Found& now) const;
  Outcome replace_in_steps(const Change& change, const Found& old);
  std::optional<Hull> patch_of(const Change& change, const Found& old) const;
  Outcome patch(const Change& change, const Found& old, Hull hull);
  void stage_patch(const Change& change, const Found& old, Hull hull);
  std::optional<Change> addition_of(const Change& change, const Found& old) const;
  bool grows_in_place(const Change& change, const Found& old) const;
  Outcome grow_in_place(const Change& addition, const Found& old);

  Impl& impl_;
  const HashedKey& key_;
  Slot& slot_;
  const DecideFunction decide_;
  void* const context_;

  std::optional<Arena::UseOfReserve> reserve_;
  std::uint64_t prepared_bytes_ = 0;  ///< what a block was made ready for
  std::uint32_t size_class_ = 0;      ///< of that block
  bool may_insert_ = false;
  bool is_long_ = false;
  bool has_expired_ = false;       ///< the key, when it was looked at
  bool replaces_expired_ = false;  ///< and has got a new value
  int overtaken_ = 0;
  std::uint64_t version_ = 0;  ///< of the slot, when it was looked at
  std::string copy_;           ///< of a short old value, while nothing is locked
  Offset freed_offset_;
};

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
    case Outcome::kDone:
      return WriteStatus::kDone;
    case Outcome::kOutOfMemory:
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
  const Offset offset = impl_.block_offset(size_class_);
  copy_pieces(entry.write(impl_.base + offset, key_.bytes, change.expiry_ms), change);
  Word* const cell = old.is_there
                         ? old.cell
                         : impl_.free_cell(Extent{slot_.table.load(kRelaxed)}, Cell::tag_of_hash(key_.hash));
  impl_.commit_put(slot_, key_, *cell, old.is_there ? &old.entry : nullptr, offset, size_class_);
  note_put(old);
  freed_offset_ = old.offset;
  return Outcome::kDone;
}

Keyspace::Update::Outcome Keyspace::Update::commit_erase(const Found& old) {
  impl_.commit_erase(slot_, key_, *old.cell, old.entry);
  freed_offset_ = old.offset;
  return Outcome::kDone;
}

Keyspace::Update::Outcome Keyspace::Update::commit_expiry(const Found& old, TimeMs expiry_ms) {
  SlotChange slot_change(impl_.redo, slot_);
  slot_change.set_expiry(old.entry, expiry_ms);
  slot_change.finish();
  impl_.commit_change(slot_, key_);
  return Outcome::kDone;
}

// Long values.

Keyspace::Update::Outcome Keyspace::Update::in_steps() {
  Found old;
  std::optional<Pin> pin;
  {
    lock(false);
    const HeldSlot held(impl_, slot_);
    old = find();
    version_ = slot_.version.load(kRelaxed);
    if (is_run(old)) {
      pin.emplace(impl_.record.pins[kUpdatePin], old.offset);
    } else if (old.is_live) {
      copy_.assign(old.entry.value(), old.entry.value_bytes);
    }
  }
  EntryView view = old.is_live ? view_of(old.entry, impl_.header) : EntryView{};
  if (!pin && old.is_live) view.value = copy_;
  const Change change = decide_(context_, old.is_live ? &view : nullptr);
  if (change.action == Change::Action::kKeep || (!old.is_live && change.action != Change::Action::kReplace)) {
    return Outcome::kUnchanged;
  }
  const Outcome outcome = apply_in_steps(change, old);
  if (outcome == Outcome::kAgain) ++overtaken_;
  return outcome;
}

Keyspace::Update::Outcome Keyspace::Update::apply_in_steps(Change change, const Found& old) {
  if (change.action == Change::Action::kReplace) return replace_in_steps(change, old);
  lock(false);
  const HeldSlot held(impl_, slot_);
  const Found now = find();
  if (!still_is(old, now) || !impl_.arena.has_room_for(now.offset)) return Outcome::kAgain;
  if (change.action == Change::Action::kErase) return commit_erase(now);
  if (now.entry.has_expiry_word) return commit_expiry(now, change.expiry_ms);
  is_long_ = false;  // it has become short
  return Outcome::kAgain;
}

// REQUIRES: locked. The key is as it was when it was looked at. A run is pinned: so nobody has it, or has
// changed it, if the key is still there; but it may have grown, and its expiry may have been set.
bool Keyspace::Update::still_is(const Found& old, const Found& now) const {
  if (!is_run(old)) return slot_.version.load(kRelaxed) == version_;
  return now.is_live == old.is_live && now.offset == old.offset &&
         now.entry.value_bytes == old.entry.value_bytes && now.entry.expiry_ms() == old.entry.expiry_ms();
}

Keyspace::Update::Outcome Keyspace::Update::replace_in_steps(const Change& change, const Found& old) {
  if (const std::optional<Hull> hull = patch_of(change, old)) {
    if (const Outcome outcome = patch(change, old, *hull); outcome != Outcome::kOutOfMemory) return outcome;
  }
  const std::optional<Change> addition = addition_of(change, old);
  const bool appends = addition.has_value();
  if (appends && grows_in_place(change, old)) return grow_in_place(*addition, old);

  const Entry entry = shape(change, old);
  const std::uint64_t needed = entry.total_bytes();
  const std::uint64_t old_bytes = old.is_there ? Arena::bytes_for(old.entry.total_bytes()) : 0;
  if (is_run(old) && !impl_.arena.can_ever_hold(Arena::bytes_for(needed) + old_bytes))
    return Outcome::kOutOfMemory;
  if (!reserve_ && Arena::bytes_for(needed) <= old_bytes) reserve_.emplace(impl_.arena);
  // Who appends is likely to do so again.
  const std::uint64_t headroom = appends ? std::min(needed / 8, kHeadroomLimitBytes) : 0;
  if (!(headroom > 0 && prepare(needed + headroom)) && !prepare(needed)) return Outcome::kOutOfMemory;
  const Offset offset = impl_.block_offset(size_class_);
  const std::uint64_t rooms_made = impl_.rooms_made;
  copy_pieces(entry.write(impl_.base + offset, key_.bytes, change.expiry_ms), change);
  if (!lock(!old.is_there)) return Outcome::kOutOfMemory;
  const HeldSlot held(impl_, slot_);
  const Found now = find();
  if (!still_is(old, now) || impl_.rooms_made != rooms_made || !impl_.arena.has_room_for(now.offset))
    return Outcome::kAgain;
  Word* const cell = now.is_there
                         ? now.cell
                         : impl_.free_cell(Extent{slot_.table.load(kRelaxed)}, Cell::tag_of_hash(key_.hash));
  impl_.commit_put(slot_, key_, *cell, now.is_there ? &now.entry : nullptr, offset, size_class_);
  note_put(now);
  freed_offset_ = now.offset;
  return Outcome::kDone;
}

// What of a pinned run changes when the rest of the new value stands where it stood. Nothing: it has to be
// copied.
std::optional<Keyspace::Update::Hull> Keyspace::Update::patch_of(const Change& change,
                                                                 const Found& old) const {
  if (!is_run(old) || !old.is_live || change.value_bytes() != old.entry.value_bytes) return std::nullopt;
  const std::string_view value(old.entry.value(), old.entry.value_bytes);
  Hull hull{value.size(), 0};
  std::uint64_t position = 0;
  for (const std::string_view piece : change.pieces) {
    if (!piece.empty() && !is_at(piece, value, position)) {
      hull.begin = std::min(hull.begin, position);
      hull.end = position + piece.size();
    }
    position += piece.size();
  }
  hull.begin = std::min(hull.begin, hull.end);
  if ((hull.end - hull.begin) * 2 > value.size())
    return std::nullopt;  // its redo list would be as long as a copy
  return hull;
}

// kOutOfMemory: it cannot be patched now. REQUIRES: pinned by this process.
Keyspace::Update::Outcome Keyspace::Update::patch(const Change& change, const Found& old, Hull hull) {
  const std::uint64_t entries = (hull.end - hull.begin) / sizeof(Word) + kOtherRedoEntries;
  const bool needs_area = entries > kRedoLimit;
  if (needs_area && !impl_.transaction->ensure_redo_area(entries)) return Outcome::kOutOfMemory;
  Outcome outcome = Outcome::kOutOfMemory;
  {
    lock(false);
    const HeldSlot held(impl_, slot_);
    const Found now = find();
    if (!still_is(old, now)) return Outcome::kAgain;
    if (!impl_.arena.is_pinned_by_others(now.offset) || planted(Plant::kPatchOfPinned)) {
      if (needs_area) impl_.redo.use_area(*impl_.arena.transaction_area());
      stage_patch(change, now, hull);
      impl_.commit_change(slot_, key_);
      if (needs_area) impl_.redo.use_record();
      outcome = Outcome::kDone;
    }
  }
  if (needs_area) impl_.transaction->release_area();
  return outcome;
}

void Keyspace::Update::stage_patch(const Change& change, const Found& old, Hull hull) {
  SlotChange slot_change(impl_.redo, slot_);
  char* const value = const_cast<char*>(old.entry.value());
  std::uint64_t position = 0;
  Word* word = nullptr;  // being put together from one piece or several
  std::uint64_t image = 0;
  for (const std::string_view piece : change.pieces) {
    const std::uint64_t begin = std::max(position, hull.begin);
    const std::uint64_t end = std::min(position + piece.size(), hull.end);
    for (std::uint64_t at = begin; at < end;) {
      const std::uint64_t in_word = reinterpret_cast<std::uintptr_t>(value + at) & kWordMask;
      auto* const its_word = reinterpret_cast<Word*>(value + at - in_word);
      if (its_word != word) {
        if (word != nullptr) slot_change.set(*word, image);
        word = its_word;
        image = word->load(kRelaxed);
      }
      const std::uint64_t size = std::min(end - at, sizeof(Word) - in_word);
      char* const to = reinterpret_cast<char*>(&image) + in_word;
      if (piece.data() == nullptr) {
        std::memset(to, 0, size);
      } else {
        std::memcpy(to, piece.data() + (at - position), size);
      }
      at += size;
    }
    position += piece.size();
  }
  if (word != nullptr) slot_change.set(*word, image);
  if (planted(Plant::kPatchOutsideList) && word != nullptr) word->store(image);
  if (old.entry.expiry_ms() != change.expiry_ms) slot_change.set_expiry(old.entry, change.expiry_ms);
  slot_change.finish();
}

// What comes behind the whole of a pinned run's old value. Nothing: that is not how the new one begins.
std::optional<Change> Keyspace::Update::addition_of(const Change& change, const Found& old) const {
  if (!is_run(old) || !old.is_live) return std::nullopt;
  const std::string_view value(old.entry.value(), old.entry.value_bytes);
  Change addition = change;
  const auto first =
      std::ranges::find_if(addition.pieces, [](std::string_view piece) { return !piece.empty(); });
  if (first == addition.pieces.end() || !is_at(*first, value, 0) || first->size() != value.size())
    return std::nullopt;
  *first = {};
  return addition;
}

bool Keyspace::Update::grows_in_place(const Change& change, const Found& old) const {
  const std::uint64_t grown_bytes = old.entry.key_offset() + old.entry.key_bytes + change.value_bytes();
  return old.entry.extended && change.expiry_ms == old.entry.expiry_ms() &&
         grown_bytes <= impl_.arena.capacity(old.offset);
}

Keyspace::Update::Outcome Keyspace::Update::grow_in_place(const Change& addition, const Found& old) {
  lock(false);
  const HeldSlot held(impl_, slot_);
  const Found now = find();
  if (!still_is(old, now)) return Outcome::kAgain;
  char* const end = const_cast<char*>(now.entry.value()) + now.entry.value_bytes;
  if (!planted(Plant::kLengthBeforeBytes)) copy_pieces(end, addition);  // where nobody reads yet
  const std::uint64_t value_bytes = now.entry.value_bytes + addition.value_bytes();
  SlotChange slot_change(impl_.redo, slot_);
  slot_change.set(now.entry.extension_word(), Entry::word_of_lengths(now.entry.key_bytes, value_bytes));
  slot_change.count_weight(now.entry.value_bytes, value_bytes);
  slot_change.finish();
  impl_.commit_change(slot_, key_);
  if (planted(Plant::kLengthBeforeBytes)) copy_pieces(end, addition);
  return Outcome::kDone;
}

WriteStatus Keyspace::update_erased(const HashedKey& key, DecideFunction decide, void* context) {
  if (impl_->transaction->is_open()) return impl_->transaction->update(key, decide, context);
  return Update(*impl_, key, decide, context).run();
}

}  // namespace memento
