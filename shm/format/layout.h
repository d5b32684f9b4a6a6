// Everything that lies in the segment, and nowhere else is a byte of it declared. All processes map it.
//
//   0             Header           one 4 KiB page: identity, geometry, arena totals, the arena's lock
//   slots         Slot[8192]       one cache line each: database 0's
//   databases     Slot[8192] each  those of database 1 to 15, 1 MiB apart; without memory until the database
//                                  is used (Header::open_databases)
//   journals      SlotJournal[]    one for each slot of every database; without memory until journalling
//                                  begins
//   processes     ProcessRecord[]  one per process: redo list, magazines, held extents, pins, counters
//   unit bitmap   u64[]            one bit per 4 KiB unit of the arena, 1 = in use
//   page infos    u64[]            one word per 64 KiB page: what its blocks are, how many are free
//                                  (page_info.h)
//   page ages     u64[]            one word per 64 KiB page: when it was taken, counted in pages
//   counters      u32[]            changes of keys that somebody watches (change_counters.h)
//   arena         64 KiB pages     class pages (bitmap, then blocks of one size), line pages (tables), and
//                                  runs of 4 KiB units (large values, large tables)
//
// Each process's ring of messages to all others, and what its clients subscribe to, lie in a file of its own
// beside the segment (mailbox_file.h), made when first used.
//
// Offsets count from the segment's start; there are no pointers, but for the robust list links, which only
// the kernel follows, in the process that wrote them. Every word that several processes write is an
// atomic 64-bit word, changed through a redo list (redo_list.h), counters and hints excepted.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shm/format/limits.h"
#include "shm/format/typed_number.h"

// Only for x86-64, since readers without a lock rely on its ordering of stores. When a commit frees an
// entry's block, the redo list moves the slot's version first (redo_list.h, invariant 2), and the process may
// then write the next entry into the block with plain stores. A release store orders what stands before it,
// not what comes after it, so C++ alone lets a reader see the next entry's bytes in the block together with
// the old version, and take them for the old entry's value. On x86-64 the stores of one processor become
// visible in program order, and loads are not reordered with loads (Intel SDM, volume 3A, "Memory Ordering";
// Sewell et al., "x86-TSO", CACM 2010); RedoList::commit() holds the compiler to that order. On another
// architecture, block reuse needs a release fence behind the commit, and tests that run there.
#if !defined(__x86_64__)
#error "memento runs on x86-64 only: lock-free readers rely on its ordering of stores, see above"
#endif

namespace memento {

using Word = std::atomic<std::uint64_t>;
static_assert(sizeof(Word) == 8 && Word::is_always_lock_free);

inline constexpr std::uint64_t kMagic = 0x6d656d656e746f31;  // "memento1"
inline constexpr std::uint32_t kLayoutVersion = 8;
inline constexpr std::uint64_t kUnitBytes = 4096;
inline constexpr std::uint64_t kPageBytes = 65536;
inline constexpr std::uint64_t kUnitsPerPage = kPageBytes / kUnitBytes;
inline constexpr std::uint64_t kLineBytes = 64;
inline constexpr std::uint32_t kCellsPerLine = 8;
inline constexpr std::uint32_t kProcessLimit = 136;
inline constexpr std::uint32_t kRedoLimit = 2048;
inline constexpr std::uint32_t kMagazineLimit = 64;
/// What a process pins at most: a run each that it reads, moves, and changes.
enum PinRole : std::uint32_t { kReadPin, kMovePin, kUpdatePin, kPinLimit };
inline constexpr std::uint32_t kUnitHintLimit = 8;

/// A robust futex (Linux: Documentation/locking/robust-futexes). `word` holds the owner's thread id and the
/// kernel's WAITERS and OWNER_DIED bits; `holder` says which process record to repair when the owner died.
struct RobustLock {
  std::atomic<std::uint32_t> word;
  std::atomic<std::uint32_t> holder;  ///< process index | incarnation << 8; 0: nobody. Written by the owner
  std::uint64_t next;                 ///< robust list link, owner's address space
};
static_assert(sizeof(RobustLock) == 16);

/// Where a table or a run lies: offset / 64 (35 bits), size (27 bits: lines, or 4 KiB units), kind (2 bits).
struct Extent {
  enum Kind : std::uint64_t { kNone = 0, kTable = 1, kRun = 2 };
  std::uint64_t word = 0;

