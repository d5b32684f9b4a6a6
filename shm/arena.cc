// Pages, magazines and runs. See arena.h.
#include "shm/arena.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cassert>

#include "shm/segment.h"

namespace memento {
namespace {

constexpr std::uint64_t kCommitChunkPages = 16;  // 1 MiB
constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr std::uint64_t page_info(std::uint64_t kind, std::uint64_t free, std::uint64_t longest = 0) {
  return kind | free << 8 | longest << 24;
}
constexpr std::uint64_t free_of(std::uint64_t info) { return info >> 8 & 0xffff; }
constexpr std::uint64_t longest_of(std::uint64_t info) { return info >> 24 & 0xffff; }

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
      page_infos_(reinterpret_cast<Word*>(base_ + header_.page_infos_offset)) {}

bool Arena::prepare(std::uint32_t size_class) {
  if (count_of(size_class) == 0 && !refill(size_class)) return false;
  return true;
}

std::uint64_t Arena::peek(std::uint32_t size_class) const {
  const Magazine& magazine = record_.magazines[size_class];
  return magazine.blocks[magazine.count.load(kRelaxed) - 1].load(kRelaxed);
}

bool Arena::has_room_for(std::uint64_t freed_offset) const {
  return freed_offset == 0 || is_class_page(freed_offset) || has_room_for_run();
}

bool Arena::has_room_for_run() const {
  for (std::uint32_t i = 0; i < kOldRunLimit; ++i) {
    if (record_.held[kHeldOldRun + i].load(kRelaxed) == 0) return true;
  }
  return false;
}

void Arena::stage_exchange(std::uint32_t taken, std::uint64_t freed_offset) {
  if (planted(Plant::kForgottenOldBlock)) freed_offset = 0;
  std::uint32_t freed = kNoClass;
  if (freed_offset != 0) {
    const std::uint64_t kind = page_kind(page_of(freed_offset));
    if (kind != 0) {
      freed = static_cast<std::uint32_t>(kind - 1);
    } else {
      const std::uint64_t run = freed_offset - 8;
      const std::uint64_t units = reinterpret_cast<Word*>(base_ + run)->load(kRelaxed);
      std::uint32_t place = kHeldOldRun;
      while (record_.held[place].load(kRelaxed) != 0) ++place;
      redo_.stage(record_.held[place], Extent::make(run, units, Extent::kRun).word);
    }
  }
  if (taken != kNoClass && taken == freed) {
    Magazine& magazine = record_.magazines[taken];
    redo_.stage(magazine.blocks[magazine.count.load(kRelaxed) - 1], freed_offset);
    return;
  }
  if (taken != kNoClass) redo_.stage(record_.magazines[taken].count, count_of(taken) - 1);
  if (freed != kNoClass) {
    Magazine& magazine = record_.magazines[freed];
    const std::uint64_t count = magazine.count.load(kRelaxed);
    redo_.stage(magazine.blocks[count], freed_offset);
    redo_.stage(magazine.count, count + 1);
  }
}

void Arena::settle(std::uint64_t freed_offset) {
  if (freed_offset == 0) return;
  const std::uint64_t kind = page_kind(page_of(freed_offset));
  if (kind == 0) {
    free_old_runs();
    return;
  }
  const auto size_class = static_cast<std::uint32_t>(kind - 1);
  const std::uint32_t batch = kSizeClasses.geometry[size_class].batch;
  if (count_of(size_class) >= 2 * batch) flush(size_class, batch);
}

void Arena::settle_all() {
  for (std::uint32_t c = 0; c < kSizeClasses.count; ++c) {
    const std::uint32_t batch = kSizeClasses.geometry[c].batch;
    if (count_of(c) >= 2 * batch) flush(c, batch);
  }
}

bool Arena::refill(std::uint32_t size_class) {
  const ClassGeometry& geometry = kSizeClasses.geometry[size_class];
  for (;;) {
    {
      const LockGuard guard(owner_, header_.arena_lock);
      std::uint64_t page = 0;
      if (find_page(size_class, &page) || claim_page(size_class + 1, &page)) {
        Word* words = page_words(page);
        Magazine& magazine = record_.magazines[size_class];
        std::uint64_t count = magazine.count.load(kRelaxed);
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
                        header_.arena_offset + page * kPageBytes + geometry.first_offset +
                            (w * 64 + bit) * geometry.block_bytes);
            ++taken;
          }
          if (used != before) redo_.stage(words[w], used);
        }
        if (planted(Plant::kRefillInTwoSteps)) redo_.commit();
        const std::uint64_t info = redo_.load(page_infos_[page]);
        redo_.restage(page_infos_[page], page_info(size_class + 1, free_of(info) - taken));
        redo_.stage(magazine.count, count);
        redo_.commit();
        return true;
      }
    }
    if (!commit_more_pages(1)) return false;
  }
}

