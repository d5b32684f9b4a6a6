// What nearly all reads come to, and what is fetched ahead of them, as straight code that is inlined where it
// is used: the entry with the key's tag in its home line, seen when it was fetched, is it, and its slot has
// not changed since. Whatever is not as usual is left to the general code, which does the same and more
// (keyspace_fast_path.cc, keyspace.cc). The keyspace's inside is built on it.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "shm/format/entry.h"
#include "shm/format/layout.h"
#include "shm/format/limits.h"
#include "shm/format/table.h"
#include "shm/keyspace/hash.h"

namespace memento {

/// One entry's fields. Inside read()'s copy callback `value` points into shared memory that may change
/// underneath: copy it, do not interpret it.
struct EntryView {
  std::string_view value;
  TimeMs created_ms = 0;
  TimeMs expiry_ms = kNoExpiry;
};

inline EntryView view_of(const Entry& entry, const Header& header) {
  return EntryView{{entry.value(), entry.value_bytes},
                   static_cast<TimeMs>(entry.created + header.time_base_ms),
                   entry.expiry_ms()};
}

struct LockFreeReads {
  LockFreeReads(Header& header_in, char* base_in, Word* counters_in)
      : header(header_in),
        base(base_in),
        slots(base_in + header_in.slots_offset),
        counters(counters_in),
        committed_end(Offset{header_in.arena_offset}) {}

  bool is_current(const Slot& slot) const {
    return slot.generation.load(std::memory_order_relaxed) ==
           header.flush_generation.load(std::memory_order_acquire);
  }
  /// What was read of the slot since `version` was, when nobody was changing it, is as it was at that moment.
  bool unchanged_since(const Slot& slot, std::uint64_t version) const {
#if !defined(__SANITIZE_THREAD__)  // GCC's ThreadSanitizer knows no fences; the acquire loads serve it
    std::atomic_thread_fence(std::memory_order_acquire);
#endif
    // The version comes second: a change that has ended before the first look has moved it.
    return !slot.is_changing() && slot.version.load(std::memory_order_acquire) == version;
  }

  /// Whether these bytes of the arena may be touched. A torn offset may point anywhere: reading memory that
  /// no fallocate has granted would take it from the tmpfs, and be a SIGBUS when that is full.
  bool is_committed(Offset offset, std::uint64_t bytes) const {
    return offset.value >= header.arena_offset &&
           (offset + bytes <= committed_end || offset + bytes <= find_committed_end());
  }
  /// The same by one comparison for a line of a table, or an entry of any length that has no extension word.
  /// False also for those in the last page that is committed.
  bool is_surely_committed(Offset offset) const { return offset.value - header.arena_offset < sure_bytes; }
  static_assert(Entry::kExtendedValue + 255 + 16 < kPageBytes);
  Offset find_committed_end() const {
    const std::uint64_t pages = header.committed_pages.load(std::memory_order_acquire);
    committed_end = Offset{header.arena_offset + pages * kPageBytes};
    sure_bytes = (pages - (pages > 0 ? 1 : 0)) * kPageBytes;
    return committed_end;
  }

  /// The cells of the tag's home line; nullptr: there is no table, or it is not to be touched without looking
  /// closer. Whether the slot is current has yet to be seen.
  Word* home_cells(const Slot& slot, std::uint64_t tag) const {
    const Extent table{slot.table.load(std::memory_order_acquire)};
    const Offset line = table.offset() + home_line(tag, table.size()) * kLineBytes;
    return is_surely_committed(line) ? reinterpret_cast<Word*>(base + line) : nullptr;  // no table: at 0
  }

  void prefetch_slot(const HashedKey& key) const { __builtin_prefetch(&slots[key.slot]); }
  void prefetch_table(const HashedKey& key) const {
    const Extent table{slots[key.slot].table.load(std::memory_order_relaxed)};
    const std::uint64_t line = home_line(Cell::tag_of_hash(key.hash), table.size());
    __builtin_prefetch(base + table.offset() + line * kLineBytes);
  }
  /// Only the home line is looked at, where most keys are. What is found there is noted in the key: it may be
  /// outdated when it is used, which the slot's version tells then.
  void prefetch_entry(HashedKey& key) const {
    const Slot& slot = slots[key.slot];
    const std::uint64_t tag = Cell::tag_of_hash(key.hash);
    key.seen.cell = nullptr;
    key.seen.version = slot.version.load(std::memory_order_acquire);
    if (slot.is_changing()) [[unlikely]]
      return;
    Word* const line = home_cells(slot, tag);
    if (line == nullptr) [[unlikely]]
      return;
    const std::uint32_t found = look_at_line(line, tag).with_tag;
    if (found == 0) return;
    Word& cell = line[std::countr_zero(found)];
    key.seen.cell = &cell;
    const char* const entry = base + Cell::offset(cell.load(std::memory_order_relaxed));
    __builtin_prefetch(entry);
    __builtin_prefetch(entry + kLineBytes);
  }

  /// Calls copy(EntryView) when the key is where it was seen, has not expired, is short, and the slot's
  /// version is what it was then. True: what was copied is whole; `offset_out` gets where its entry was.
  template <class Copy>
  [[gnu::always_inline]] bool read_seen(const HashedKey& key, Copy&& copy, Offset* offset_out) const {
    if (key.seen.cell == nullptr || in_transaction) [[unlikely]]
      return false;
    const Slot& slot = slots[key.slot];
    // Since it was seen the key may have been flushed, which moves no version.
    if (!is_current(slot)) [[unlikely]]
      return false;
    const Offset offset = Cell::offset(key.seen.cell->load(std::memory_order_acquire));
    if (!is_surely_committed(offset)) [[unlikely]]
      return false;
    *offset_out = offset;
    const Entry entry = Entry::parse(base + offset);
    if (entry.extended || entry.expired(now_ms) || entry.key_bytes != key.bytes.size() ||
        !racy_equal(entry.key(), key.bytes.data(), entry.key_bytes)) [[unlikely]] {
      return false;
    }
    // The lengths are believed only when they were read from a live entry.
    if (slot.version.load(std::memory_order_acquire) != key.seen.version) [[unlikely]]
      return false;
#if defined(__SANITIZE_THREAD__)
    std::string private_copy(entry.value_bytes, '\0');
    racy_copy(private_copy.data(), entry.value(), entry.value_bytes);
    EntryView view = view_of(entry, header);
    view.value = private_copy;
    copy(view);
#else
    copy(view_of(entry, header));
#endif
    return unchanged_since(slot, key.seen.version);
  }
  void count(Counter counter, std::uint64_t amount = 1) const {
    Word& word = counters[static_cast<std::size_t>(counter)];
    word.store(word.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  bool evicts() const { return header.evicts.load(std::memory_order_relaxed) != 0; }

  Header& header;
  char* base;
  SlotArray slots;
  Word* counters;                        ///< this process's
  mutable Offset committed_end;          ///< as last seen; grows
  mutable std::uint64_t sure_bytes = 0;  ///< of the arena, for is_surely_committed()
  TimeMs now_ms = 0;
  bool in_transaction = false;  ///< a body runs: what it reads is its own business
};

}  // namespace memento
