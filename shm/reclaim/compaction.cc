// Compaction: when no page is free, the blocks that lie free on pages of other sizes are gathered into whole
// pages. So a store that was filled with one size of values, thinned out and then gets another size finds its
// memory again.
//
// The page with the fewest bytes in use is emptied first, given that its class has as much room on its other
// pages: then one page more is free for what it took to move those bytes. A large value needs pages side by
// side: for it a range of contiguous pages is emptied.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "shm/keyspace/keyspace_scopes.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kEvictionRounds = 300;
constexpr int kYieldRounds = 32;
constexpr unsigned kRoundPauseUs = 100;
constexpr std::uint64_t kLineKind = kClassLimit;  // index of pages of tables among the kinds
constexpr std::uint64_t kUsefulLines = 32;        // lines
constexpr std::uint64_t kKinds = 2 * (kClassLimit + 1);

}  // namespace

// The sparsest pages, best first; of each kind one at most.
std::vector<PageIndex> Keyspace::Impl::sparse_pages() const {
  struct Kind {
    std::uint64_t free = 0;  // blocks or lines
    PageIndex best_page;
    std::uint64_t best_free = 0;
    std::uint64_t blocks = 0;  // on a page
    std::uint64_t block_bytes = 0;
  };
  std::array<Kind, kKinds> kinds{};
  const PageIndex end = arena.end_page();
  for (PageIndex page; page < end; ++page) {
    const PageInfo info = arena.info(page);
    if (info.kind() == 0) continue;
    Kind& kind =
        kinds[(info.is_class_page() ? info.size_class() : kLineKind) + (info.is_main() ? kKinds / 2 : 0)];
    if (info.is_class_page()) {
      kind.blocks = kSizeClasses.geometry[info.size_class()].block_count;
      kind.block_bytes = kSizeClasses.geometry[info.size_class()].block_bytes;
    } else {
      kind.blocks = kLinesPerPage;
      kind.block_bytes = kLineBytes;
    }
    // Tables need contiguous lines: what lies free in between does not count.
    kind.free += info.is_class_page() || info.longest() >= kUsefulLines ? info.free() : 0;
    if (info.free() > kind.best_free) {
      kind.best_free = info.free();
      kind.best_page = page;
    }
  }
  std::vector<const Kind*> gains;
  for (const Kind& kind : kinds) {
    const std::uint64_t live = kind.blocks - kind.best_free;
    if (kind.best_free * 16 >= kind.blocks && kind.free >= kind.best_free + live && live < kind.blocks) {
      gains.push_back(&kind);
    }
  }
  std::ranges::sort(gains, {},
                    [](const Kind* kind) { return (kind->blocks - kind->best_free) * kind->block_bytes; });
  std::vector<PageIndex> found;
  found.reserve(gains.size());
  for (const Kind* kind : gains) found.push_back(kind->best_page);
  return found;
}

// True when there are more free pages than before.
bool Keyspace::Impl::compact() {
  if (compaction_failed_ms == now_ms) return false;  // not for every write of a batch
  for (const PageIndex page : sparse_pages()) {
    if (!arena.begin_draining(page, 1)) continue;
    const std::uint64_t before = header.free_pages.load(kRelaxed);
    evacuate_page(page, nullptr);
    arena.end_draining();
    if (header.free_pages.load(kRelaxed) > before) return true;
  }
  compaction_failed_ms = now_ms;
  return false;
}

// REQUIRES: the page is draining. `judge`: nullptr keeps everything.
void Keyspace::Impl::evacuate_page(PageIndex page, const Judge& judge) {
  const PageInfo info = arena.info(page);
  const Offset begin = arena.page_offset(page);
  if (info.is_class_page()) {
    const Judge keep_all = [](std::uint64_t heat) { return Verdict{true, heat, false}; };
    evacuate_blocks(page, info.is_main(), judge != nullptr ? judge : keep_all);
  } else if (arena.used_units_of(page) != 0) {
    evacuate_tables(begin, begin + kPageBytes);
  }
  for (std::uint64_t unit = 0; info.kind() == 0 && unit < kUnitsPerPage; ++unit) {
    if ((info.run_starts() >> unit & 1) == 0) continue;
    if (judge == nullptr) {
      move_run(begin + unit * kUnitBytes);
    } else {
      evict_run_at(begin + unit * kUnitBytes, judge);
    }
  }
}

// For a run longer than what is free side by side: empties the range of pages with the least in use. What is
// there moves elsewhere, or with `evicts` goes. True when there is room for the run.
bool Keyspace::Impl::clear_range(std::uint64_t units, bool evicts) {
  if (!evicts && range_failed_ms == now_ms) return false;
  const std::optional<PageRange> range = sparse_range(units, evicts);
  if (!range || !arena.begin_draining(range->first_page, range->page_count)) return false;
  const Judge evict_all = [](std::uint64_t) { return Verdict{false, 0, false}; };
  bool is_free = true;
  for (PageIndex page = range->first_page; page < range->first_page + range->page_count; ++page) {
    evacuate_page(page, evicts ? evict_all : Judge());
    is_free &= arena.used_units_of(page) >> (page == range->first_page ? range->head_units : 0) == 0;
  }
  arena.end_draining();
  if (!is_free) range_failed_ms = now_ms;
  return is_free;
}

