// Extents: runs of 4 KiB units for large values and large tables, lines on pages of tables, and what a
// process holds between two transactions. See arena.h.
#include <unistd.h>

#include <algorithm>
#include <cassert>

#include "shm/arena/arena.h"
#include "shm/arena/free_lines.h"
#include "shm/commit/plant.h"
#include "shm/format/table.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint32_t kReaderWaitUs = 100;
constexpr std::uint32_t kReaderWaitsPerSlice = LockOwner::kWaitSliceMs * 1000 / kReaderWaitUs;

constexpr std::uint64_t bits(std::uint64_t first, std::uint64_t count) {
  return (count >= 64 ? ~0ull : (1ull << count) - 1) << first;
}

}  // namespace

// REQUIRES: arena lock held. First fit over the unit bitmap, from where extents of about this size were found
// last.
std::optional<std::uint64_t> Arena::find_units(std::uint64_t units, bool may_take_free_page) {
  const std::uint64_t pages = header_.committed_pages.load(kRelaxed);
  Word& hint = unit_hint(units);
  const PageIndex end{pages};
  const PageIndex begin{std::min(hint.load(kRelaxed), pages)};
  const std::uint64_t pages_of_extent =
      units / kUnitsPerPage + 2;  // one may begin before the hint and end behind it
  std::optional<std::uint64_t> first = find_units_in(begin, end, units, may_take_free_page);
  if (!first)
    first = find_units_in(PageIndex{}, std::min(begin + pages_of_extent, end), units, may_take_free_page);
  if (first) hint.store(page_of_unit(*first).value, kRelaxed);
  return first;
}

void Arena::lower_unit_hints(PageIndex page) {
  for (Word& hint : header_.unit_hints) {
    if (hint.load(kRelaxed) > page.value) hint.store(page.value, kRelaxed);
  }
}

Word& Arena::unit_hint(std::uint64_t units) {
  return header_
      .unit_hints[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(units)), kUnitHintLimit) - 1];
}

// Among pages [page, end), outside those that are being emptied.
std::optional<std::uint64_t> Arena::find_units_in(PageIndex page, PageIndex end, std::uint64_t units,
                                                  bool may_take_free_page) const {
  std::uint64_t length = 0;
  for (; page < end; ++page) {
    const std::uint64_t used = used_units_of(page);
    if (used == 0xffff || (used == 0 && !may_take_free_page) || info(page).is_draining()) {
      length = 0;
      continue;
    }
    for (std::uint64_t unit = 0; unit < kUnitsPerPage; ++unit) {
      if (used == 0) {
        length += kUnitsPerPage;
        unit = kUnitsPerPage;
      } else {
        length = (used >> unit & 1) ? 0 : length + 1;
      }
      if (length >= units) {
        return first_unit_of(page) + std::min(unit + 1, kUnitsPerPage) - length;
      }
    }
  }
  return std::nullopt;
}

// Pages that have no unit in use, not counting `units` from `first` on.
std::uint64_t Arena::free_pages_around(std::uint64_t first, std::uint64_t units) const {
  std::uint64_t count = 0;
  for (PageIndex page = page_of_unit(first); page <= page_of_unit(first + units - 1); ++page) {
    const std::uint64_t begin = std::max(first, first_unit_of(page)) % kUnitsPerPage;
    const std::uint64_t end = std::min(first + units, first_unit_of(page + 1)) - first_unit_of(page);
    count += (used_units_of(page) & ~bits(begin, end - begin)) == 0;
  }
  return count;
}

// REQUIRES: arena lock held; all of them free, or all in use.
void Arena::stage_units(std::uint64_t first, std::uint64_t units, bool used) {
  stage_used_units(used ? static_cast<std::int64_t>(units) : -static_cast<std::int64_t>(units));
  const auto pages = static_cast<std::int64_t>(free_pages_around(first, units));
  stage_free_pages(used ? -pages : pages);
  if (!used) lower_unit_hints(page_of_unit(first));
  while (units > 0) {
    const std::uint64_t bit = first % 64;
    const std::uint64_t here = std::min(units, 64 - bit);
    if (here == 64) {
      const std::uint64_t words = std::min<std::uint64_t>(units / 64, 65535);
      redo_.stage_fill(units_[first / 64], used ? ~0ull : 0, words);
      first += words * 64;
      units -= words * 64;
      continue;
    }
    Word& word = units_[first / 64];
    const std::uint64_t mask = bits(bit, here);
    redo_.stage(word, used ? word.load(kRelaxed) | mask : word.load(kRelaxed) & ~mask);
    first += here;
    units -= here;
  }
}

