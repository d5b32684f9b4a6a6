// What nearly all reads and SETs come to, as straight code that a processor runs ahead through: the first
// entry with the key's tag in its home line is it. Whatever is not as usual is left to the general code,
// which does the same and more (keyspace.cc, keyspace_write.cc).
#include <bit>
#include <cstring>

#include "shm/keyspace/keyspace_impl.h"
#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

// The cells of the tag's home line; nullptr: there is no table, or it is not to be touched without looking
// closer.
[[gnu::always_inline]] inline Word* Keyspace::Impl::home_cells(const Slot& slot, std::uint64_t tag) const {
  const Extent table{slot.table.load(std::memory_order_acquire)};
  const Offset line = table.offset() + home_line(tag, table.size()) * kLineBytes;
  if (slot.generation.load(std::memory_order_acquire) !=
          header.flush_generation.load(std::memory_order_acquire) ||
      table.word == 0 || !is_surely_committed(line)) {
    return nullptr;
  }
  return reinterpret_cast<Word*>(base + line);
}

// Only the home line is looked at, where most keys are; what is found there may be outdated and is only a
// hint.
void Keyspace::prefetch_entry(const HashedKey& key) const {
  const std::uint64_t tag = Cell::tag_of_hash(key.hash);
  const Word* const line = impl_->home_cells(impl_->slots[key.slot], tag);
  if (line == nullptr) return;
  const std::uint32_t found = look_at_line(line, tag).with_tag;
  if (found == 0) return;
  const char* entry = impl_->base + Cell::offset(line[std::countr_zero(found)].load(kRelaxed));
  __builtin_prefetch(entry);
  __builtin_prefetch(entry + kLineBytes);
}

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
  if (places == nullptr) return Search::kTorn;
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

bool Keyspace::read_erased(const HashedKey& key, CopyFunction copy, void* context) {
  Impl& impl = *impl_;
  if (impl.transaction->is_open()) return impl.transaction->read(key, copy, context);
  const Impl::Search search = impl.read_fast(key, copy, context);
  if (search == Impl::Search::kTorn) return impl.read(key, copy, context);
  const bool hit = search == Impl::Search::kHit;
  impl.count(hit ? Counter::kHits : Counter::kMisses, 1);
  return hit;
}

// The cell gets the entry of `head` that stands in the block noted at `place`, if it leads to one of the same
// key and size class. REQUIRES: the slot locked and current, and the cell one of its table.
[[gnu::always_inline]] inline bool Keyspace::Impl::exchange_entry(Slot& slot, Word& cell,
                                                                  const HashedKey& key, std::uint64_t head,
                                                                  std::uint32_t size_class, Word& place) {
  const std::uint64_t before = cell.load(kRelaxed);
  if (!Cell::live(before)) return false;
  const Offset offset{place.load(kRelaxed)};
  const Offset old_offset = Cell::offset(before);
  const char* const old = base + old_offset;
  const char* old_key = old + Entry::kHeadBytes;
  const std::uint64_t bytes_before = slot.bytes.load(kRelaxed);
  std::uint64_t bytes = bytes_before;
  if (!Entry::is_plain_like(head, Entry::head_at(old))) [[unlikely]] {
    const Entry entry = Entry::parse(old);
    const Entry now = Entry::parse(base + offset);
    if (entry.extended || entry.key_bytes != now.key_bytes || entry.expired(now_ms) ||
        arena.info(arena.page_of(old_offset)).kind() != size_class + 1) {
      return false;
    }
    old_key = entry.key();
    bytes += weight_of(now) - weight_of(entry);
  }
  if (!racy_equal(old_key, key.bytes.data(), key.bytes.size())) return false;

  if (planted(Plant::kValueInPlace) && bytes == bytes_before) {
    const Entry now = Entry::parse(base + offset);
    std::memcpy(const_cast<char*>(old_key) + now.key_bytes, now.value(), now.value_bytes);
  }
  if (planted(Plant::kStoreOutsideList)) slot.bytes.store(bytes, kRelaxed);
  if (planted(Plant::kExchangeOutsideList)) place.store(old_offset.value);
  note_change(slot, key);
  redo.commit_words(RedoList::Change{cell, fresh_cell(offset, key.hash, before)},
                    RedoList::Change{slot.version, slot.version.load(kRelaxed) + 1},
                    RedoList::Change{slot.bytes, planted(Plant::kCounterAfterCommit) ? bytes_before : bytes},
                    RedoList::Change{place, old_offset.value});
  if (planted(Plant::kCounterAfterCommit)) slot.bytes.store(bytes, kRelaxed);
  made_key = false;
  return true;
}

// A key that is there gets a value whose entry is of the old one's size class: the two blocks change places,
// and the magazine stays as full as it was. False: nothing was changed, set() is to do it.
bool Keyspace::Impl::set_fast(const HashedKey& key, std::string_view value, TimeMs expiry_ms) {
  if (key.bytes.size() > 255 || value.size() >= Entry::kExtendedValue) return false;
  const bool expires = expiry_ms != kNoExpiry;
  const std::uint64_t head = Entry::head_of(key.bytes.size(), value.size(), expires, creation_time());
  const std::uint64_t needed = Entry::kHeadBytes + key.bytes.size() + value.size() + (expires ? 8 : 0);
  if (needed > kLargestBlockBytes) return false;
  const std::uint32_t size_class = class_of_size(needed);
  Word* const place = arena.top_place(size_class);
  if (place == nullptr) return false;
  Slot& slot = slots[key.slot];
  const std::uint64_t tag = Cell::tag_of_hash(key.hash);
  // Looked for without the lock: it holds under the lock when the version has not changed until then.
  const std::uint64_t version = slot.version.load(std::memory_order_acquire);
  Word* const places = home_cells(slot, tag);
  if (places == nullptr) return false;
  const std::uint32_t with_tag = look_at_line(places, tag).with_tag;
  if (with_tag == 0) return false;
  Word& cell = places[std::countr_zero(with_tag)];
  const Offset offset{place->load(kRelaxed)};
  copy_bytes(Entry::write_short(base + offset, head, key.bytes, expiry_ms), value);

  lock_slot(slot);
  const bool is_done = slot.version.load(kRelaxed) == version && is_current(slot) &&
                       exchange_entry(slot, cell, key, head, size_class, *place);
  owner.unlock(slot.lock);
  return is_done;
}

}  // namespace memento