// Units at the front of a page that belong to what begins on a page before.
std::uint64_t Keyspace::Impl::head_units(PageIndex page) const {
  if (arena.info(page).kind() != 0) return 0;
  const std::uint64_t used = arena.used_units_of(page) & ~arena.info(page).run_starts();
  return static_cast<std::uint64_t>(std::countr_one(used));
}

// True when a run begins on the page that takes a range about as long as the one we want: moving it helps
// nothing.
bool Keyspace::Impl::has_long_run(PageIndex page, std::uint64_t units) const {
  for (std::uint64_t starts = arena.info(page).kind() == 0 ? arena.info(page).run_starts() : 0; starts != 0;
       starts &= starts - 1) {
    const Offset run =
        arena.page_offset(page) + static_cast<std::uint64_t>(std::countr_zero(starts)) * kUnitBytes;
    std::uint64_t run_units = 0;  // it may be gone by now: then a hint that is wrong
    racy_copy(reinterpret_cast<char*>(&run_units), base + run, sizeof run_units);
    if (run_units * 2 > units) return true;
  }
  return false;
}

// The range with the fewest units in use. When all has to move: if there is as much room outside of it.
std::optional<Keyspace::Impl::PageRange> Keyspace::Impl::sparse_range(std::uint64_t units,
                                                                      bool evicts) const {
  const std::uint64_t pages = arena.committed_pages();
  std::vector<std::uint64_t> used_before(pages + 1, 0);  // units in use on the pages before
  std::vector<std::uint64_t> free_before(pages + 1, 0);  // free pages before
  std::vector<std::uint64_t> long_before(pages + 1, 0);  // pages before that have long runs
  for (std::uint64_t i = 0; i < pages; ++i) {
    const PageIndex page{i};
    const PageInfo info = arena.info(page);
    auto used = static_cast<std::uint64_t>(std::popcount(arena.used_units_of(page)));
    if (info.is_class_page()) {
      const ClassGeometry& geometry = kSizeClasses.geometry[info.size_class()];
      used = ((geometry.block_count - info.free()) * geometry.block_bytes + kUnitBytes - 1) / kUnitBytes;
    }
    used_before[i + 1] = used_before[i] + used;
    free_before[i + 1] = free_before[i] + (arena.used_units_of(page) == 0);
    long_before[i + 1] = long_before[i] + (!evicts && has_long_run(page, units));
  }
  std::uint64_t least = UINT64_MAX;
  std::optional<PageRange> range;
  for (std::uint64_t begin = 0; begin < pages; ++begin) {
    const PageIndex first_page{begin};
    const std::uint64_t head = head_units(first_page);
    const std::uint64_t end = begin + (head + units + kUnitsPerPage - 1) / kUnitsPerPage;
    if (end > pages || head == kUnitsPerPage) continue;
    const std::uint64_t used = used_before[end] - used_before[begin] - head;
    const std::uint64_t free_outside = free_before[pages] - (free_before[end] - free_before[begin]);
    const bool has_ghosts = ghosts.is_within(arena.page_offset(first_page) + head * kUnitBytes,
                                             arena.page_offset(PageIndex{end}));
    if (used >= least || has_ghosts || long_before[end] > long_before[begin] ||
        (!evicts && free_outside * kUnitsPerPage < used))
      continue;
    least = used;
    range = PageRange{first_page, end - begin, head};
  }
  return range;
}

// When memory is short, tables are not left to the sweep. True when there are more free pages than before.
bool Keyspace::Impl::shrink_tables() {
  if (shrunk_ms == now_ms) return false;
  shrunk_ms = now_ms;
  const Arena::UseOfReserve reserve(arena);
  const std::uint64_t before = header.free_pages.load(kRelaxed);
  bool any = false;
  each_slot([&](SlotId s) { any |= shrink_slot(slots[s]); });
  if (any) compaction_failed_ms = -1;
  return any && (header.free_pages.load(kRelaxed) > before || compact());
}

// Memory is short for an allocation of so many units side by side, 1 for what takes a page: true when some
// came back, so that trying again is worth it.
bool Keyspace::Impl::find_memory(std::uint64_t units) {
  ++rooms_made;
  ++arena.searches;
  if (reclaim_flushed() || compact() || shrink_tables()) return true;
  const bool evicts = header.evicts.load(kRelaxed) != 0;
  const auto is_scattered = [&] {
    return units > 1 && arena.may_take_pages((units + kUnitsPerPage - 1) / kUnitsPerPage);
  };
  if (is_scattered() && clear_range(units, false)) return true;
  for (int round = 0; evicts && round < kEvictionRounds; ++round) {
    if (is_scattered() ? clear_range(units, true) || evict() : evict()) {
      arena.let_replace(true);
      return true;
    }
    if (!has_victims()) break;
    // Others may be at the oldest pages, or in the range: they are done before long.
    if (round < kYieldRounds) {
      sched_yield();
    } else if (arena.others_drain()) {
      usleep(kRoundPauseUs);
    } else {
      break;
    }
  }
  header.memory_shortages.fetch_add(1, kRelaxed);  // others' magazines hold blocks: see maintain()
  return false;
}

}  // namespace memento