// REQUIRES: arena lock held. Notes in the page's info that a run begins, or no longer begins, at the unit.
void Arena::stage_run_start(std::uint64_t first_unit, bool begins) {
  const PageIndex page = page_of_unit(first_unit);
  const std::uint64_t bit = 1ull << first_unit % kUnitsPerPage;
  const PageInfo before = info(page);
  const std::uint64_t starts = begins ? before.run_starts() | bit : before.run_starts() & ~bit;
  const std::uint64_t flags = starts == 0 ? before.flags() & PageInfo::kDraining : before.flags();
  redo_.stage(info_word(page), PageInfo::make(0, starts, 0, flags).word);
  if (begins) redo_.stage(age(page), stage_next_age());
}

bool Arena::allocate_units(std::uint64_t units, std::uint32_t role, Extent::Kind kind, std::uint64_t size) {
  assert(role < kHeldLimit && units > 0 && record_.held[role].load(kRelaxed) == 0);
  ++searches;
  for (;;) {
    {
      const LockGuard guard(owner_, header_.arena_lock);
      std::optional<std::uint64_t> first = find_units(units, true);
      if (first && !may_take_pages(free_pages_around(*first, units))) first = find_units(units, false);
      if (first) {
        const Offset offset{header_.arena_offset + *first * kUnitBytes};
        if (kind == Extent::kRun) {
          auto& head = *reinterpret_cast<RunHead*>(base_ + offset);
          head.units.store(units, kRelaxed);
          head.record.store(0, kRelaxed);
        }
        stage_units(*first, units, true);
        if (kind == Extent::kRun) stage_run_start(*first, true);
        redo_.stage(record_.held[role], Extent::make(offset, size, kind).word);
        redo_.commit();
        return true;
      }
    }
    if (!commit_more_pages(units / kUnitsPerPage + 1)) return false;
  }
}

bool Arena::allocate_run(std::uint64_t bytes, std::uint32_t role) {
  const std::uint64_t units = (bytes + sizeof(RunHead) + kUnitBytes - 1) / kUnitBytes;
  return allocate_units(units, role, Extent::kRun, units);
}

Offset Arena::new_run_entry() const {
  return entry_of_run(Extent{record_.held[kHeldNewRun].load(kRelaxed)}.offset());
}

// REQUIRES: arena lock held.
std::optional<PageIndex> Arena::find_line_page(std::uint64_t lines) {
  const std::uint64_t pages = header_.committed_pages.load(kRelaxed);
  Word& hint = header_.class_hints[kClassLimit - 1];
  for (std::uint64_t i = 0; i < pages; ++i) {
    const PageIndex page{(hint.load(kRelaxed) + i) % pages};
    const PageInfo found = info(page);
    if (found.kind() == kLinePage && found.longest() >= lines && !found.is_draining()) {
      hint.store(page.value, kRelaxed);
      return page;
    }
  }
  return std::nullopt;
}

// REQUIRES: arena lock held. Stages the bits of `lines` lines and the page's new totals.
void Arena::stage_lines(PageIndex page, std::uint64_t first, std::uint64_t lines, bool used) {
  Word* words = page_words(page);
  LineBitmap image;
  for (std::size_t w = 0; w < image.size(); ++w) image[w] = redo_.load(words[w]);
  assert(next_line_that(!used, image, first) == first && next_line_that(used, image, first) >= first + lines);
  mark_lines(&image, first, lines, used);
  const FreeLines now_free = count_free_lines(image);
  for (std::uint64_t w = first / 64; w <= (first + lines - 1) / 64; ++w) redo_.restage(words[w], image[w]);
  if (now_free.count == kLinesPerPage) {
    stage_page_release(page);
  } else {
    const std::uint64_t flags = PageInfo{redo_.load(info_word(page))}.flags();
    redo_.restage(info_word(page), PageInfo::make(kLinePage, now_free.count, now_free.longest, flags).word);
  }
}