  static Extent make(Offset offset, std::uint64_t size, Kind kind) {
    return Extent{(offset.value / 64) << 29 | size << 2 | kind};
  }
  Offset offset() const { return Offset{(word >> 29) * 64}; }
  std::uint64_t size() const { return word >> 2 & ((1u << 27) - 1); }
  Kind kind() const { return static_cast<Kind>(word & 3); }
};

/// In front of what a run holds, mostly an entry.
struct RunHead {
  Word units;
  Word record;  ///< ring << 56 | end of the last journal record that names the run; 0: none does
};
static_assert(sizeof(RunHead) == 16);
constexpr Offset entry_of_run(Offset run) { return run + sizeof(RunHead); }
constexpr Offset run_of(Offset entry) { return Offset{entry.value - sizeof(RunHead)}; }

/// One of the 8192 parts of a database. All words are written under `lock`.
struct alignas(64) Slot {
  RobustLock lock;
  Word version;     ///< +1 with every change of the slot: what lock-free readers validate
  Word table;       ///< Extent of the table, 0 when there is none
  Word cells;       ///< live entries | non-empty cells (live and tombstones) << 32
  Word bytes;       ///< keys and values, 40 bits | entries with an expiry << 40
  Word generation;  ///< entries count only while this equals Header::flush_generation
  Word marks;       ///< kChanging | until when changes of keys are counted << 1 (change_counters.h)

  /// Set while several words of a change are applied that must not be seen apart: lock-free readers wait.
  static constexpr std::uint64_t kChanging = 1;
  bool is_changing() const { return (marks.load(std::memory_order_acquire) & kChanging) != 0; }
};
static_assert(sizeof(Slot) == 64);

/// The segment's slots, of all databases, by number. Those of a database that is not open have no memory.
class SlotArray {
 public:
  explicit SlotArray(void* first) : first_(static_cast<Slot*>(first)) {}
  Slot& operator[](SlotId slot) const { return first_[slot.value]; }

 private:
  Slot* first_;
};

/// Where a slot is in the journal (journal_record.h). Written under the slot's lock, by redo lists.
struct SlotJournal {
  Word position;  ///< of the slot's last record; 0: it never had data since journalling began
  Word last_at;   ///< ring << 56 | end of that record in its ring
};
static_assert(sizeof(SlotJournal) == 16);

/// In Header::journal: who reads the rings, and that slots count positions. Nobody: no record is written.
enum JournalBit : std::uint64_t { kJournalForDisk = 1, kJournalForNodes = 2, kJournalCounts = 256 };
inline constexpr std::uint64_t kJournalConsumers = kJournalForDisk | kJournalForNodes;
inline constexpr std::uint32_t kJournalConsumerLimit = 2;

/// A place in a ring, which is one word: the ring's number and bytes put into it since ever.
inline constexpr std::uint32_t kRingShift = 56;
constexpr std::uint64_t ring_place(std::uint32_t ring, std::uint64_t position) {
  return std::uint64_t{ring} << kRingShift | position;
}
constexpr std::uint32_t ring_of(std::uint64_t place) {
  return static_cast<std::uint32_t>(place >> kRingShift);
}
constexpr std::uint64_t position_in_ring(std::uint64_t place) {
  return place & ((std::uint64_t{1} << kRingShift) - 1);
}

/// A process's ring of journal records; its bytes lie in a file of their own (journal_rings.h). Positions
/// count bytes since ever.
struct JournalState {
  alignas(64) Word tail;  ///< behind the last record; through the redo list
  alignas(64) std::array<Word, kJournalConsumerLimit> heads;  ///< how far each consumer needs no more of it
  std::array<Word, kJournalConsumerLimit> next_heads;         ///< what a consumer is about to make its heads
  Word durable;  ///< all in front of it is on disk; the archiver's
  Word waits;    ///< not 0: the owner wants to be woken when a head, `durable` or DiskState::status has
                 ///< moved; who wakes it clears it first
};

/// How the disk takes the journal. What is not kWorks is with an errno.
enum class DiskStatus : std::uint64_t {
  kWorks,
  kFull,    ///< no space, or the quota is used up
  kFailed,  ///< it answers with another error
};

/// Whether the data is there.
enum class LoadState : std::uint64_t {
  kNone,      ///< all of it
  kWanted,    ///< the archiver is to read it from disk; until then the keyspace is neither read nor written
  kUnderWay,  ///< it does: should it die, what there is counts for nothing
};

/// What the archiver, which alone writes the disk, and the others tell each other. Single words: no redo
/// list.
struct DiskState {
  // The archiver writes:
  Word release_rule;             ///< kWaitForDisk, or 0
  Word status;                   ///< DiskStatus | errno << 8
  std::array<Word, 2> asked_ns;  ///< when (monotonic) the disk was asked to write, and to sync, what it has
                                 ///< not answered yet; 0: nothing
  Word sleeps;         ///< not 0: it is to be woken when there is something for it; who wakes it clears it
                       ///< first
  Word load;           ///< a LoadState; the master's kWanted is the first
  Word load_bytes;     ///< to be read
  Word loaded_bytes;   ///< of them
  Word load_began_ms;  ///< wall clock
  Word loaded_keys;
  // What a successor needs:
  Word known_frame;                    ///< all frames up to it are on disk
  std::array<Word, 2> unsynced_bytes;  ///< of the frames behind it, in two files (unsynced_frames.h)
  Word unsynced_file;                  ///< the one that new frames go to
  Word file;                           ///< the journal's newest file,
  Word file_end;                       ///< and where its last frame ends; 0: not known
  Word is_ready;                       ///< the folder's files are all the data: MANIFEST says so
  // What INFO shows:
  Word syncs;
  Word last_sync_us;
  std::array<Word, 24> sync_times;  ///< how many took less than 2^(i + 1) us
  Word delayed_syncs;               ///< that were due while one was under way
  Word journal_bytes;               ///< written since the segment was made
  Word folder_bytes;                ///< of the journal's files that count
  Word last_sync_ms;                ///< wall clock
  Word save_began_ms;               ///< of the snapshot under way, wall clock; 0: there is none
  Word save_slots;                  ///< that it has
  Word last_save_ms;                ///< when the newest snapshot was complete, wall clock
  Word last_save_took_ms;
  Word last_save_errno;
  Word saves_begun;     ///< the newest wish that a snapshot was begun for,
  Word saves_done;      ///< and that one has answered, be it with an error
  Word saves;           ///< snapshots completed since the segment was made
  Word save_changes;    ///< changes of all slots since ever, when the newest snapshot began
  Word snapshot_bytes;  ///< the newest one's
  // Workers write:
  Word saves_wanted;  ///< counted up for each wish for a snapshot,
  Word hurried_save;  ///< and the newest of them that is to be met as fast as the disk can
  Word is_off;        ///< not 0: CONFIG SET appendonly no; the folder is told of no change
  // The master writes, at start:
  Word process;  ///< the archiver's record, whose FIFO wakes it; 0: there is no archiver
  Word binding;  ///< binding.h