// Returns the top `block_count` blocks of a magazine to their pages.
void Arena::flush(std::uint32_t size_class, std::uint64_t block_count) {
  const ClassGeometry& geometry = kSizeClasses.geometry[size_class];
  Magazine& magazine = record_.magazines[size_class];
  const LockGuard guard(owner_, header_.arena_lock);
  std::uint64_t count = magazine.count.load(kRelaxed);
  for (; block_count > 0 && count > 0; --block_count) {
    const std::uint64_t offset = magazine.blocks[--count].load(kRelaxed);
    const std::uint64_t page = page_of(offset);
    const std::uint64_t index =
        ((offset - header_.arena_offset) % kPageBytes - geometry.first_offset) / geometry.block_bytes;
    Word& word = page_words(page)[index / 64];
    redo_.restage(word, redo_.load(word) & ~(1ull << index % 64));
    const std::uint64_t free = free_of(redo_.load(page_infos_[page])) + 1;
    if (free == geometry.block_count) {
      stage_page_release(page);
    } else {
      redo_.restage(page_infos_[page], page_info(size_class + 1, free));
      header_.class_hints[size_class].store(page, kRelaxed);
    }
  }
  redo_.stage(magazine.count, count);
  redo_.commit();
}

// REQUIRES: arena lock held. A page of the class with a free block: from the hint on, all around.
bool Arena::find_page(std::uint32_t size_class, std::uint64_t* page) {
  const std::uint64_t pages = header_.committed_pages.load(kRelaxed);
  if (pages == 0) return false;
  const std::uint64_t hint = header_.class_hints[size_class].load(kRelaxed);
  for (std::uint64_t i = 0; i < pages; ++i) {
    std::uint64_t at = hint + i;
    if (at >= pages) at %= pages;
    const std::uint64_t info = page_infos_[at].load(kRelaxed);
    if ((info & 255) == size_class + 1 && free_of(info) > 0) {
      header_.class_hints[size_class].store(at, kRelaxed);
      *page = at;
      return true;
    }
  }
  return false;
}

// REQUIRES: arena lock held. Stages a free page as one of `kind`, its bitmap emptied.
bool Arena::claim_page(std::uint64_t kind, std::uint64_t* page) {
  const std::uint64_t pages = header_.committed_pages.load(kRelaxed);
  const std::uint64_t hint = header_.page_hint.load(kRelaxed);
  for (std::uint64_t i = 0; i < pages; ++i) {
    const std::uint64_t at = (hint + i) % pages;
    const std::uint64_t shift = at % 4 * kUnitsPerPage;
    Word& word = units_[at / 4];
    if ((word.load(kRelaxed) >> shift & 0xffff) != 0) continue;
    *page = at;
    Word* words = page_words(at);
    const std::uint64_t free = kind == kLinePage ? kLinesPerPage : kSizeClasses.geometry[kind - 1].block_count;
    for (std::uint64_t w = 0; w < (free + 63) / 64; ++w) words[w].store(0, kRelaxed);  // unreachable until commit
    redo_.stage(word, word.load(kRelaxed) | 0xffffull << shift);
    redo_.stage(page_infos_[at], page_info(kind, free, kind == kLinePage ? free : 0));
    stage_used_units(static_cast<std::int64_t>(kUnitsPerPage));
    header_.page_hint.store(at + 1, kRelaxed);
    return true;
  }
  return false;
}

// REQUIRES: arena lock held.
void Arena::stage_page_release(std::uint64_t page) {
  redo_.restage(page_infos_[page], 0);
  Word& word = units_[page / 4];
  redo_.restage(word, redo_.load(word) & ~(0xffffull << (page % 4 * kUnitsPerPage)));
  stage_used_units(-static_cast<std::int64_t>(kUnitsPerPage));
  header_.page_hint.store(page, kRelaxed);
}

void Arena::stage_used_units(std::int64_t change) {
  redo_.restage(header_.used_units,
                static_cast<std::uint64_t>(static_cast<std::int64_t>(redo_.load(header_.used_units)) + change));
}

// Grants more pages of the arena. The system call is made without the lock: fallocate twice is harmless.
bool Arena::commit_more_pages(std::uint64_t pages) {
  const std::uint64_t before = header_.committed_pages.load(std::memory_order_acquire);
  if (before + pages > header_.page_count) return false;
  const std::uint64_t after = std::min(header_.page_count, before + std::max(pages, kCommitChunkPages));
  const auto grant = [&](std::uint64_t base, std::uint64_t begin, std::uint64_t end) {
    return segment_.commit_memory(base + begin, base + end);
  };
  if (!grant(header_.unit_bitmap_offset, before / 4 * 8, after / 4 * 8 + 8) ||
      !grant(header_.page_infos_offset, before * 8, after * 8) ||
      !grant(header_.arena_offset, before * kPageBytes, after * kPageBytes)) {
    return false;
  }
  const LockGuard guard(owner_, header_.arena_lock);
  if (header_.committed_pages.load(kRelaxed) < after) {
    redo_.stage(header_.committed_pages, after);
    redo_.commit();
  }
  return true;
}