bool Arena::allocate_table(std::uint64_t lines) {
  assert(record_.held[kHeldNewTable].load(kRelaxed) == 0);
  if (lines > kSmallTableLines) {
    return allocate_units((lines * kLineBytes + kUnitBytes - 1) / kUnitBytes, kHeldNewTable, Extent::kTable,
                          lines);
  }
  for (;;) {
    {
      const LockGuard guard(owner_, header_.arena_lock);
      std::optional<PageIndex> page = find_line_page(lines);
      if (!page) page = claim_page(kLinePage, 0);
      if (page) {
        const Word* words = page_words(*page);
        LineBitmap used;
        for (std::size_t w = 0; w < used.size(); ++w) used[w] = words[w].load(kRelaxed);
        const std::uint64_t first = find_free_lines(used, lines).value();  // its info says that there are
        stage_lines(*page, first, lines, true);
        const Offset offset = page_offset(*page) + kLinePageHeaderBytes + first * kLineBytes;
        redo_.stage(record_.held[kHeldNewTable], Extent::make(offset, lines, Extent::kTable).word);
        redo_.commit();
        return true;
      }
    }
    if (!commit_more_pages(1)) return false;
  }
}

void Arena::free_held(std::uint32_t role) {
  assert(role < kHeldLimit);
  const Extent extent{record_.held[role].load(kRelaxed)};
  if (extent.word == 0) return;
  const LockGuard guard(owner_, header_.arena_lock);
  const std::uint64_t first_byte = in_arena(extent.offset());
  if (extent.kind() == Extent::kTable && extent.size() <= kSmallTableLines) {
    stage_lines(page_of(extent.offset()), (first_byte % kPageBytes - kLinePageHeaderBytes) / kLineBytes,
                extent.size(), false);
  } else {
    const std::uint64_t units = extent.kind() == Extent::kRun
                                    ? extent.size()
                                    : (extent.size() * kLineBytes + kUnitBytes - 1) / kUnitBytes;
    stage_units(first_byte / kUnitBytes, units, false);
    if (extent.kind() == Extent::kRun) stage_run_start(first_byte / kUnitBytes, false);
  }
  redo_.stage(record_.held[role], 0);
  redo_.commit();
}

std::uint64_t Arena::capacity(Offset entry_offset) const {
  const PageInfo page = info(page_of(entry_offset));
  if (page.kind() != 0) return kSizeClasses.geometry[page.size_class()].block_bytes;
  return run_head(run_of(entry_offset)).units.load(kRelaxed) * kUnitBytes - sizeof(RunHead);
}

// Null: no process copies it.
const Word* Arena::find_pin(Offset entry_offset, std::uint32_t* process) const {
  if (planted(Plant::kPinIgnored)) return nullptr;
  for (std::uint32_t i = 0; i < header_.process_count; ++i) {
    for (const Word& pin : segment_.process(i).pins) {
      if (Offset{pin.load(std::memory_order_acquire)} != entry_offset) continue;
      *process = i;
      return &pin;
    }
  }
  return nullptr;
}

bool Arena::is_pinned(Offset entry_offset) const {
  std::uint32_t process = 0;
  return find_pin(entry_offset, &process) != nullptr;
}

bool Arena::is_pinned_by_others(Offset entry_offset) const {
  for (std::uint32_t i = 0; i < header_.process_count; ++i) {
    const ProcessRecord& other = segment_.process(i);
    if (&other == &record_) continue;
    for (const Word& pin : other.pins) {
      if (Offset{pin.load(std::memory_order_acquire)} == entry_offset) return true;
    }
  }
  return false;
}

bool Arena::free_old_runs() {
  bool all_free = true;
  for (std::uint32_t i = 0; i < kOldRunLimit; ++i) {
    const Extent extent{record_.held[kHeldOldRun + i].load(kRelaxed)};
    if (extent.word == 0) continue;
    if (is_pinned(entry_of_run(extent.offset())) || is_in_journal(extent.offset())) {
      all_free = false;
    } else {
      free_held(kHeldOldRun + i);
    }
  }
  return all_free;
}