  static constexpr std::uint64_t kWaitForDisk = 1;
  DiskStatus disk_status() const {
    return static_cast<DiskStatus>(status.load(std::memory_order_relaxed) & 255);
  }
  int error_number() const { return static_cast<int>(status.load(std::memory_order_relaxed) >> 8); }
  bool is_loading() const { return load.load(std::memory_order_acquire) != 0; }
  /// No folder's files tell of what is in memory.
  void forget_files() {
    for (Word* word : {&is_ready, &known_frame, &unsynced_bytes[0], &unsynced_bytes[1], &file, &file_end})
      word->store(0);
  }
};

/// A change to make: `value` into `count` consecutive words from `target`.
struct RedoEntry {
  std::uint64_t target;  ///< offset, 48 bits | count << 48
  std::uint64_t value;
};

/// Blocks of one size class that belong to one process.
struct Magazine {
  Word count;
  std::array<Word, kMagazineLimit> blocks;  ///< offsets
};

inline constexpr std::uint32_t kClassLimit = 64;

/// Extents a process owns between two transactions, by role.
enum HeldRole : std::uint32_t {
  kHeldNewRun,
  kHeldNewTable,
  kHeldOldTable,
  kHeldDeadTable,    ///< a flushed slot's table; its blocks are being freed
  kHeldTransaction,  ///< a run that holds a TransactionArea
  kHeldMovedRun,     ///< where a run is being moved to
  kHeldOldRun,       ///< the first of kOldRunLimit places for replaced runs that wait for readers' pins
};
inline constexpr std::uint32_t kOldRunLimit = 8;
inline constexpr std::uint32_t kHeldLimit = kHeldOldRun + kOldRunLimit;

/// The memory of changes to several keys at once, in a run: blocks[block_limit], then redo[redo_limit]. A
/// block or run is listed while it is reserved for the commit, and again when the commit has put it out of
/// use.
struct TransactionArea {
  RunHead head;
  std::uint64_t block_limit;
  std::uint64_t redo_limit;

