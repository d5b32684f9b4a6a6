// Keyspace's inside, shared by keyspace.cc (reads), keyspace_write.cc (writes), transaction.cc (several keys
// at once), keyspace_scan.cc (walks) and maintenance.cc (background work).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shm/arena/arena.h"
#include "shm/arena/ghosts.h"
#include "shm/commit/database_change.h"
#include "shm/commit/journal_writer.h"
#include "shm/commit/slot_change.h"
#include "shm/format/entry.h"
#include "shm/format/key_events.h"
#include "shm/format/table.h"
#include "shm/keyspace/change_counters.h"
#include "shm/keyspace/changed_keys.h"
#include "shm/keyspace/keyspace.h"
#include "shm/segment.h"

namespace memento {

inline constexpr int kFindMemoryLimit = 10'000;  ///< others may take what is found

/// Writes the pieces of a new value; a piece without data stands for zeros.
void copy_pieces(char* to, const Change& change);

struct Keyspace::Impl : LockFreeReads {
  enum class Search { kHit, kMiss, kTorn };  ///< kTorn: what was read makes no sense; read again

  Impl(Segment& segment, std::uint32_t process);

  /// A clock that was set back to before the segment was made gives its begin.
  void set_now(TimeMs time_ms) {
    now_ms = time_ms;
    const auto now = static_cast<std::uint64_t>(time_ms);
    created_now = now > header.time_base_ms ? now - header.time_base_ms : 0;
  }

  Offset offset_of(const Entry& entry) const { return Offset{static_cast<std::uint64_t>(entry.at - base)}; }

  /// Calls visit(SlotId) for the slots of a database, or of all that are open.
  template <class Visit>
  static void each_slot_of(DatabaseId database, Visit&& visit) {
    const SlotId begin = first_slot(database);
    for (SlotId slot = begin; slot < begin + kSlotCount; ++slot) visit(slot);
  }
  template <class Visit>
  void each_slot(Visit&& visit) const {
    for (DatabaseId database; database < kDatabaseEnd; ++database) {
      if (header.is_open(database)) each_slot_of(database, visit);
    }
  }
  std::uint32_t open_database_count() const {
    return static_cast<std::uint32_t>(std::popcount(header.open_databases.load(std::memory_order_relaxed))) +
           1;
  }
  /// What `sum` adds up over slots, at a moment when nobody changes a database as a whole.
  template <class Sum>
  std::uint64_t sum_between_changes(Sum&& sum);
  /// Differs when a database was changed as a whole meanwhile.
  std::uint64_t whole_changes() const {
    std::uint64_t sum = header.flush_generation.load(std::memory_order_acquire);
    for (const Word& changes : header.database_changes) sum += changes.load(std::memory_order_acquire);
    return sum;
  }

  Search find(Extent table, const HashedKey& key, Entry* entry, Word** cell) const;
  // keyspace_fast_path.cc
  inline Search read_fast(const HashedKey& key, CopyFunction copy, void* context);
  inline bool set_seen(const HashedKey& key, const Sighting& seen, std::string_view value, TimeMs expiry_ms);
  Sighting look(const Slot& slot, std::uint64_t tag) const;
  inline bool exchange_entry(Slot& slot, const Sighting& seen, const HashedKey& key, std::uint64_t head,
                             std::uint32_t size_class, Word& place);
  bool exchange_journalled(Slot& slot, Word& cell, const HashedKey& key, std::uint64_t bytes, Word& place);
  // keyspace.cc
  bool read(const HashedKey& key, CopyFunction copy, void* context);
  Word& counter(Counter counter) { return record.counters[static_cast<std::size_t>(counter)]; }
  std::optional<Entry> find_locked(const Slot& slot, std::uint64_t generation, const HashedKey& key) const;
  void warm(Word& cell, Offset offset, const HashedKey& key);
  bool read_pinned(Slot& slot, const HashedKey& key, CopyFunction copy, void* context);

