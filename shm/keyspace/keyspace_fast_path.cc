// What nearly all SETs come to, and reads of keys that were not seen when they were fetched, as straight code
// that a processor runs ahead through: the first entry with the key's tag in its home line is it. Whatever is
// not as usual is left to the general code, which does the same and more (keyspace.cc, keyspace_write.cc).
#include <bit>
#include <cstring>

#include "shm/keyspace/keyspace_scopes.h"
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

// kHit and kMiss (an empty cell ends the search) are certain; kTorn: read() is to find out.
[[gnu::always_inline]] inline Keyspace::Impl::Search Keyspace::Impl::read_fast(const HashedKey& key,
                                                                               CopyFunction copy,
                                                                               void* context) {
#if defined(__SANITIZE_THREAD__)
  (void)key, (void)copy, (void)context;
  return Search::kTorn;
#else
  const Slot& slot = slots[key.slot];
  const std::uint64_t version = slot.version.load(std::memory_order_acquire);
  if (slot.is_changing()) return Search::kTorn;
  const std::uint64_t tag = Cell::tag_of_hash(key.hash);
  Word* const places = home_cells(slot, tag);
  if (places == nullptr || !is_current(slot)) return Search::kTorn;
  const LineHints hints = look_at_line(places, tag);
  if (hints.with_tag == 0) {
    const bool ends = has_empty_cell(places, hints);
    return ends && unchanged_since(slot, version) ? Search::kMiss : Search::kTorn;
  }
  Word& cell = places[std::countr_zero(hints.with_tag)];
  const std::uint64_t value = cell.load(std::memory_order_acquire);
  const Offset offset = Cell::offset(value);
  if (Cell::tag(value) != tag || !is_surely_committed(offset)) return Search::kTorn;
  const Entry entry = Entry::parse(base + offset);
  if (entry.extended || entry.key_bytes != key.bytes.size() ||
      !racy_equal(entry.key(), key.bytes.data(), entry.key_bytes) || entry.expired(now_ms)) {
    return Search::kTorn;
  }
  if (slot.version.load(std::memory_order_acquire) != version) return Search::kTorn;
  copy(context, view_of(entry, header));
  if (!unchanged_since(slot, version)) return Search::kTorn;
  if (header.evicts.load(kRelaxed) != 0) warm(cell, offset, key);
  return Search::kHit;
#endif
}

// The key was read, where it was seen. By now the cell may be memory of another kind.
void Keyspace::warm(const HashedKey& key, Offset offset) { impl_->warm(*key.seen.cell, offset, key); }

bool Keyspace::read_erased(const HashedKey& key, CopyFunction copy, void* context) {
  Impl& impl = *impl_;
  if (impl.transaction->is_open()) return impl.transaction->read(key, copy, context);
  const Impl::Search search = impl.read_fast(key, copy, context);
  if (search == Impl::Search::kTorn) return impl.read(key, copy, context);
  const bool hit = search == Impl::Search::kHit;
  impl.count(hit ? Counter::kHits : Counter::kMisses, 1);
  return hit;
}

// The first place in the tag's home line that bears it, as of now.
[[gnu::noinline]] Sighting Keyspace::Impl::look(const Slot& slot, std::uint64_t tag) const {
  const std::uint64_t version = slot.version.load(std::memory_order_acquire);
  Word* const places = home_cells(slot, tag);
  if (places == nullptr) return {};
  const std::uint32_t with_tag = look_at_line(places, tag).with_tag;
  if (with_tag == 0) return {};
  return {&places[std::countr_zero(with_tag)], version};
}

// What exchange_entry() ends with when there is a journal. False: that has no room.
[[gnu::noinline]] bool Keyspace::Impl::exchange_journalled(Slot& slot, Word& cell, const HashedKey& key,
                                                           std::uint64_t bytes, Word& place) {
  const std::uint64_t before = cell.load(kRelaxed);
  const Offset offset{place.load(kRelaxed)};
  const Entry now = Entry::parse(base + offset);
  if (!journal.has_room(JournalWriter::put_bytes(now, false))) return false;
  note_change(slot, key);
  if (journal.writes_records() && !planted(Plant::kTailBeforeCommit) &&
      !planted(Plant::kRecordBehindCommit) && !planted(Plant::kPositionNotStaged)) {
    const JournalWriter::Words said = journal.write_put(key.slot, now);
    redo.commit_words(
        said.position, said.tail, said.last_at, RedoList::Change{cell, fresh_cell(offset, key.hash, before)},
        RedoList::Change{slot.version, slot.version.load(kRelaxed) + 1}, RedoList::Change{slot.bytes, bytes},
        RedoList::Change{place, Cell::offset(before).value});
    made_key = false;
    return true;
  }
  journal.stage_put(key.slot, now, kNoOffset);
  redo.stage(cell, fresh_cell(offset, key.hash, before));
  redo.stage(slot.version, slot.version.load(kRelaxed) + 1);
  redo.stage(slot.bytes, bytes);
  redo.stage(place, Cell::offset(before).value);
  redo.commit();
  if (planted(Plant::kRecordBehindCommit)) journal.publish_late();
  made_key = false;
  return true;
}