  static constexpr std::uint64_t bytes_for(std::uint64_t blocks, std::uint64_t redo_entries) {
    return sizeof(TransactionArea) + blocks * sizeof(Word) + redo_entries * sizeof(RedoEntry);
  }
  /// A block's offset (class pages), an Extent (runs), or 0.
  Word& block(std::uint64_t place) { return reinterpret_cast<Word*>(this + 1)[place]; }
  RedoEntry* redo() { return reinterpret_cast<RedoEntry*>(reinterpret_cast<Word*>(this + 1) + block_limit); }
};

/// Sizes in a process's mailbox file. A ring holds twice what a client's messages may pile up to.
inline constexpr std::uint64_t kSubscriptionHalfBytes = 3 << 20 | 512 * 1024;
inline constexpr std::uint64_t kRingBytes = 64 << 20;
inline constexpr std::uint64_t kTrackingFilterBytes = 128 << 10;

/// Of which keys a process wants to hear (Mailbox::tracks).
enum class TrackedKeys : std::uint64_t {
  kNone,
  kOfFilter,  ///< those that its filter has (tracking_filter.h)
  kAll,
};

/// What a process tells the others, and how far it has read what they told. Written by its owner, but for
/// `woken`. Goes through no redo list: a word at a time is all that is ever changed.
struct Mailbox {
  alignas(64) Word tail;  ///< bytes put into the ring since ever: whole messages
  Word reserved;          ///< up to here the ring may be overwritten right now
  Word listens;           ///< not 0: the owner reads the others' rings
  Word woken;             ///< not 0: somebody has woken the owner's wake-up FIFO and it has not looked since
  Word table;             ///< which table is valid (subscription_table.h); 0: no subscriptions
  Word pattern_version;   ///< moves when a pattern's count does
  Word monitors;          ///< clients in MONITOR
  Word question;          ///< not 0: the owner asks the others about their clients, by this number
  std::array<Word, kProcessLimit> cursors;  ///< by writer: how much of its ring was read
  Word answers;  ///< not 0: the owner has clients, and answers questions about them
  Word tracks;   ///< a TrackedKeys: of which keys the owner is to hear that they were changed
  // What INFO shows of its clients' tracking:
  Word tracking_clients;
  Word tracked_keys;
  Word tracked_items;  ///< keys times the clients that track them
  Word tracking_prefixes;
};

/// One process's part. Written by its owner alone, except by a recoverer, under `repair`, after its death.
struct alignas(64) ProcessRecord {
  RobustLock repair;
  std::atomic<std::uint32_t> incarnation;  ///< +1 each time a dead owner's record was repaired by the reaper
  std::atomic<std::uint32_t> pid;
  /// Number of redo entries to be applied; 0: none. With kLongList they are the transaction area's.
  alignas(64) Word committed;
  static constexpr std::uint64_t kLongList = 1ull << 63;
  std::array<RedoEntry, kRedoLimit> redo;
  std::array<Magazine, kClassLimit> magazines;
  Magazine targets;                   ///< blocks that entries of a page which is being emptied move to
  Magazine evacuated;                 ///< blocks that they left
  Word draining;                      ///< the pages this process is emptying: first << 32 | count, 0: none
  std::array<Word, kHeldLimit> held;  ///< Extent words
  alignas(64) std::array<Word, kPinLimit> pins;  ///< offsets of runs being copied without a lock
  alignas(64) std::array<Word, static_cast<std::size_t>(Counter::kCount)> counters;
  JournalState journal;
  Mailbox mailbox;
};

struct Header {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t struct_hash;
  std::uint64_t size_bytes;
  std::uint64_t hash_seed;
  std::uint64_t time_base_ms;  ///< entries' creation times count from here
  Word recoveries;             ///< how often the segment was attached to after its processes had died
  Word value_limit_bytes;      ///< the longest value that commands accept; the master sets it
  std::uint64_t slots_offset;
  std::uint64_t slot_journals_offset;
  std::uint64_t processes_offset;
  Word journal_ring_bytes;  ///< of each process's ring: a power of two; the master sets it
  Word process_count;       ///< records below it may be in use: 0 the master's, then workers'; at most
                            ///< kProcessLimit
  std::uint64_t unit_bitmap_offset;
  std::uint64_t page_infos_offset;
  std::uint64_t page_ages_offset;
  std::uint64_t change_counters_offset;
  std::uint64_t change_counter_count;  ///< a power of two
  std::uint64_t arena_offset;
  std::uint64_t page_count;
  std::atomic<std::uint32_t> master_pid;  ///< whom waiters tell of a lock that is never let go; 0: nobody
  std::atomic<std::uint32_t> lock_timeout_ms;  ///< after how long
  alignas(64) Word flush_generation;           ///< changed under flush_lock
  RobustLock flush_lock;
  /// Set while its holder changes the whole keyspace. Whoever locks a slot and finds `exclusive` set lets go
  /// of it and waits for gate_lock; whoever gets gate_lock and finds it set owns what a dead holder left, and
  /// clears it.
  RobustLock gate_lock;
  Word exclusive;
  Word journal;  ///< JournalBits; consumers change while slots' locks are taken, see journal_writer.h
  std::array<Word, 3> key_watchers;  ///< a bit for each process whose clients watch keys; and key_events.h
  Word evicts;                       ///< not 0: when memory is short, keys are evicted; the master sets it
  Word trackers;  ///< tracker_bit() of each process whose clients track keys; 0: changes are noted by nobody
  alignas(64) Word monitors;  ///< clients in MONITOR; never too small, after deaths perhaps too large
  Word pause;  ///< CLIENT PAUSE: its end, ms since 1970 << 1 | all commands, not only writes; 0: none
  /// The arena's lock guards the unit bitmap, page infos, class pages' bitmaps and the words below it.
  alignas(64) RobustLock arena_lock;
  Word committed_pages;  ///< pages of the arena that fallocate has granted
  Word used_units;
  Word limit_bytes;  ///< memory in use may grow up to here (CONFIG SET maxmemory); 0: as far as there is some
  Word free_pages;   ///< committed pages without a unit in use
  Word page_sequence;  ///< age of the page taken last
  Word ghosts;         ///< Extent of the run with the evicted keys' fingerprints (eviction.cc), or 0
  std::array<Word, kUnitHintLimit>
      unit_hints;              ///< page to look from for extents of [2^i, 2^(i+1)) units; hints
  alignas(64) Word page_hint;  ///< where to look for a free page first; a hint
  std::array<std::array<Word, kClassLimit>, 2>
      open_pages;         ///< pages of the class with free blocks; main pages second
  Word memory_shortages;  ///< counted up to ask every process to give its blocks back; a hint
  std::array<Word, kClassLimit> class_hints;  ///< page with free blocks of the class; hints
  std::array<Word, kClassLimit> main_hints;   ///< the same among main pages
  Word client_ids;                            ///< connections numbered since the segment was made
  Word journal_heads_move;                    ///< a bit for each consumer: its heads are to become next_heads
  Word questions;                             ///< numbers given to Mailbox::question
  /// A bit for each database but 0 whose slots have memory; set under flush_lock, never cleared.
  alignas(64) Word open_databases;
  Word database_change;  ///< a FLUSHDB or SWAPDB under way (database_change.h); 0: none
  /// How many of them each database has had, and SWAPDBs again in the upper half; counted when none of its
  /// slots is read any more until it is done.
  std::array<Word, kDatabaseLimit> database_changes;
  std::uint64_t memory_id;               ///< random, of this segment
  std::array<std::uint64_t, 2> data_id;  ///< of what is in it, wherever else that is; 0: it is in no folder
  alignas(64) DiskState disk;