  /// The key is about to be changed for everybody, by a commit that follows. REQUIRES: slot locked.
  void note_change(const Slot& slot, const HashedKey& key, ChangeCause cause = ChangeCause::kCommand) {
    if (slot.marks.load(std::memory_order_relaxed) != 0 && !planted(Plant::kChangeCountedLate)) [[unlikely]]
      change_counters.count(counted_hash(slot_id(slot), key.hash));
    if (header.trackers.load(std::memory_order_relaxed) != 0) [[unlikely]]
      note_tracked(key, cause);
  }
  // Out of line for those who pass it by.
  [[gnu::noinline, gnu::cold]] void note_tracked(const HashedKey& key, ChangeCause cause) {
    changed_keys.add(key, cause);
  }
  /// Whether clients are told of events of one of these classes.
  bool tells(std::uint64_t classes) const {
    return (header.key_watchers.back().load(std::memory_order_relaxed) & classes) != 0;
  }
  /// The key was removed because it was evicted, or had expired. REQUIRES: nothing locked.
  void note_removed(const HashedKey& key, bool is_evicted) noexcept;
  /// It was found to have expired.
  void remove_expired(const HashedKey& key);
  class RemovalNote;
  SlotId slot_id(const Slot& slot) const {
    return SlotId(static_cast<std::uint32_t>(&slot - &slots[SlotId()]));
  }
  /// Commits what is staged, of which this key's change is a part. REQUIRES: slot locked.
  void commit_change(const Slot& slot, const HashedKey& key, ChangeCause cause = ChangeCause::kCommand) {
    note_change(slot, key, cause);
    redo.commit();
    if (planted(Plant::kRecordBehindCommit)) journal.publish_late();
  }

  // change_counters.cc
  bool grant_change_counters();
  bool exists(const HashedKey& key);
  /// From now on the key's changes are counted: its counters. Nothing: out of memory. REQUIRES: nothing
  /// locked.
  std::optional<ChangeCounters::Values> watch_key(const HashedKey& key);
  void forget_watch(Slot& slot);

  // keyspace_write.cc
  /// A slot's lock while nobody changes the whole keyspace. Holders of other slots' locks use owner.lock and
  /// look at `exclusive` themselves: they must let go of all before they wait.
  void lock_slot(Slot& slot) {
    for (;;) {
      owner.lock(slot.lock);
      if (header.exclusive.load(std::memory_order_acquire) == 0) [[likely]]
        return;
      owner.unlock(slot.lock);
      pass_gate();
    }
  }
  void pass_gate();
  void lock_gate();
  template <class MakeChange>
  void change_databases(std::uint32_t database_count, MakeChange&& make_change);
  void unlock_gate();
  bool try_flush(bool only_database_0);
  bool make_current(Slot& slot);
  bool grow(Slot& slot, std::uint64_t inserts, std::optional<std::uint64_t>* rebuilt_from = nullptr);
  std::uint64_t capacity_of(const HashedKey& key);
  template <class IsWanted>
  bool rebuild(Slot& slot, std::uint64_t lines, IsWanted&& is_wanted);
  Word* free_cell(Extent table, std::uint64_t tag) const;
  void commit_put(Slot& slot, const HashedKey& key, Word& cell, const Entry* old, Offset offset,
                  std::uint32_t size_class);
  void stage_erase(Slot& slot, Word& cell, const Entry& old, std::uint8_t record_flags = 0);
  /// Whether the journal has room for what a put of this entry will say; a put is not begun without.
  bool journal_takes(const Entry& entry, std::uint32_t size_class) const {
    return journal.has_room(JournalWriter::put_bytes(entry, size_class == Arena::kNoClass));
  }
  /// Of who is about to say that memory is short: it may only be that nothing could be given up, since the
  /// journal had no room for saying so. REQUIRES: nothing locked.
  void throw_if_journal_refused() {
    if (std::exchange(journal_refused, false)) throw JournalFull{};
  }
  /// journal_takes(), for what is given up when memory is short.
  bool journal_takes_removal(const HashedKey& key) {
    const bool takes = journal_takes(key);
    journal_refused |= !takes;
    return takes;
  }
  /// The same for a record without a value.
  bool journal_takes(const HashedKey& key) const {
    return journal.has_room(record_bytes(key.bytes.size(), 0));
  }
  void commit_erase(Slot& slot, const HashedKey& key, Word& cell, const Entry& old,
                    ChangeCause cause = ChangeCause::kCommand);
  /// What a cell that holds `before` gets for a new entry of its key.
  std::uint64_t fresh_cell(Offset offset, std::uint64_t hash, std::uint64_t before) {
    const std::uint64_t cell = Cell::make(offset, hash);
    return header.evicts.load(std::memory_order_relaxed) == 0 ? cell : cell + fresh_heat(hash, before);
  }
  std::uint64_t fresh_heat(std::uint64_t hash, std::uint64_t before);
  bool lock_for_write(Slot& slot, bool may_insert);
  void make_room();
  bool prepare_block(std::uint64_t bytes, std::uint32_t* size_class);
  /// allocate() `bytes`, and again as long as memory can be found for it. False: out of memory.
  /// REQUIRES: nothing locked.
  template <class Allocate>
  bool with_room(std::uint64_t bytes, Allocate&& allocate) {
    for (int round = 0; !allocate(); ++round) {
      if (round == kFindMemoryLimit ||
          !find_memory(bytes <= kLargestBlockBytes ? 1 : bytes / kUnitBytes + 2)) {
        return arena.let_replace(false), false;
      }
    }
    arena.let_replace(false);
    return true;
  }
  bool is_ready(std::uint64_t bytes, std::uint32_t* size_class);
  Offset block_offset(std::uint32_t size_class) const;

