// Eviction, page by page: S3-FIFO (Yang et al., SOSP 2023) with pages in place of entries in the queues. New
// entries fill small pages. The oldest small page is emptied while small pages are more than a tenth of all:
// entries read since they came move to a main page, the others go and leave a ghost. Otherwise the oldest
// main page is emptied: entries read since move to a new main page with one less of heat, the others go. So
// eviction is evacuation (evacuation.cc) with a judge.
//
// A page's age is the count of pages taken before it. Runs are not moved: a page on which one begins that was
// read gets another round.
#include <algorithm>
#include <cstring>

#include "shm/keyspace/hash.h"
#include "shm/keyspace/keyspace_scopes.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::size_t kVictimsAtOnce = 64;
constexpr std::uint64_t kSmallShare = 10;  // one page of so many is small
constexpr int kAttempts = 512;
constexpr std::uint64_t kBytesPerGhost = 128;

}  // namespace

// The oldest pages of both queues. Another process may take them too; then they are skipped.
void Keyspace::Impl::find_victims() {
  for (VictimQueue* queue : {&small_victims, &main_victims}) {
    queue->oldest.clear();
    queue->page_count = 0;
  }
  const PageIndex end = arena.end_page();
  for (PageIndex page; page < end; ++page) {
    const PageInfo info = arena.info(page);
    const bool holds_entries = info.is_class_page() || (info.kind() == 0 && info.run_starts() != 0);
    if (!holds_entries) continue;
    VictimQueue& queue = info.is_main() ? main_victims : small_victims;
    ++queue.page_count;
    queue.oldest.push_back({arena.age(page).load(kRelaxed), page});
  }
  for (VictimQueue* queue : {&small_victims, &main_victims}) {
    auto& oldest = queue->oldest;
    const std::size_t kept = std::min(kVictimsAtOnce, oldest.size());
    std::ranges::partial_sort(oldest, oldest.begin() + static_cast<std::ptrdiff_t>(kept), {}, &Victim::age);
    oldest.resize(kept);
    std::ranges::reverse(oldest);  // taken from the back
  }
}

// True when there are more free pages, or units, than before.
bool Keyspace::Impl::evict() {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t total = small_victims.page_count + main_victims.page_count;
    bool from_small = small_victims.page_count * kSmallShare > total || main_victims.page_count == 0;
    if ((from_small ? small_victims : main_victims).oldest.empty()) {
      find_victims();
      if (small_victims.oldest.empty() && main_victims.oldest.empty()) return false;
      from_small = !small_victims.oldest.empty() && (small_victims.page_count * kSmallShare >
                                                         small_victims.page_count + main_victims.page_count ||
                                                     main_victims.oldest.empty());
    }
    VictimQueue& queue = from_small ? small_victims : main_victims;
    const Victim victim = queue.oldest.back();
    queue.oldest.pop_back();
    --queue.page_count;
    const PageInfo info = arena.info(victim.page);
    if (arena.age(victim.page).load(kRelaxed) != victim.age || info.is_main() == from_small) continue;
    const auto judge = [from_small](std::uint64_t heat) {
      return Verdict{heat > 0, from_small || heat == 0 ? 0 : heat - 1, from_small && heat == 0};
    };
    if (info.is_class_page()) {
      if (!arena.begin_draining(victim.page, 1)) continue;
      const std::uint64_t before = header.free_pages.load(kRelaxed);
      if (arena.info(victim.page).is_main() != from_small) evacuate_blocks(victim.page, true, judge);
      arena.end_draining();
      if (header.free_pages.load(kRelaxed) > before) return true;
    } else if (evict_runs(victim.page, judge)) {
      return true;
    }
  }
  return false;
}

// Judges the runs that begin on a page. True when one went.
bool Keyspace::Impl::evict_runs(PageIndex page, const Judge& judge) {
  bool any_went = false;
  const std::uint64_t starts = arena.info(page).run_starts();
  for (std::uint64_t unit = 0; unit < kUnitsPerPage; ++unit) {
    if (arena.info(page).kind() != 0 || (starts >> unit & 1) == 0) continue;
    any_went |= evict_run_at(arena.page_offset(page) + unit * kUnitBytes, judge);
  }
  arena.free_old_runs();
  if (arena.info(page).run_starts() != 0) arena.renew_age(page, true);
  return any_went;
}

bool Keyspace::Impl::evict_run_at(Offset run, const Judge& judge) {
  const Offset entry = entry_of_run(run);
  const std::optional<HashedKey> key = referrer_of(entry, find_committed_end() - entry);
  if (!key) return false;
  if (!arena.has_room_for_run() && !arena.free_old_runs())
    return false;  // readers copy what was evicted before
  const bool went = evict_run(run, *key, judge);
  arena.free_old_runs();
  return went;
}

bool Keyspace::Impl::evict_run(Offset run, const HashedKey& key, const Judge& judge) {
  Slot& slot = slots[key.slot];
  RemovalNote note(*this, key);
  const SlotGuard guard(*this, slot);
  const std::optional<Reference> reference = refers_to(key, entry_of_run(run));
  if (!reference || arena.is_class_page(run)) return false;
  const auto& [entry, cell] = *reference;
  const std::uint64_t value = cell->load(kRelaxed);
  const Verdict verdict = judge(Cell::heat(value));
  if (verdict.keeps && !entry.expired(now_ms)) {
    redo.stage(*cell, Cell::moved(value, Cell::offset(value), verdict.heat));
    redo.commit();
    return false;
  }
  if (!journal_takes_removal(key)) return false;
  stage_erase(slot, *cell, entry, entry.expired(now_ms) ? kRecordExpired : kRecordEvicted);
  arena.stage_exchange(Arena::kNoClass, entry_of_run(run));
  commit_change(slot, key, ChangeCause::kServer);
  count(entry.expired(now_ms) ? Counter::kExpired : Counter::kEvicted, 1);
  note.set(!entry.expired(now_ms));
  if (verdict.leaves_ghost) ghosts.add(key.hash);
  return true;
}

// The ghosts' run is made once and kept. It may be above the limit: when more is in use already, eviction is
// what brings it down.
bool Keyspace::prepare_eviction() {
  Impl& impl = *impl_;
  if (impl.header.ghosts.load(kRelaxed) != 0) return true;
  impl.arena.free_held(kHeldNewRun);  // of a write that did not need it
  const std::uint64_t bytes = impl.header.page_count * kPageBytes / kBytesPerGhost * sizeof(std::uint32_t);
  const Arena::Exemption exemption(impl.arena);
  if (!impl.with_room(bytes, [&] { return impl.arena.allocate_run(bytes); })) return false;
  const Extent run{impl.arena.held(kHeldNewRun).load(kRelaxed)};
  std::memset(impl.base + entry_of_run(run.offset()), 0, run.size() * kUnitBytes - sizeof(RunHead));
  if (!impl.arena.publish_ghosts()) impl.arena.free_held(kHeldNewRun);
  return true;
}

bool Keyspace::set_eviction(bool evicts) {
  if (evicts && !prepare_eviction()) return false;
  impl_->header.evicts.store(evicts ? 1 : 0, std::memory_order_release);
  return true;
}

bool Keyspace::evicts() const { return impl_->header.evicts.load(kRelaxed) != 0; }

}  // namespace memento