// REQUIRES: arena lock held. First fit over the unit bitmap.
bool Arena::find_units(std::uint64_t units, std::uint64_t* first) const {
  const std::uint64_t end = header_.committed_pages.load(kRelaxed) * kUnitsPerPage;
  std::uint64_t length = 0;
  for (std::uint64_t at = 0; at < end;) {
    const std::uint64_t word = units_[at / 64].load(kRelaxed);
    if (at % 64 == 0 && word == ~0ull) {
      length = 0;
      at += 64;
    } else if (at % 64 == 0 && word == 0 && end - at >= 64) {
      length += 64;
      at += 64;
    } else {
      length = (word >> at % 64 & 1) ? 0 : length + 1;
      ++at;
    }
    if (length >= units) {
      *first = at - length;
      return true;
    }
  }
  return false;
}

void Arena::stage_units(std::uint64_t first, std::uint64_t units, bool used) {
  stage_used_units(used ? static_cast<std::int64_t>(units) : -static_cast<std::int64_t>(units));
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

bool Arena::allocate_units(std::uint64_t units, std::uint32_t role, Extent::Kind kind, std::uint64_t size) {
  assert(record_.held[role].load(kRelaxed) == 0);
  for (;;) {
    {
      const LockGuard guard(owner_, header_.arena_lock);
      std::uint64_t first = 0;
      if (find_units(units, &first)) {
        const std::uint64_t offset = header_.arena_offset + first * kUnitBytes;
        if (kind == Extent::kRun) reinterpret_cast<Word*>(base_ + offset)->store(units, kRelaxed);
        stage_units(first, units, true);
        redo_.stage(record_.held[role], Extent::make(offset, size, kind).word);
        redo_.commit();
        return true;
      }
    }
    if (!commit_more_pages(units / kUnitsPerPage + 1)) return false;
  }
}

bool Arena::allocate_run(std::uint64_t bytes) {
  const std::uint64_t units = (bytes + 8 + kUnitBytes - 1) / kUnitBytes;
  return allocate_units(units, kHeldNewRun, Extent::kRun, units);
}

std::uint64_t Arena::new_run_entry() const {
  return Extent{record_.held[kHeldNewRun].load(kRelaxed)}.offset() + 8;
}

// REQUIRES: arena lock held.
bool Arena::find_line_page(std::uint64_t lines, std::uint64_t* page) {
  const std::uint64_t pages = header_.committed_pages.load(kRelaxed);
  Word& hint = header_.class_hints[kClassLimit - 1];
  for (std::uint64_t i = 0; i < pages; ++i) {
    const std::uint64_t at = (hint.load(kRelaxed) + i) % pages;
    const std::uint64_t info = page_infos_[at].load(kRelaxed);
    if ((info & 255) == kLinePage && longest_of(info) >= lines) {
      hint.store(at, kRelaxed);
      *page = at;
      return true;
    }
  }
  return false;
}

// REQUIRES: arena lock held. Stages the bits of `lines` lines and the page's new totals.
void Arena::stage_lines(std::uint64_t page, std::uint64_t first, std::uint64_t lines, bool used) {
  Word* words = page_words(page);
  std::uint64_t image[16];
  for (std::uint64_t w = 0; w < 16; ++w) image[w] = redo_.load(words[w]);
  for (std::uint64_t line = first; line < first + lines; ++line) {
    const std::uint64_t bit = 1ull << line % 64;
    assert(((image[line / 64] & bit) != 0) != used);
    image[line / 64] = used ? image[line / 64] | bit : image[line / 64] & ~bit;
  }
  std::uint64_t free = 0, longest = 0, length = 0;
  for (std::uint64_t line = 0; line < kLinesPerPage; ++line) {
    const bool is_free = (image[line / 64] >> line % 64 & 1) == 0;
    length = is_free ? length + 1 : 0;
    longest = std::max(longest, length);
    free += is_free;
  }
  for (std::uint64_t w = first / 64; w <= (first + lines - 1) / 64; ++w) redo_.restage(words[w], image[w]);
  if (free == kLinesPerPage) {
    stage_page_release(page);
  } else {
    redo_.restage(page_infos_[page], page_info(kLinePage, free, longest));
  }
}

bool Arena::allocate_table(std::uint64_t lines) {
  assert(record_.held[kHeldNewTable].load(kRelaxed) == 0);
  if (lines > kSmallTableLines) {
    return allocate_units((lines * kLineBytes + kUnitBytes - 1) / kUnitBytes, kHeldNewTable, Extent::kTable, lines);
  }
  for (;;) {
    {
      const LockGuard guard(owner_, header_.arena_lock);
      std::uint64_t page = 0;
      if (find_line_page(lines, &page) || claim_page(kLinePage, &page)) {
        const Word* words = page_words(page);
        std::uint64_t first = 0, length = 0;
        for (std::uint64_t line = 0; length < lines; ++line) {
          if (words[line / 64].load(kRelaxed) >> line % 64 & 1) {
            length = 0;
          } else if (length++ == 0) {
            first = line;
          }
        }
        stage_lines(page, first, lines, true);
        const std::uint64_t offset =
            header_.arena_offset + page * kPageBytes + kLinePageHeaderBytes + first * kLineBytes;
        redo_.stage(record_.held[kHeldNewTable], Extent::make(offset, lines, Extent::kTable).word);
        redo_.commit();
        return true;
      }
    }
    if (!commit_more_pages(1)) return false;
  }
}

void Arena::free_held(std::uint32_t role) {
  const Extent extent{record_.held[role].load(kRelaxed)};
  if (extent.word == 0) return;
  const LockGuard guard(owner_, header_.arena_lock);
  const std::uint64_t in_arena = extent.offset() - header_.arena_offset;
  if (extent.kind() == Extent::kTable && extent.size() <= kSmallTableLines) {
    stage_lines(in_arena / kPageBytes, (in_arena % kPageBytes - kLinePageHeaderBytes) / kLineBytes, extent.size(),
                false);
  } else {
    const std::uint64_t units = extent.kind() == Extent::kRun
                                    ? extent.size()
                                    : (extent.size() * kLineBytes + kUnitBytes - 1) / kUnitBytes;
    stage_units(in_arena / kUnitBytes, units, false);
  }
  redo_.stage(record_.held[role], 0);
  redo_.commit();
}

std::uint64_t Arena::capacity(std::uint64_t entry_offset) const {
  const std::uint64_t kind = page_kind(page_of(entry_offset));
  if (kind != 0) return kSizeClasses.geometry[kind - 1].block_bytes;
  return reinterpret_cast<Word*>(base_ + entry_offset - 8)->load(kRelaxed) * kUnitBytes - 8;
}

bool Arena::is_pinned(std::uint64_t entry_offset) const {
  if (planted(Plant::kPinIgnored)) return false;
  for (std::uint32_t i = 0; i < header_.process_count; ++i) {
    for (const Word& pin : segment_.process(i).pins) {
      if (pin.load(std::memory_order_acquire) == entry_offset) return true;
    }
  }
  return false;
}

bool Arena::free_old_runs() {
  bool all_free = true;
  for (std::uint32_t i = 0; i < kOldRunLimit; ++i) {
    const Extent extent{record_.held[kHeldOldRun + i].load(kRelaxed)};
    if (extent.word == 0) continue;
    if (is_pinned(extent.offset() + 8)) {
      all_free = false;
    } else {
      free_held(kHeldOldRun + i);
    }
  }
  return all_free;
}

TransactionArea* Arena::transaction_area() const {
  const Extent run{record_.held[kHeldTransaction].load(kRelaxed)};
  return run.word == 0 ? nullptr : reinterpret_cast<TransactionArea*>(base_ + run.offset());
}

std::uint64_t Arena::block_word(std::uint64_t entry_offset) const {
  if (is_class_page(entry_offset)) return entry_offset;
  const std::uint64_t run = entry_offset - sizeof(Word);
  return Extent::make(run, reinterpret_cast<Word*>(base_ + run)->load(kRelaxed), Extent::kRun).word;
}

void Arena::drain_area(std::uint64_t end) {
  TransactionArea* area = transaction_area();
  if (area == nullptr) return;
  for (std::uint64_t place = 0; place < std::min(end, area->block_limit); ++place) {
    Word& word = area->block(place);
    const Extent extent{word.load(kRelaxed)};
    if (extent.word == 0) continue;
    const std::uint64_t entry_offset =
        extent.kind() == Extent::kRun ? extent.offset() + sizeof(Word) : extent.word;
    while (!has_room_for(entry_offset)) {
      if (!free_old_runs()) usleep(100);  // readers that copy them finish without us
    }
    redo_.stage(word, 0);
    stage_exchange(kNoClass, entry_offset);
    redo_.commit();
    settle(entry_offset);
  }
}

void Arena::give_back_all() {
  drain_area(UINT64_MAX);
  for (std::uint32_t c = 0; c < kSizeClasses.count; ++c) {
    while (count_of(c) > 0) flush(c, kSizeClasses.geometry[c].batch);
  }
  for (const std::uint32_t role : {kHeldNewRun, kHeldNewTable, kHeldOldTable, kHeldTransaction}) free_held(role);
  free_old_runs();
}

}  // namespace memento
