// See check.h. One pass over slots and records notes what is in use, a second over the pages compares. The
// slots of a large segment are shared out among threads, which note what they find in bitmaps of atomic
// words.
#include "shm/check.h"

#include <linux/futex.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "shm/arena/arena.h"
#include "shm/format/entry.h"
#include "shm/format/table.h"
#include "shm/journal/ring_check.h"
#include "shm/keyspace/hash.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr std::size_t kErrorLimit = 20;
constexpr std::uint64_t kKeysForThreads = 100'000;
constexpr unsigned kThreadLimit = 8;
constexpr std::uint32_t kSlotsAtOnce = 64;
constexpr std::size_t kEntriesAhead = 16;  // whose memory is on its way while others are checked
constexpr std::uint64_t kBlocksPerPage = kPageBytes / 16;

/// Bits that several threads set.
class SharedBits {
 public:
  explicit SharedBits(std::uint64_t count) : words_(new std::atomic<std::uint64_t>[count / 64 + 1]()) {}
  /// False when it was set already.
  bool set(std::uint64_t bit) {
    const std::uint64_t mask = 1ull << bit % 64;
    return (words_[bit / 64].fetch_or(mask, std::memory_order_relaxed) & mask) == 0;
  }
  bool operator[](std::uint64_t bit) const {
    return words_[bit / 64].load(std::memory_order_relaxed) >> bit % 64 & 1;
  }

 private:
  std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
};

class Checker {
 public:
  explicit Checker(Segment& segment)
      : segment_(segment),
        base_(segment.base()),
        header_(segment.header()),
        units_(reinterpret_cast<Word*>(base_ + header_.unit_bitmap_offset)),
        page_infos_(reinterpret_cast<Word*>(base_ + header_.page_infos_offset)),
        page_count_(header_.committed_pages.load()),
        owned_units_(page_count_ * kUnitsPerPage),
        owned_blocks_(page_count_ * kBlocksPerPage),
        run_starts_(page_count_ * kUnitsPerPage),
        draining_(page_count_) {}

  CheckReport run() {
    check_slots();
    check_lock("arena", header_.arena_lock);
    check_lock("FLUSH", header_.flush_lock);
    check_lock("gate", header_.gate_lock);
    for (std::uint32_t i = 0; i < header_.process_count; ++i) check_record(i, segment_.process(i));
    if (const Extent ghosts{header_.ghosts.load()}; ghosts.word != 0) own_extent("ghosts", ghosts);
    check_pages();
    for (const std::string& error : check_rings(segment_)) fail(error);
    report_.key_count = key_count_;
    return std::move(report_);
  }

 private:
  void fail(const std::string& message) {
    const std::lock_guard guard(report_mutex_);
    if (report_.errors.size() < kErrorLimit) report_.errors.push_back(message);
  }

  bool in_arena(Offset offset, std::uint64_t bytes) const {
    return offset.value >= header_.arena_offset &&
           offset.value + bytes <= header_.arena_offset + page_count_ * kPageBytes;
  }