  /// One word, which every write looks at, has no bit for each process: the last one is that of all from 63
  /// on, and stays set.
  static constexpr std::uint32_t kSharedTrackerBit = 63;
  static constexpr std::uint64_t tracker_bit(std::uint32_t process) {
    return 1ull << (process < kSharedTrackerBit ? process : kSharedTrackerBit);
  }
  void end_tracking(std::uint32_t process) {
    if (process < kSharedTrackerBit) trackers.fetch_and(~tracker_bit(process));
  }

  bool is_open(DatabaseId database) const {
    return database.value == 0 || (open_databases.load(std::memory_order_acquire) >> database.value & 1) != 0;
  }
};
static_assert(sizeof(Header) <= 4096);
static_assert(kProcessLimit <= 64 * std::tuple_size_v<decltype(Header::key_watchers)>);
static_assert(offsetof(Header, magic) == 0 && offsetof(Header, layout_version) == 8);  // in every layout

/// Differs when any struct above has another size: a segment of another build is not attached.
inline constexpr std::uint32_t kStructHash = static_cast<std::uint32_t>(
    (((sizeof(Header) * 31 + sizeof(Slot)) * 31 + sizeof(ProcessRecord)) * 31 + sizeof(Magazine)) * 31 +
    sizeof(SlotJournal) + sizeof(RunHead));

}  // namespace memento