// The cell that was seen gets the entry of `head` that stands in the block noted at `place`, if it leads to
// one of the same key and size class. REQUIRES: the slot locked.
[[gnu::always_inline]] inline bool Keyspace::Impl::exchange_entry(Slot& slot, const Sighting& seen,
                                                                  const HashedKey& key, std::uint64_t head,
                                                                  std::uint32_t size_class, Word& place) {
  const std::uint64_t version = slot.version.load(kRelaxed);
  if ((version != seen.version && !planted(Plant::kSightingBelieved)) || !is_current(slot)) return false;
  Word& cell = *seen.cell;
  const std::uint64_t before = cell.load(kRelaxed);
  if (!Cell::live(before)) return false;
  const Offset old_offset = Cell::offset(before);
  const char* const old = base + old_offset;
  const char* old_key = old + Entry::kHeadBytes;
  const std::uint64_t bytes_before = slot.bytes.load(kRelaxed);
  std::uint64_t bytes = bytes_before;
  if (!Entry::is_plain_like(head, Entry::head_at(old))) [[unlikely]] {
    const Entry entry = Entry::parse(old);
    const Entry now = Entry::parse(base + Offset{place.load(kRelaxed)});
    if (entry.extended || entry.key_bytes != now.key_bytes || entry.expired(now_ms) ||
        arena.info(arena.page_of(old_offset)).kind() != size_class + 1) {
      return false;
    }
    old_key = entry.key();
    bytes += weight_of(now) - weight_of(entry);
  }
  if (!racy_equal(old_key, key.bytes.data(), key.bytes.size())) return false;

  if (planted(Plant::kValueInPlace) && bytes == bytes_before) {
    const Entry now = Entry::parse(base + Offset{place.load(kRelaxed)});
    std::memcpy(const_cast<char*>(old_key) + now.key_bytes, now.value(), now.value_bytes);
  }
  if (planted(Plant::kStoreOutsideList)) slot.bytes.store(bytes, kRelaxed);
  const Offset offset{place.load(kRelaxed)};
  if (planted(Plant::kExchangeOutsideList)) place.store(old_offset.value);
  if (journal.is_on()) [[unlikely]]
    return exchange_journalled(slot, cell, key, bytes, place);
  note_change(slot, key);
  redo.commit_words(RedoList::Change{cell, fresh_cell(offset, key.hash, before)},
                    RedoList::Change{slot.version, version + 1},
                    RedoList::Change{slot.bytes, planted(Plant::kCounterAfterCommit) ? bytes_before : bytes},
                    RedoList::Change{place, old_offset.value});
  if (planted(Plant::kCounterAfterCommit)) slot.bytes.store(bytes, kRelaxed);
  made_key = false;
  return true;
}

// A key that is there, where it was seen, gets a value whose entry is of the old one's size class: the two
// blocks change places, and the magazine stays as full as it was. False: nothing was changed, set() is to do
// it.
[[gnu::always_inline]] inline bool Keyspace::Impl::set_seen(const HashedKey& key, const Sighting& seen,
                                                            std::string_view value, TimeMs expiry_ms) {
  if (key.bytes.size() > 255 || value.size() >= Entry::kExtendedValue) return false;
  const bool expires = expiry_ms != kNoExpiry;
  const std::uint64_t head = Entry::head_of(key.bytes.size(), value.size(), expires, created_now);
  const std::uint64_t needed = Entry::kHeadBytes + key.bytes.size() + value.size() + (expires ? 8 : 0);
  if (needed > kLargestBlockBytes) return false;
  const std::uint32_t size_class = class_of_size(needed);
  Word* const place = arena.top_place(size_class);
  if (place == nullptr) return false;
  const Offset offset{place->load(kRelaxed)};
  copy_bytes(Entry::write_short(base + offset, head, key.bytes, expiry_ms), value);

  // What was seen without the lock holds under it when the version has not changed until then.
  Slot& slot = slots[key.slot];
  owner.lock(slot.lock);
  const bool is_done = header.exclusive.load(std::memory_order_acquire) == 0 &&
                       exchange_entry(slot, seen, key, head, size_class, *place);
  owner.unlock(slot.lock);
  return is_done;
}

bool Keyspace::put_where_seen(const HashedKey& key, std::string_view value) {
  Impl& impl = *impl_;
  return key.seen.cell != nullptr && !impl.in_transaction && impl.set_seen(key, key.seen, value, kNoExpiry);
}

WriteStatus Keyspace::put(const HashedKey& key, std::string_view value, TimeMs expiry_ms) {
  Impl& impl = *impl_;
  const Slot& slot = impl.slots[key.slot];
  Sighting seen = key.seen;
  const bool is_outdated = slot.version.load(kRelaxed) != seen.version && !planted(Plant::kSightingBelieved);
  if (seen.cell == nullptr || is_outdated) seen = impl.look(slot, Cell::tag_of_hash(key.hash));
  if (seen.cell != nullptr && !impl.in_transaction && impl.set_seen(key, seen, value, expiry_ms))
    return WriteStatus::kDone;
  return set_carefully(key, value, {SetCondition::kAlways, expiry_ms, false});
}

}  // namespace memento