// A record names the run that a consumer of the ring has yet to read.
bool Arena::is_in_journal(Offset run) const {
  const std::uint64_t place = run_head(run).record.load(kRelaxed);
  if (place == 0) [[likely]]
    return false;
  const std::uint64_t journal = header_.journal.load(std::memory_order_acquire);
  const JournalState& ring = segment_.process(ring_of(place)).journal;
  for (std::uint32_t consumer = 0; consumer < kJournalConsumerLimit; ++consumer) {
    if ((journal >> consumer & 1) != 0 &&
        ring.heads[consumer].load(std::memory_order_acquire) < position_in_ring(place))
      return true;
  }
  return false;
}

// Readers that copy the old runs finish without us, but for one that was stopped: that is the master's to
// end.
bool Arena::wait_for_readers(ReaderWait* wait) {
  if (free_old_runs()) return true;
  const auto waits_for_journal = [this](const Word& held) {
    const Extent run{held.load(kRelaxed)};
    return run.word == 0 || (is_in_journal(run.offset()) && !is_pinned(entry_of_run(run.offset())));
  };
  if (std::all_of(&record_.held[kHeldOldRun], record_.held.data() + kHeldLimit, waits_for_journal))
    return false;
  usleep(kReaderWaitUs);
  if (++wait->moments % kReaderWaitsPerSlice != 0) return true;
  for (std::uint32_t i = 0; i < kOldRunLimit; ++i) {
    const Extent extent{record_.held[kHeldOldRun + i].load(kRelaxed)};
    std::uint32_t process = 0;
    const Word* pin = extent.word == 0 ? nullptr : find_pin(entry_of_run(extent.offset()), &process);
    if (pin == nullptr) continue;
    owner_.on_slow_wait(pin, segment_.process(process).pid.load(kRelaxed), &wait->slow[i]);
  }
  return true;
}

TransactionArea* Arena::transaction_area() const {
  const Extent run{record_.held[kHeldTransaction].load(kRelaxed)};
  return run.word == 0 ? nullptr : reinterpret_cast<TransactionArea*>(base_ + run.offset());
}

std::uint64_t Arena::block_word(Offset entry_offset) const {
  if (is_class_page(entry_offset)) return entry_offset.value;
  const Offset run = run_of(entry_offset);
  return Extent::make(run, run_head(run).units.load(kRelaxed), Extent::kRun).word;
}

// Stages that `place` no longer holds what it names (a block's offset, an extent, a cell's entry) and gives
// that back. False: not before the journal has been read.
bool Arena::give_back_from(Word& place, Offset entry_offset) {
  for (ReaderWait wait; !has_room_for(entry_offset);) {
    if (!wait_for_readers(&wait) && !has_room_for(entry_offset)) return false;
  }
  settle(entry_offset);  // a dead predecessor may have left the magazine full
  redo_.stage(place, 0);
  stage_exchange(kNoClass, entry_offset);
  redo_.commit();
  settle(entry_offset);
  return true;
}

bool Arena::drain_area(std::uint64_t end) {
  TransactionArea* area = transaction_area();
  if (area == nullptr) return true;
  for (std::uint64_t place = 0; place < std::min(end, area->block_limit); ++place) {
    Word& word = area->block(place);
    const Extent extent{word.load(kRelaxed)};
    if (extent.word == 0) continue;
    const bool is_run = extent.kind() == Extent::kRun;
    if (!give_back_from(word, is_run ? entry_of_run(extent.offset()) : Offset{extent.word})) return false;
  }
  return true;
}

bool Arena::drain_dead_table() {
  const Extent table{record_.held[kHeldDeadTable].load(kRelaxed)};
  if (table.word == 0) return true;
  Word* cells = table_cells(base_, table);
  for (std::uint64_t i = 0; i < table.size() * kCellsPerLine; ++i) {
    const std::uint64_t cell = cells[i].load(kRelaxed);
    if (Cell::live(cell) && !give_back_from(cells[i], Cell::offset(cell))) return false;
  }
  free_held(kHeldDeadTable);
  return true;
}

void Arena::give_back_all() {
  (void)drain_dead_table();  // what has to stay is found by who comes next
  const bool is_drained = drain_area(UINT64_MAX);
  end_draining();
  finish_evacuation();
  give_back_blocks();
  for (const std::uint32_t role : {kHeldNewRun, kHeldNewTable, kHeldOldTable, kHeldMovedRun}) free_held(role);
  if (is_drained) free_held(kHeldTransaction);
  free_old_runs();
}

}  // namespace memento