  // evacuation.cc
  /// What is to become of an entry on a page that is being emptied.
  struct Verdict {
    bool keeps;
    std::uint64_t heat;  ///< what it has then
    bool leaves_ghost;   ///< when it goes
  };
  using Judge = std::function<Verdict(std::uint64_t heat)>;
  void evacuate_blocks(PageIndex page, bool to_main, const Judge& judge);
  bool evacuate_block(Offset offset, std::uint32_t size_class, bool to_main, const Judge& judge);
  /// Who leads to what lies there, as far as can be seen without a lock: the key of an entry.
  std::optional<HashedKey> referrer_of(Offset offset, std::uint64_t block_bytes);
  bool may_lead_to(const HashedKey& key, Offset offset) const;
  struct Reference {
    Entry entry;
    Word* cell;  ///< leads to it
  };
  /// The entry there, when it is that key's. REQUIRES: its slot locked.
  std::optional<Reference> refers_to(const HashedKey& referrer, Offset offset) const;
  void evacuate_tables(Offset begin, Offset end);
  void move_run(Offset run);

  // compaction.cc
  std::vector<PageIndex> sparse_pages() const;
  bool compact();
  bool shrink_tables();
  void evacuate_page(PageIndex page, const Judge& judge);
  struct PageRange {
    PageIndex first_page;
    std::uint64_t page_count = 0;
    std::uint64_t head_units = 0;  ///< of the first page, which stay as they are
  };
  bool clear_range(std::uint64_t units, bool evicts);
  std::uint64_t head_units(PageIndex page) const;
  bool has_long_run(PageIndex page, std::uint64_t units) const;
  std::optional<PageRange> sparse_range(std::uint64_t units, bool evicts) const;
  bool find_memory(std::uint64_t units);

  // eviction.cc
  struct Victim {
    std::uint64_t age;
    PageIndex page;
  };
  struct VictimQueue {
    std::uint64_t page_count = 0;
    std::vector<Victim> oldest;  ///< the oldest last
  };
  void find_victims();
  bool evict();
  bool has_victims() const { return !small_victims.oldest.empty() || !main_victims.oldest.empty(); }
  bool evict_runs(PageIndex page, const Judge& judge);
  bool evict_run_at(Offset run, const Judge& judge);
  bool evict_run(Offset run, const HashedKey& key, const Judge& judge);

  // maintenance.cc
  bool evict_above_limit(std::int64_t end_ns);
  bool maintain(std::int64_t budget_us, bool expires, WorkShare share, std::int64_t rest_us);
  static bool will_need_work(const Slot& slot);
  static bool is_sparse(const Slot& slot);
  bool is_at_rest(const Slot& slot) const {
    return is_current(slot) && !will_need_work(slot) && !is_sparse(slot);
  }
  bool tend_slot(Slot& slot);
  /// The background work's way once over all slots. One that has found nothing, and nothing that time alone
  /// makes work, is followed by a rest, which the change of a database as a whole ends.
  struct Lap {
    bool found_any = false;
    bool was_idle = false;
    std::int64_t end_ns = 0;
    std::uint64_t changes = 0;  ///< whole_changes() when it began

    void begin(std::uint64_t changes_now) {
      found_any = false;
      changes = changes_now;
    }
    void end(std::int64_t now_ns) {
      was_idle = !found_any;
      end_ns = now_ns;
    }
    bool rests(std::int64_t since_ns, std::uint64_t changes_now) const {
      return was_idle && end_ns > since_ns && changes == changes_now;
    }
  };
  void reclaim_inherited();
  bool drain_dead_table();
  bool reclaim_flushed();
  bool reclaim_slot(Slot& slot);
  bool shrink_slot(Slot& slot);
  SlotId next_slot(SlotId slot) const;
  std::uint64_t sweep_piece(SlotId slot, std::uint64_t* place);
  bool sweep_share(WorkShare share, std::int64_t budget_us);
  bool erase_expired(const HashedKey& key);

