// Read-modify-write of long values, in steps, so that nobody else waits for a copy. See keyspace_update.h.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "shm/commit/plant.h"
#include "shm/keyspace/keyspace_update.h"
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kHeadroomLimitBytes = 1 << 20;
constexpr std::uint64_t kOtherRedoEntries = 16;  // beside a patch's words

constexpr std::uint64_t kWordMask = sizeof(Word) - 1;

bool is_at(std::string_view piece, std::string_view value, std::uint64_t position) {
  return piece.data() == value.data() + position && position + piece.size() <= value.size();
}

}  // namespace

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
  if (!impl_.journal_takes(entry, size_class_)) return Outcome::kJournalFull;
  return commit_put(now, offset);
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
  if (impl_.journal.is_on() && hull.end - hull.begin > JournalWriter::kLiteralLimitBytes)
    return std::nullopt;  // its record would be too long for the ring
  return hull;
}

// kOutOfMemory: it cannot be patched now. REQUIRES: pinned by this process.
Keyspace::Update::Outcome Keyspace::Update::patch(const Change& change, const Found& old, Hull hull) {
  const std::uint64_t entries = (hull.end - hull.begin) / sizeof(Word) + kOtherRedoEntries;
  const bool needs_area = entries > kRedoLimit;
  if (needs_area && !impl_.transaction->ensure_redo_area(entries)) return Outcome::kOutOfMemory;
  const std::string splice = splice_of(change, hull, hull);
  Outcome outcome = Outcome::kOutOfMemory;
  {
    lock(false);
    const HeldSlot held(impl_, slot_);
    const Found now = find();
    if (!still_is(old, now)) return Outcome::kAgain;
    // What a record names, or somebody has pinned, is being copied as it is.
    if (!journal_takes_splice(hull.end - hull.begin)) {
      outcome = Outcome::kJournalFull;
    } else if ((!impl_.arena.is_pinned_by_others(now.offset) &&
                !impl_.arena.is_in_journal(run_of(now.offset))) ||
               planted(Plant::kPatchOfPinned)) {
      if (needs_area) impl_.redo.use_area(*impl_.arena.transaction_area());
      stage_splice(now.entry, now.entry.value_bytes, change.expiry_ms, splice);
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

// What a record says of a splice: where, and these bytes of the pieces. Nothing, when there is no journal.
std::string Keyspace::Update::splice_of(const Change& change, Hull hull, Hull of_pieces) const {
  if (!impl_.journal.is_on()) return {};
  std::string literal(2 * sizeof(Word) + of_pieces.end - of_pieces.begin, '\0');
  std::memcpy(literal.data(), &hull.begin, sizeof hull.begin);
  std::memcpy(literal.data() + sizeof(Word), &hull.end, sizeof hull.end);
  std::uint64_t position = 0;
  for (const std::string_view piece : change.pieces) {
    const std::uint64_t begin = std::max(position, of_pieces.begin);
    const std::uint64_t end = std::min(position + piece.size(), of_pieces.end);
    if (begin < end && piece.data() != nullptr)
      std::memcpy(literal.data() + 2 * sizeof(Word) + begin - of_pieces.begin,
                  piece.data() + begin - position, end - begin);
    position += piece.size();
  }
  return literal;
}

void Keyspace::Update::stage_splice(const Entry& old, std::uint64_t value_bytes, TimeMs expiry_ms,
                                    const std::string& literal) {
  if (!impl_.journal.is_on()) [[likely]]
    return;
  auto record = JournalWriter::of_entry(key_.slot, RecordKind::kSplice, old);
  record.value_bytes = value_bytes;
  record.expiry_ms = expiry_ms;
  impl_.journal.stage(record, literal);
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
  const std::uint64_t added_bytes = change.value_bytes() - old.entry.value_bytes;
  if (impl_.journal.is_on() && added_bytes > JournalWriter::kLiteralLimitBytes) return false;
  return old.entry.extended && change.expiry_ms == old.entry.expiry_ms() &&
         grown_bytes <= impl_.arena.capacity(old.offset);
}

Keyspace::Update::Outcome Keyspace::Update::grow_in_place(const Change& addition, const Found& old) {
  const std::uint64_t old_bytes = old.entry.value_bytes;
  const std::string splice = splice_of(addition, {old_bytes, old_bytes}, {0, addition.value_bytes()});
  lock(false);
  const HeldSlot held(impl_, slot_);
  const Found now = find();
  if (!still_is(old, now)) return Outcome::kAgain;
  if (!journal_takes_splice(addition.value_bytes())) return Outcome::kJournalFull;
  char* const end = const_cast<char*>(now.entry.value()) + now.entry.value_bytes;
  if (!planted(Plant::kLengthBeforeBytes)) copy_pieces(end, addition);  // where nobody reads yet
  const std::uint64_t value_bytes = now.entry.value_bytes + addition.value_bytes();
  stage_splice(now.entry, value_bytes, now.entry.expiry_ms(), splice);
  SlotChange slot_change(impl_.redo, slot_);
  slot_change.set(now.entry.extension_word(), Entry::word_of_lengths(now.entry.key_bytes, value_bytes));
  slot_change.count_weight(now.entry.value_bytes, value_bytes);
  slot_change.finish();
  impl_.commit_change(slot_, key_);
  if (planted(Plant::kLengthBeforeBytes)) copy_pieces(end, addition);
  return Outcome::kDone;
}

}  // namespace memento
