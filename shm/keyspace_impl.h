// Keyspace's inside, shared by keyspace.cc (reads), keyspace_write.cc (writes), transaction.cc (several keys at once)
// and maintenance.cc (background work).
#pragma once

#include <string>
#include <vector>

#include "shm/arena.h"
#include "shm/entry.h"
#include "shm/keyspace.h"
#include "shm/segment.h"
#include "shm/table.h"

namespace memento {

inline constexpr std::uint64_t kOneExpiry = 1ull << 40;  ///< in Slot::bytes

/// Writes the pieces of a new value; a piece without data stands for zeros.
void copy_pieces(char* to, const Change& change);

inline EntryView view_of(const Entry& entry, const Header& header) {
  return EntryView{{entry.value(), entry.value_bytes},
                   static_cast<TimeMs>(entry.created + header.time_base_ms),
                   entry.expiry_ms()};
}

struct Keyspace::Impl {
  enum class Search { kHit, kMiss, kTorn };  ///< kTorn: what was read makes no sense; read again

  Impl(Segment& segment, std::uint32_t process);

  bool is_current(const Slot& slot) const {
    return slot.generation.load(std::memory_order_relaxed) ==
           header.flush_generation.load(std::memory_order_acquire);
  }
  bool unchanged_since(const Slot& slot, std::uint64_t version) const {
#if !defined(__SANITIZE_THREAD__)  // GCC's ThreadSanitizer knows no fences; the acquire load serves it
    std::atomic_thread_fence(std::memory_order_acquire);
#endif
    return slot.version.load(std::memory_order_acquire) == version;
  }

  Search find(Extent table, const HashedKey& key, Entry* entry, Word** cell) const;
  // keyspace.cc
  bool read(const HashedKey& key, CopyFunction copy, void* context);
  bool find_locked(const Slot& slot, std::uint64_t generation, const HashedKey& key, Entry* entry) const;
  void count(Counter counter, std::uint64_t amount);
  bool read_pinned(Slot& slot, const HashedKey& key, CopyFunction copy, void* context);

  // keyspace_write.cc
  void lock_slot(Slot& slot);
  void pass_gate();
  bool make_current(Slot& slot);
  bool grow(Slot& slot, std::uint64_t inserts);
  Word* free_cell(Extent table, std::uint64_t tag) const;
  void commit_put(Slot& slot, const HashedKey& key, Word& cell, const Entry* old, const Entry& now,
                  std::uint64_t offset, std::uint32_t size_class);
  void commit_erase(Slot& slot, Extent table, Word& cell, const Entry& old);
  bool lock_for_write(Slot& slot, bool may_insert);
  void make_room();
  bool prepare_block(std::uint64_t bytes, std::uint32_t* size_class);
  /// allocate(), and again as long as memory can be found for it. False: out of memory.
  template <class Allocate>
  bool with_room(Allocate&& allocate) {
    return allocate() || (reclaim_flushed() && allocate());
  }
  bool is_ready(std::uint64_t bytes, std::uint32_t* size_class);
  std::uint64_t block_offset(std::uint32_t size_class) const;

  // maintenance.cc
  void reclaim_inherited();
  void drain_dead_table();
  bool reclaim_flushed();
  bool reclaim_slot(Slot& slot);
  std::uint64_t sweep_slot(std::uint32_t slot);
  std::vector<std::string> collect_keys(std::uint32_t slot, bool only_expired);
  bool gather(const Slot& slot, bool only_expired, std::vector<std::string>* keys) const;

  Segment& segment;
  Header& header;
  char* base;
  ProcessRecord& record;
  LockOwner owner;
  RedoList redo;
  Arena arena;
  Slot* slots;
  std::uint64_t arena_end;
  TimeMs now_ms = 0;
  std::uint32_t sweep_slot_next = 0;
  std::unique_ptr<Transaction> transaction;
};

/// A slot's lock for a scope.
class Keyspace::SlotGuard {
 public:
  SlotGuard(Impl& impl, Slot& slot) : impl_(impl), slot_(slot) { impl_.lock_slot(slot_); }
  ~SlotGuard() { impl_.owner.unlock(slot_.lock); }
  SlotGuard(const SlotGuard&) = delete;
  SlotGuard& operator=(const SlotGuard&) = delete;

 private:
  Impl& impl_;
  Slot& slot_;
};

}  // namespace memento