  // keyspace_scan.cc
  /// Keys of a slot that a walk comes to at once.
  struct ScanPiece {
    struct Found {
      std::uint64_t tag;
      Offset offset;
    };
    std::uint64_t end = 0;    ///< the place behind it
    std::uint64_t steps = 0;  ///< lines and entries looked at
    std::vector<Found> found;
    std::string bytes;  ///< the keys, one behind the other
    std::vector<std::size_t> key_ends;
    std::uint64_t expiring_count = 0;  ///< of them, those with an expiry
    std::int64_t ttl_sum_ms = 0;       ///< which are so far off together

    void clear(std::uint64_t its_end) {
      end = its_end;
      steps = 0;
      found.clear();
      bytes.clear();
      key_ends.clear();
      expiring_count = 0;
      ttl_sum_ms = 0;
    }
    std::size_t key_count() const { return key_ends.size(); }
    std::string_view key(std::size_t i) const {
      const std::size_t begin = i == 0 ? 0 : key_ends[i - 1];
      return std::string_view(bytes).substr(begin, key_ends[i] - begin);
    }
    void add(std::string_view key) {
      bytes.append(key);
      key_ends.push_back(bytes.size());
    }
  };
  struct ScanRequest {
    std::uint64_t begin;
    std::uint64_t end;
    std::uint64_t keys;   ///< about so many, at least 1
    std::uint64_t bytes;  ///< no more keys when they have so many
    bool expired;         ///< those that have expired, instead of the others
  };
  void read_piece(SlotId slot, ScanRequest wanted, ScanPiece* piece);
  bool gather(const Slot& slot, const ScanRequest& wanted, ScanPiece* piece) const;
  void find_cells(Extent table, std::uint64_t live, const ScanRequest& wanted, ScanPiece* piece) const;
  static void cut_piece(const ScanRequest& wanted, ScanPiece* piece);
  bool copy_keys(const Slot& slot, std::uint64_t version, const ScanRequest& wanted, ScanPiece* piece) const;
  enum class Draw { kKey, kNothing, kTorn };
  void sum_entries(std::vector<std::uint64_t>* sums) const;
  std::uint64_t draw_cell(Extent table, std::mt19937_64& random) const;
  Draw draw_key(const Slot& slot, std::mt19937_64& random, std::string* key) const;
  std::optional<std::string> draw_key_of(SlotId slot, std::mt19937_64& random);

  Segment& segment;
  const std::uint32_t process;
  ProcessRecord& record;
  LockOwner owner;
  RedoList redo;
  Arena arena;
  JournalWriter journal;
  DatabaseChanges database_changes;
  DatabaseId database;            ///< selected
  bool journal_refused = false;   ///< something was kept because the journal is full
  bool made_key = false;          ///< by the last write of a value
  std::uint64_t created_now = 0;  ///< the time of creation of an entry made now
  SlotId sweep_slot_next;
  std::uint64_t sweep_place_next = 0;  ///< in that slot
  Lap lap;
  ScanPiece swept;  ///< of sweep_piece()
  /// The rounds of sweep_share(): where this one is, and when it began.
  std::uint32_t round_slot = kRoundIsOver;
  std::uint64_t round_place = 0;
  std::int64_t round_began_ns = 0;
  static constexpr std::uint32_t kRoundIsOver = UINT32_MAX;
  RemovedKeys removed;
  bool has_removed = false;
  Ghosts ghosts;
  ChangeCounters change_counters;
  ChangedKeys changed_keys;
  bool has_change_counters = false;  ///< their memory is granted
  VictimQueue small_victims;
  VictimQueue main_victims;
  TimeMs compaction_failed_ms = -1;
  TimeMs range_failed_ms = -1;
  TimeMs shrunk_ms = -1;
  std::uint64_t reclaimed_changes = UINT64_MAX;  ///< whole_changes() of which no slot has entries left
  std::uint64_t shortages_seen = 0;
  std::uint64_t rooms_made = 0;  ///< counts what may have changed the magazines between a fill and its commit
  std::string block_key;         ///< of referrer_of()
  std::unique_ptr<Transaction> transaction;
};

}  // namespace memento
