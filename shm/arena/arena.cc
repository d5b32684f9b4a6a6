// Pages, magazines and runs. See arena.h.
#include "shm/arena/arena.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cassert>

#include "shm/commit/plant.h"
#include "shm/segment.h"

namespace memento {
namespace {

constexpr std::uint64_t kCommitChunkPages = 16;  // 1 MiB
constexpr std::uint64_t kReserveShare = 64;      // one page of so many
constexpr std::uint64_t kReservePages = 48;      // at least, where there are eight times as many
constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr std::uint64_t bits(std::uint64_t first, std::uint64_t count) {
  return (count >= 64 ? ~0ull : (1ull << count) - 1) << first;
}

}  // namespace

Arena::Arena(Segment& segment, ProcessRecord& record, LockOwner& owner, RedoList& redo)
    : segment_(segment),
      base_(segment.base()),
      header_(segment.header()),
      record_(record),
      owner_(owner),
      redo_(redo),
      units_(reinterpret_cast<Word*>(base_ + header_.unit_bitmap_offset)),
      page_infos_(reinterpret_cast<Word*>(base_ + header_.page_infos_offset)),
      page_ages_(reinterpret_cast<Word*>(base_ + header_.page_ages_offset)) {}

bool Arena::prepare(std::uint32_t size_class) {
  return has_block(size_class) || refill(record_.magazines[size_class], size_class, false);
}

bool Arena::has_room_for(Offset freed_offset) const {
  return freed_offset == kNoOffset || is_class_page(freed_offset) || has_room_for_run();
}

bool Arena::has_room_for_run() const {
  for (std::uint32_t i = 0; i < kOldRunLimit; ++i) {
    if (record_.held[kHeldOldRun + i].load(kRelaxed) == 0) return true;
  }
  return false;
}

void Arena::stage_kept_run(std::uint32_t role) {
  stage_old_run(Extent{record_.held[role].load(kRelaxed)});
  redo_.stage(record_.held[role], 0);
}

// REQUIRES: has_room_for_run().
void Arena::stage_old_run(Extent run) {
  std::uint32_t place = kHeldOldRun;
  while (record_.held[place].load(kRelaxed) != 0) ++place;
  assert(place < kHeldLimit);
  redo_.stage(record_.held[place], run.word);
}

void Arena::stage_exchange(std::uint32_t taken, Offset freed_offset) {
  if (planted(Plant::kForgottenOldBlock)) freed_offset = kNoOffset;
  std::uint32_t freed = kNoClass;
  if (freed_offset != kNoOffset) {
    const PageInfo page = info(page_of(freed_offset));
    if (page.kind() != 0) {
      freed = page.size_class();
    } else {
      const Offset run = run_of(freed_offset);
      stage_old_run(Extent::make(run, run_head(run).units.load(kRelaxed), Extent::kRun));
    }
  }
  if (taken != kNoClass && taken == freed) {
    Word& place = *top_place(taken);
    if (planted(Plant::kExchangeOutsideList)) return place.store(freed_offset.value);
    return redo_.stage(place, freed_offset.value);
  }
  if (taken != kNoClass) redo_.stage(record_.magazines[taken].count, count_of(record_.magazines[taken]) - 1);
  if (freed != kNoClass) {
    Magazine& magazine = record_.magazines[freed];
    const std::uint64_t count = magazine.count.load(kRelaxed);
    assert(count < kMagazineLimit);
    redo_.stage(magazine.blocks[count], freed_offset.value);
    redo_.stage(magazine.count, count + 1);
  }
}

bool Arena::prepare_many(std::uint32_t size_class, std::size_t count) {
  static_assert(kManyLimit - 1 + 32 < kMagazineLimit);  // a refill adds 32 at most
  assert(size_class < kSizeClasses.count && count <= kManyLimit);
  while (block_count(size_class) < count) {
    if (!refill(record_.magazines[size_class], size_class, false)) return false;
  }
  return true;
}

bool Arena::stage_exchange_many(std::uint32_t size_class, std::size_t taken,
                                std::span<const Offset> freed_offsets) {
  Magazine& magazine = record_.magazines[size_class];
  const std::uint64_t before = count_of(magazine);
  assert(taken <= before);
  std::uint64_t count = before - taken;
  if (count + freed_offsets.size() >= kMagazineLimit) return false;
  for (const Offset offset : freed_offsets) redo_.stage(magazine.blocks[count++], offset.value);
  if (count != before) redo_.stage(magazine.count, count);
  return true;
}

void Arena::settle(Offset freed_offset) {
  if (freed_offset == kNoOffset) return;
  const PageInfo page = info(page_of(freed_offset));
  if (page.kind() == 0) {
    free_old_runs();
    return;
  }
  const std::uint32_t batch = kSizeClasses.geometry[page.size_class()].batch;
  Magazine& magazine = record_.magazines[page.size_class()];
  if (count_of(magazine) >= 2 * batch) flush(magazine, batch);
}

void Arena::settle_all() {
  for (std::uint32_t c = 0; c < kSizeClasses.count; ++c) {
    const std::uint32_t batch = kSizeClasses.geometry[c].batch;
    if (count_of(record_.magazines[c]) >= 2 * batch) flush(record_.magazines[c], batch);
  }
}

void Arena::give_back_blocks(std::uint32_t size_class) {
  Magazine& magazine = record_.magazines[size_class];
  if (count_of(magazine) > 0) flush(magazine, count_of(magazine));
}

void Arena::give_back_blocks() {
  for (std::uint32_t c = 0; c < kSizeClasses.count; ++c) give_back_blocks(c);
}

// Takes blocks of the class from a page into the magazine. False: out of memory.
bool Arena::refill(Magazine& magazine, std::uint32_t size_class, bool is_main) {
  assert(size_class < kSizeClasses.count);
  const ClassGeometry& geometry = kSizeClasses.geometry[size_class];
  assert(count_of(magazine) + geometry.batch < kMagazineLimit);
  for (;;) {
    {
      const LockGuard guard(owner_, header_.arena_lock);
      std::optional<PageIndex> page = find_page(size_class, is_main);
      if (!page) page = claim_page(size_class + 1, is_main ? PageInfo::kMain : 0);
      if (page) {
        Word* words = page_words(*page);
        const Offset first_block = page_offset(*page) + geometry.first_offset;
        std::uint64_t count = count_of(magazine);
        std::uint64_t taken = 0;
        const std::uint64_t word_count = (geometry.block_count + 63) / 64;
        for (std::uint64_t w = 0; w < word_count && taken < geometry.batch; ++w) {
          const std::uint64_t valid = bits(0, std::min<std::uint64_t>(64, geometry.block_count - w * 64));
          std::uint64_t used = words[w].load(kRelaxed);
          const std::uint64_t before = used;
          while (taken < geometry.batch && (~used & valid) != 0) {
            const auto bit = static_cast<std::uint64_t>(std::countr_zero(~used & valid));
            used |= 1ull << bit;
            redo_.stage(magazine.blocks[count++],
                        (first_block + (w * 64 + bit) * geometry.block_bytes).value);
            ++taken;
          }
          if (used != before) redo_.stage(words[w], used);
        }
        if (planted(Plant::kRefillInTwoSteps)) redo_.commit();
        const PageInfo now{redo_.load(info_word(*page))};
        redo_.restage(info_word(*page), PageInfo::make(now.kind(), now.free() - taken, 0, now.flags()).word);
        if (now.free() == taken) stage_open_pages(now, -1);
        redo_.stage(magazine.count, count);
        redo_.commit();
        return true;
      }
    }
    if (!commit_more_pages(1)) return false;
  }
}

// Returns the top `block_count` blocks of a magazine to their pages.
void Arena::flush(Magazine& magazine, std::uint64_t block_count) {
  const LockGuard guard(owner_, header_.arena_lock);
  std::uint64_t count = count_of(magazine);
  for (; block_count > 0 && count > 0; --block_count) {
    const Offset offset{magazine.blocks[--count].load(kRelaxed)};
    const PageIndex page = page_of(offset);
    const PageInfo before{redo_.load(info_word(page))};
    const ClassGeometry& geometry = kSizeClasses.geometry[before.size_class()];
    const std::uint64_t index = (offset - page_offset(page) - geometry.first_offset) / geometry.block_bytes;
    Word& word = page_words(page)[index / 64];
    redo_.restage(word, redo_.load(word) & ~(1ull << index % 64));
    const std::uint64_t free = before.free() + 1;
    if (free == geometry.block_count) {
      if (before.free() > 0) stage_open_pages(before, -1);
      stage_page_release(page);
      continue;
    }
    if (before.free() == 0) stage_open_pages(before, 1);
    redo_.restage(info_word(page), PageInfo::make(before.kind(), free, 0, before.flags()).word);
    if (before.flags() == 0) header_.class_hints[before.size_class()].store(page.value, kRelaxed);
  }
  redo_.stage(magazine.count, count);
  redo_.commit();
}

// REQUIRES: arena lock held. A page of the class with a free block: from the hint on, all around.
std::optional<PageIndex> Arena::find_page(std::uint32_t size_class, bool is_main) {
  if (header_.open_pages[is_main][size_class].load(kRelaxed) == 0) return std::nullopt;
  const std::uint64_t pages = header_.committed_pages.load(kRelaxed);
  Word& hint = is_main ? header_.main_hints[size_class] : header_.class_hints[size_class];
  const std::uint64_t begin = hint.load(kRelaxed);
  for (std::uint64_t i = 0; i < pages; ++i) {
    std::uint64_t at = begin + i;
    if (at >= pages) at %= pages;
    const PageIndex page{at};
    const PageInfo found = info(page);
    if (found.kind() == size_class + 1 && found.free() > 0 && !found.is_draining() &&
        found.is_main() == is_main) {
      hint.store(at, kRelaxed);
      return page;
    }
  }
  return std::nullopt;
}

// REQUIRES: arena lock held. Stages a free page as one of `kind`, its bitmap emptied.
std::optional<PageIndex> Arena::claim_page(std::uint64_t kind, std::uint64_t flags) {
  if (!may_take_pages(1)) return std::nullopt;
  const std::uint64_t pages = header_.committed_pages.load(kRelaxed);
  const std::uint64_t hint = header_.page_hint.load(kRelaxed);
  for (std::uint64_t i = 0; i < pages; ++i) {
    const PageIndex page{(hint + i) % pages};
    if (used_units_of(page) != 0 || info(page).is_draining()) continue;
    Word* words = page_words(page);
    const std::uint64_t free =
        kind == kLinePage ? kLinesPerPage : kSizeClasses.geometry[kind - 1].block_count;
    for (std::uint64_t w = 0; w < (free + 63) / 64; ++w)
      words[w].store(0, kRelaxed);  // unreachable until commit
    Word& units = units_word(page);
    redo_.stage(units, units.load(kRelaxed) | 0xffffull << units_shift(page));
    redo_.stage(info_word(page), PageInfo::make(kind, free, kind == kLinePage ? free : 0, flags).word);
    redo_.stage(age(page), stage_next_age());
    stage_used_units(static_cast<std::int64_t>(kUnitsPerPage));
    stage_free_pages(-1);
    if (kind != kLinePage) {
      stage_open_pages(PageInfo::make(kind, free, 0, flags), 1);
      ((flags & PageInfo::kMain) ? header_.main_hints : header_.class_hints)[kind - 1].store(page.value,
                                                                                             kRelaxed);
    }
    header_.page_hint.store(page.value + 1, kRelaxed);
    return page;
  }
  return std::nullopt;
}

// REQUIRES: arena lock held.
void Arena::stage_page_release(PageIndex page) {
  redo_.restage(info_word(page), redo_.load(info_word(page)) & PageInfo::kDraining);
  Word& units = units_word(page);
  redo_.restage(units, redo_.load(units) & ~(0xffffull << units_shift(page)));
  stage_used_units(-static_cast<std::int64_t>(kUnitsPerPage));
  stage_free_pages(1);
  header_.page_hint.store(page.value, kRelaxed);
  lower_unit_hints(page);
}

void Arena::stage_used_units(std::int64_t change) {
  redo_.restage(header_.used_units, static_cast<std::uint64_t>(
                                        static_cast<std::int64_t>(redo_.load(header_.used_units)) + change));
}

void Arena::stage_free_pages(std::int64_t change) {
  redo_.restage(header_.free_pages, static_cast<std::uint64_t>(
                                        static_cast<std::int64_t>(redo_.load(header_.free_pages)) + change));
}

// Counts class pages with free blocks, so that nobody looks through all pages for one when there is none.
void Arena::stage_open_pages(const PageInfo& page, std::int64_t change) {
  Word& count = header_.open_pages[page.is_main()][page.size_class()];
  redo_.restage(count, static_cast<std::uint64_t>(static_cast<std::int64_t>(redo_.load(count)) + change));
}

// The age a page gets now.
std::uint64_t Arena::stage_next_age() {
  const std::uint64_t age = redo_.load(header_.page_sequence) + 1;
  redo_.restage(header_.page_sequence, age);
  return age;
}

// Of committed pages, for moving entries.
std::uint64_t Arena::free_reserve_pages() const {
  return std::clamp<std::uint64_t>(header_.page_count / 64, 2, 2 + header_.process_count);
}

// Of all pages, committed or not: what takes no more memory than it gives back needs some before it gives
// any.
std::uint64_t Arena::reserve_pages() const {
  const std::uint64_t wanted = std::max(header_.page_count / kReserveShare, kReservePages);
  return std::max(free_reserve_pages(), std::min(wanted, header_.page_count / 8));
}

bool Arena::may_take_pages(std::uint64_t pages) const {
  const std::uint64_t free = header_.free_pages.load(kRelaxed);
  if (reserve_users_ > 0) return free >= pages;
  return free >= pages + free_reserve_pages() && has_pages(pages);
}

bool Arena::has_pages(std::uint64_t pages) const {
  if (!is_within_limit(pages) && !(replaces_ && pages <= 1)) return false;
  const std::uint64_t uncommitted = header_.page_count - header_.committed_pages.load(kRelaxed);
  return header_.free_pages.load(kRelaxed) + uncommitted >= pages + reserve_pages();
}

std::uint64_t Arena::used_bytes() const {
  const std::uint64_t other_slots_bytes = segment_.mapped_bytes() - segment_.size_bytes();
  return header_.processes_offset - other_slots_bytes + header_.used_units.load(kRelaxed) * kUnitBytes;
}

// Whether so many pages more may be in use.
bool Arena::is_within_limit(std::uint64_t pages) const {
  const std::uint64_t limit_bytes = header_.limit_bytes.load(kRelaxed);
  return limit_bytes == 0 || is_exempt_ || used_bytes() + pages * kPageBytes <= limit_bytes;
}

// A page stays for tables, whatever else goes.
bool Arena::can_ever_hold(std::uint64_t bytes) const {
  const std::uint64_t kept_pages =
      reserve_pages() + 1 + Extent{header_.ghosts.load(kRelaxed)}.size() / kUnitsPerPage;
  const std::uint64_t limit_bytes = header_.limit_bytes.load(kRelaxed);
  if (limit_bytes != 0 && bytes > limit_bytes) return false;
  return header_.page_count > kept_pages && bytes <= (header_.page_count - kept_pages) * kPageBytes;
}

// Grants more pages of the arena. The system call is made without the lock: fallocate twice is harmless.
bool Arena::commit_more_pages(std::uint64_t pages) {
  ++searches;
  if (reserve_users_ == 0 && !is_within_limit(pages)) return false;
  const std::uint64_t before = header_.committed_pages.load(std::memory_order_acquire);
  const std::uint64_t limit =
      header_.page_count - (reserve_users_ > 0 ? 0 : reserve_pages() - free_reserve_pages());
  if (before >= limit) return false;
  std::uint64_t after = std::min(limit, before + std::max(pages, kCommitChunkPages));
  const auto grant = [&](std::uint64_t base, std::uint64_t begin, std::uint64_t end) {
    return segment_.commit_memory(base + begin, base + end);
  };
  const auto grant_all = [&] {
    return grant(header_.unit_bitmap_offset, before / 4 * 8, after / 4 * 8 + 8) &&
           grant(header_.page_infos_offset, before * 8, after * 8) &&
           grant(header_.page_ages_offset, before * 8, after * 8) &&
           grant(header_.arena_offset, before * kPageBytes, after * kPageBytes);
  };
  if (!grant_all()) {
    after = std::min(limit, before + pages);  // the tmpfs may have less than a chunk
    if (!grant_all()) return false;
  }
  const LockGuard guard(owner_, header_.arena_lock);
  const std::uint64_t now = header_.committed_pages.load(kRelaxed);
  if (now < after) {
    redo_.stage(header_.committed_pages, after);
    stage_free_pages(static_cast<std::int64_t>(after - now));
    redo_.commit();
  }
  return true;
}

}  // namespace memento