  void check_slots() {
    const SlotArray slots(base_ + header_.slots_offset);
    std::uint64_t keys = 0;
    std::vector<SlotId> first_slots;  // of so many each, to be checked by one thread
    for (DatabaseId database; database < kDatabaseEnd; ++database) {
      if (!header_.is_open(database)) continue;
      for (SlotId s; s < kSlotEnd; ++s) {
        keys += slots[slot_in(database, s)].cells.load() & 0xffffffff;
        if (s.value % kSlotsAtOnce == 0) first_slots.push_back(slot_in(database, s));
      }
    }
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i; (i = next.fetch_add(1)) < first_slots.size();) {
        for (SlotId s = first_slots[i]; s < first_slots[i] + kSlotsAtOnce; ++s) check_slot(s, slots[s]);
      }
    };
    std::vector<std::thread> helpers;
    const unsigned threads = std::min(std::thread::hardware_concurrency(), kThreadLimit);
    if (keys > kKeysForThreads) {
      for (unsigned i = 1; i < threads; ++i) helpers.emplace_back(work);
    }
    work();
    for (std::thread& helper : helpers) helper.join();
  }

  // A lock that a dead process left marked is as good as free: who takes it repairs first.
  void check_lock(const std::string& name, const RobustLock& lock) {
    if ((lock.word.load() & FUTEX_TID_MASK) != 0) fail(name + ": locked");
  }

  void check_slot(SlotId id, const Slot& slot) {
    // Most slots of a small segment were never used; naming each would take longer than all the checks.
    if (slot.lock.word.load() == 0 && slot.table.load() == 0 && slot.cells.load() == 0 &&
        slot.bytes.load() == 0) {
      return;
    }
    const std::string name = "slot " + std::to_string(id.value);
    check_lock(name, slot.lock);
    const bool is_begun = header_.database_change.load() != 0;  // by one that has died
    if (slot.is_changing() && (slot.lock.word.load() & FUTEX_OWNER_DIED) == 0 && !is_begun)
      fail(name + ": marked as changing");
    const Extent table{slot.table.load()};
    const bool current = slot.generation.load() == header_.flush_generation.load();
    std::uint64_t live = 0, used = 0, bytes = 0, expiring = 0;
    if (table.word != 0) {
      if (!own_extent(name + " table", table)) return;
      walk_table(name, table, current ? std::optional(id) : std::nullopt, &live, &used, &bytes, &expiring);
    }
    if ((slot.cells.load() & 0xffffffff) != live || slot.cells.load() >> 32 != used)
      fail(name + ": cell counts differ");
    if (slot.bytes.load() != (bytes | expiring << 40)) fail(name + ": byte or expiry counts differ");
    if (current) key_count_ += live;
  }

  void walk_table(const std::string& name, Extent table, std::optional<SlotId> slot, std::uint64_t* live,
                  std::uint64_t* used, std::uint64_t* bytes, std::uint64_t* expiring) {
    const Word* cells = table_cells(base_, table);
    std::array<std::uint64_t, kEntriesAhead> ahead;  // indices of live cells
    std::size_t count = 0;
    const auto check_those_ahead = [&] {
      for (std::size_t i = 0; i < count; ++i) check_entry(name, table, slot, ahead[i], bytes, expiring);
      count = 0;
    };
    for (std::uint64_t i = 0; i < table.size() * kCellsPerLine; ++i) {
      const std::uint64_t cell = cells[i].load();
      if (cell == 0) continue;
      ++*used;
      if (!Cell::live(cell)) continue;
      ++*live;
      if (!in_arena(Cell::offset(cell), 8)) {
        fail(name + ": a cell points outside the arena");
        continue;
      }
      __builtin_prefetch(base_ + Cell::offset(cell));
      ahead[count++] = i;
      if (count == kEntriesAhead) check_those_ahead();
    }
    check_those_ahead();
  }

  void check_entry(const std::string& name, Extent table, std::optional<SlotId> slot, std::uint64_t index,
                   std::uint64_t* bytes, std::uint64_t* expiring) {
    const Word* cells = table_cells(base_, table);
    const std::uint64_t cell = cells[index].load();
    const Offset offset = Cell::offset(cell);
    const Entry entry = Entry::parse(base_ + offset);
    if (!in_arena(offset, entry.total_bytes()) || !own_block(name, offset, entry.total_bytes())) return;
    *bytes += entry.key_bytes + entry.value_bytes;
    *expiring += entry.expires();
    const std::string_view key(entry.key(), entry.key_bytes);
    if (Cell::tag_of_hash(hash_in_slot(key, header_.hash_seed)) != Cell::tag(cell)) {
      fail(name + ": a cell's tag is not its key's");
    }
    if (slot && slot_of_key(key) != hash_slot(*slot)) fail(name + ": a key of another slot");
    check_search(name, cells, table.size(), index, key);
  }

  // The search for a key must come to its cell, and to no other cell of that key before.
  void check_search(const std::string& name, const Word* cells, std::uint64_t lines, std::uint64_t index,
                    std::string_view key) {
    const std::uint64_t tag = Cell::tag(cells[index].load());
    std::uint64_t line = home_line(tag, lines);
    for (std::uint64_t n = 0; n < lines; ++n, line = line + 1 == lines ? 0 : line + 1) {
      bool has_empty = false;
      for (std::uint64_t at = line * kCellsPerLine; at < (line + 1) * kCellsPerLine; ++at) {
        if (at == index) return;
        const std::uint64_t cell = cells[at].load();
        has_empty |= cell == 0;
        if (Cell::live(cell) && Cell::tag(cell) == tag && holds(cell, key))
          fail(name + ": a key is there twice");
      }
      if (has_empty && index / kCellsPerLine != line) break;
    }
    fail(name + ": a key that a search does not find");
  }

  bool holds(std::uint64_t cell, std::string_view key) const {
    if (!in_arena(Cell::offset(cell), 8)) return false;
    const Entry entry = Entry::parse(base_ + Cell::offset(cell));
    return in_arena(Cell::offset(cell), entry.total_bytes()) &&
           std::string_view(entry.key(), entry.key_bytes) == key;
  }

  std::uint64_t byte_of_arena(Offset offset) const { return offset.value - header_.arena_offset; }
  PageIndex page_of(Offset offset) const { return PageIndex{byte_of_arena(offset) / kPageBytes}; }
  PageInfo info(PageIndex page) const { return {page_infos_[page.value].load()}; }
  const Word* page_words(PageIndex page) const {
    return reinterpret_cast<Word*>(base_ + header_.arena_offset + page.value * kPageBytes);
  }

  bool own_block(const std::string& who, Offset offset, std::uint64_t bytes) {
    const PageIndex page = page_of(offset);
    const std::uint64_t kind = info(page).kind();
    if (kind == 0) {
      const Offset run = run_of(offset);
      const std::uint64_t units = reinterpret_cast<Word*>(base_ + run)->load();
      if (bytes > units * kUnitBytes - sizeof(RunHead)) fail(who + ": an entry is longer than its run");
      note_run_start(run);
      return own_units(who, run, units);
    }
    if (kind > kSizeClasses.count) {
      fail(who + ": a block on a page of tables");
      return false;
    }
    const ClassGeometry& geometry = kSizeClasses.geometry[kind - 1];
    const std::uint64_t in_page = byte_of_arena(offset) % kPageBytes;
    if (in_page < geometry.first_offset || (in_page - geometry.first_offset) % geometry.block_bytes != 0) {
      fail(who + ": an offset inside a block");
      return false;
    }
    if (bytes > geometry.block_bytes) fail(who + ": an entry is longer than its block");
    return own_bits(who, page, (in_page - geometry.first_offset) / geometry.block_bytes, 1);
  }

  bool own_extent(const std::string& who, Extent extent) {
    if (!in_arena(extent.offset(),
                  extent.size() * (extent.kind() == Extent::kRun ? kUnitBytes : kLineBytes))) {
      fail(who + ": outside the arena");
      return false;
    }
    if (extent.kind() == Extent::kRun) {
      if (extent.word != header_.ghosts.load()) note_run_start(extent.offset());
      return own_units(who, extent.offset(), extent.size());
    }
    if (extent.size() > kSmallTableLines) {
      return own_units(who, extent.offset(), (extent.size() * kLineBytes + kUnitBytes - 1) / kUnitBytes);
    }
    const PageIndex page = page_of(extent.offset());
    if (info(page).kind() != kLinePage) {
      fail(who + ": a table that is not on a page of tables");
      return false;
    }
    return own_bits(who, page,
                    (byte_of_arena(extent.offset()) % kPageBytes - kLinePageHeaderBytes) / kLineBytes,
                    extent.size());
  }

  void note_run_start(Offset run) { run_starts_.set(byte_of_arena(run) / kUnitBytes); }

  bool own_units(const std::string& who, Offset offset, std::uint64_t count) {
    const std::uint64_t first = byte_of_arena(offset) / kUnitBytes;
    for (std::uint64_t unit = first; unit < first + count; ++unit) {
      if (unit >= page_count_ * kUnitsPerPage || !owned_units_.set(unit)) {
        fail(who + ": a unit owned twice or out of range");
        return false;
      }
      if ((units_[unit / 64].load() >> unit % 64 & 1) == 0) fail(who + ": a unit in use is marked free");
    }
    return true;
  }

  bool own_bits(const std::string& who, PageIndex page, std::uint64_t first, std::uint64_t count) {
    const Word* words = page_words(page);
    for (std::uint64_t bit = first; bit < first + count; ++bit) {
      if (!owned_blocks_.set(page.value * kBlocksPerPage + bit)) {
        fail(who + ": a block owned twice");
        return false;
      }
      if ((words[bit / 64].load() >> bit % 64 & 1) == 0) fail(who + ": a block in use is marked free");
    }
    return true;
  }

  void check_record(std::uint32_t index, const ProcessRecord& record) {
    const std::string name = "process " + std::to_string(index);
    check_lock(name + " repair", record.repair);
    if (record.committed.load() != 0) fail(name + ": a redo list left committed");
    for (std::uint32_t c = 0; c < kSizeClasses.count; ++c) {
      const Magazine& magazine = record.magazines[c];
      if (magazine.count.load() >= kMagazineLimit) {  // one place stays free for what a commit replaces
        fail(name + ": a magazine without a free place");
        continue;
      }
      for (std::uint64_t i = 0; i < magazine.count.load(); ++i)
        own_block(name + " magazine", Offset{magazine.blocks[i].load()}, 0);
    }
    for (const Magazine* magazine : {&record.targets, &record.evacuated}) {
      for (std::uint64_t i = 0; i < magazine->count.load(); ++i) {
        own_block(name + " evacuation", Offset{magazine->blocks[i].load()}, 0);
      }
    }
    check_area(name + " transaction area", record);
    const std::uint64_t draining = record.draining.load();
    for (std::uint64_t page = draining >> 32; page < (draining >> 32) + (draining & 0xffffffff); ++page) {
      if (page < draining_.size()) draining_[page] = true;
    }
    for (std::uint32_t role = 0; role < kHeldLimit; ++role) {
      const Extent extent{record.held[role].load()};
      if (extent.word == 0 || !own_extent(name + " held extent", extent) || role != kHeldDeadTable) continue;
      std::uint64_t live = 0, used = 0, bytes = 0, expiring = 0;
      walk_table(name + " dead table", extent, std::nullopt, &live, &used, &bytes, &expiring);
    }
  }

  void check_area(const std::string& name, const ProcessRecord& record) {
    const Extent run{record.held[kHeldTransaction].load()};
    if (run.word == 0 || !in_arena(run.offset(), run.size() * kUnitBytes)) return;
    auto& area = *reinterpret_cast<TransactionArea*>(base_ + run.offset());
    if (TransactionArea::bytes_for(area.block_limit, area.redo_limit) > run.size() * kUnitBytes) {
      fail(name + ": longer than its run");
      return;
    }
    for (std::uint64_t place = 0; place < area.block_limit; ++place) {
      const Extent listed{area.block(place).load()};
      if (listed.kind() == Extent::kRun) {
        own_extent(name, listed);
      } else if (listed.word != 0) {
        own_block(name, Offset{listed.word}, 0);
      }
    }
  }

  std::uint64_t run_starts_of(PageIndex page) const {
    std::uint64_t starts = 0;
    for (std::uint64_t unit = 0; unit < kUnitsPerPage; ++unit) {
      starts |= static_cast<std::uint64_t>(run_starts_[page.value * kUnitsPerPage + unit]) << unit;
    }
    return starts;
  }

  void check_pages() {
    std::uint64_t used_units = 0;
    std::uint64_t free_pages = 0;
    std::array<std::array<std::uint64_t, kClassLimit>, 2> open_pages{};
    for (std::uint64_t number = 0; number < page_count_; ++number) {
      const PageIndex page{number};
      const std::string name = "page " + std::to_string(number);
      const PageInfo info = this->info(page);
      const std::uint64_t kind = info.kind();
      const std::uint64_t unit_bits = units_[number / 4].load() >> number % 4 * kUnitsPerPage & 0xffff;
      used_units += static_cast<std::uint64_t>(std::popcount(unit_bits));
      free_pages += unit_bits == 0;
      if (info.is_draining() && !draining_[number]) fail(name + ": draining, and no process empties it");
      if (kind == 0) {
        if (info.run_starts() != run_starts_of(page)) fail(name + ": beginnings of runs differ");
        for (std::uint64_t unit = 0; unit < kUnitsPerPage; ++unit) {
          if ((unit_bits >> unit & 1) && !owned_units_[number * kUnitsPerPage + unit])
            fail(name + ": a lost unit");
        }
        continue;
      }
      if (unit_bits != 0xffff) fail(name + ": in use but marked free");
      const std::uint64_t blocks =
          kind == kLinePage ? kLinesPerPage : kSizeClasses.geometry[kind - 1].block_count;
      const Word* words = page_words(page);
      std::uint64_t set = 0;
      for (std::uint64_t bit = 0; bit < blocks; ++bit) {
        const bool used = words[bit / 64].load() >> bit % 64 & 1;
        set += used;
        if (used && !owned_blocks_[number * kBlocksPerPage + bit]) fail(name + ": a lost block");
      }
      if (info.free() != blocks - set) fail(name + ": free count differs");
      if (info.is_class_page() && info.free() > 0) ++open_pages[info.is_main()][info.size_class()];
    }
    // A dead gate holder's mark is cleared by the next one.
    const bool has_died = (header_.gate_lock.word.load() & FUTEX_OWNER_DIED) != 0;
    if (header_.exclusive.load() != 0 && !has_died) fail("the keyspace is marked as changed as a whole");
    if (header_.database_change.load() != 0 && (!has_died || header_.exclusive.load() == 0))
      fail("a database's change was left half done");
    for (const bool is_main : {false, true}) {
      for (std::uint32_t c = 0; c < kClassLimit; ++c) {
        if (open_pages[is_main][c] != header_.open_pages[is_main][c].load())
          fail("count of pages with free blocks differs");
      }
    }
    if (free_pages != header_.free_pages.load()) fail("count of free pages differs");
    if (used_units != header_.used_units.load()) fail("count of used units differs");
  }

  Segment& segment_;
  char* base_;
  Header& header_;
  Word* units_;
  Word* page_infos_;
  std::uint64_t page_count_;
  SharedBits owned_units_;
  SharedBits owned_blocks_;     ///< kBlocksPerPage for each page
  SharedBits run_starts_;       ///< units at which an entry's run begins
  std::vector<bool> draining_;  ///< pages that some process's record says it is emptying
  std::mutex report_mutex_;
  std::atomic<std::uint64_t> key_count_{0};
  CheckReport report_;
};

}  // namespace

CheckReport check_segment(Segment& segment) { return Checker(segment).run(); }

}  // namespace memento
