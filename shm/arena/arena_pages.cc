// Emptying pages: what the arena does for evacuation.cc. See arena.h.
#include <algorithm>
#include <cassert>

#include "shm/arena/arena.h"
#include "shm/commit/plant.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

// Whose pages these are is said by the records, under the arena's lock; the marks on the pages only keep
// allocations away. The record names them before the first is marked, and until the last mark is off, so that
// a successor finds them.
bool Arena::begin_draining(PageIndex first_page, std::uint64_t count) {
  assert(record_.draining.load(kRelaxed) == 0);
  {
    const LockGuard guard(owner_, header_.arena_lock);
    for (std::uint32_t i = 0; i < header_.process_count; ++i) {
      const std::uint64_t other = segment_.process(i).draining.load(kRelaxed);
      const PageIndex other_first{other >> 32};
      const PageIndex other_end = other_first + (other & 0xffffffff);
      if (first_page < other_end && other_first < first_page + count) return false;
    }
    if (planted(Plant::kDrainingRecordedLate)) {
      redo_.stage(info_word(first_page), info(first_page).word | PageInfo::kDraining);
      redo_.commit();
    }
    redo_.stage(record_.draining, first_page.value << 32 | count);
    redo_.commit();
  }
  set_draining(first_page, count, true);
  return true;
}

bool Arena::others_drain() const {
  for (std::uint32_t i = 0; i < header_.process_count; ++i) {
    const ProcessRecord& other = segment_.process(i);
    if (&other != &record_ && other.draining.load(kRelaxed) != 0) return true;
  }
  return false;
}

void Arena::end_draining() {
  const std::uint64_t range = record_.draining.load(kRelaxed);
  if (range != 0) set_draining(PageIndex{range >> 32}, range & 0xffffffff, false);
}

void Arena::set_draining(PageIndex first_page, std::uint64_t count, bool drains) {
  constexpr std::uint64_t kPagesAtOnce = 512;  // two redo entries each
  const PageIndex last = first_page + count;
  for (PageIndex begin = first_page; begin < last; begin = begin + kPagesAtOnce) {
    const LockGuard guard(owner_, header_.arena_lock);
    const PageIndex end = std::min(begin + kPagesAtOnce, last);
    for (PageIndex page = begin; page < end; ++page) {
      const PageInfo before = info(page);
      if (before.is_draining() == drains) continue;
      redo_.stage(info_word(page), before.word ^ PageInfo::kDraining);
      if (!drains) redo_.stage(age(page), header_.page_sequence.load(kRelaxed));
    }
    if (!drains && end == last) redo_.stage(record_.draining, 0);
    if (redo_.size() > 0) redo_.commit();
  }
}

void Arena::renew_age(PageIndex page, bool is_main) {
  const LockGuard guard(owner_, header_.arena_lock);
  const PageInfo before = info(page);
  if ((before.word & ~PageInfo::kDraining) == 0) return;
  if (is_main) redo_.stage(info_word(page), before.word | PageInfo::kMain);
  redo_.stage(age(page), stage_next_age());
  redo_.commit();
}

// False: out of memory.
bool Arena::prepare_target(std::uint32_t size_class, bool is_main) {
  Magazine& targets = record_.targets;
  const std::uint64_t count = count_of(targets);
  if (count > 0) {
    const PageInfo page = info(page_of(peek_target()));
    if (page.size_class() == size_class && page.is_main() == is_main && !page.is_draining()) return true;
    flush(targets, count);
  }
  return refill(targets, size_class, is_main);
}

Offset Arena::peek_target() const {
  assert(count_of(record_.targets) > 0);
  return Offset{record_.targets.blocks[count_of(record_.targets) - 1].load(kRelaxed)};
}

void Arena::stage_moved(Offset offset) {
  if (!planted(Plant::kTargetNotTaken)) redo_.stage(record_.targets.count, count_of(record_.targets) - 1);
  stage_gone(offset);
}

void Arena::stage_gone(Offset offset) {
  if (planted(Plant::kEvacuatedForgotten)) return;
  const std::uint64_t count = count_of(record_.evacuated);
  assert(count < kMagazineLimit);
  redo_.stage(record_.evacuated.blocks[count], offset.value);
  redo_.stage(record_.evacuated.count, count + 1);
}

bool Arena::publish_ghosts() {
  const LockGuard guard(owner_, header_.arena_lock);
  if (header_.ghosts.load(kRelaxed) != 0) return false;  // another process was faster
  const Extent run{held(kHeldNewRun).load(kRelaxed)};
  stage_run_start(in_arena(run.offset()) / kUnitBytes, false);  // it is no entry's
  redo_.stage(held(kHeldNewRun), 0);
  if (planted(Plant::kGhostsNotPublished)) redo_.commit();
  redo_.stage(header_.ghosts, run.word);
  redo_.commit();
  return true;
}

void Arena::finish_evacuation() {
  for (Magazine* magazine : {&record_.evacuated, &record_.targets}) {
    if (count_of(*magazine) > 0) flush(*magazine, count_of(*magazine));
  }
}

}  // namespace memento
