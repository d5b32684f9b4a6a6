// Transactions of a few keys with short values, which most are: their blocks come straight from this
// process's magazines, and what they replace goes back there, as for a single SET; entries are written before
// anything is locked, and one short redo list changes all. Whatever does not go so is left to the general way
// (transaction.cc, transaction_commit.cc).
#include <algorithm>

#include "shm/keyspace/transaction.h"

namespace memento {
namespace {

constexpr std::size_t kBriefWrites = 32;
static_assert(kBriefWrites <= Arena::kManyLimit && kBriefWrites * 14 + 64 < kRedoLimit);

}  // namespace

bool Keyspace::Transaction::is_brief() const {
  const auto is_short = [&](const Write& write) {
    return !write.is_put || write.shape().total_bytes() <= kLargestBlockBytes;
  };
  return flushed_ == 0 && !is_too_long_ && write_count_ <= kBriefWrites && !groups_in_run() &&
         std::all_of(writes_.begin(), writes_.begin() + static_cast<std::ptrdiff_t>(write_count_), is_short);
}

// False: memory has to be found first, which is the general way's.
bool Keyspace::Transaction::prepare_briefly() {
  std::ranges::sort(noted_, {}, &Noted::slot);
  sort_writes();
  class_uses_.clear();
  blocks_.assign(write_count_, kNoOffset);
  freed_.clear();
  freed_.reserve(write_count_);
  changed_cells_.reserve(write_count_);
  noted_changes_.reserve(write_count_);
  noted_expired_.reserve(write_count_);
  staged_cells_.prepare(write_count_ + 1);
  impl_.make_room();
  if (!ensure_tables()) return false;
  for (std::size_t i = 0; i < write_count_; ++i) {
    if (!writes_[i].is_put) continue;
    const std::uint32_t size_class = class_of_size(writes_[i].shape().total_bytes());
    auto use = std::ranges::find(class_uses_, size_class, &ClassUse::size_class);
    if (use == class_uses_.end()) use = class_uses_.insert(use, {size_class, 0});
    ++use->taken;
  }
  for (const ClassUse& use : class_uses_) {
    if (!impl_.arena.prepare_many(use.size_class, use.taken)) return false;
  }
  for (std::size_t i = 0; i < write_count_; ++i) {
    const Write& write = writes_[i];
    if (!write.is_put) continue;
    const Entry entry = write.shape();
    ClassUse& use =
        *std::ranges::find(class_uses_, class_of_size(entry.total_bytes()), &ClassUse::size_class);
    blocks_[i] = impl_.arena.peek_below(use.size_class, --use.taken);
    copy_bytes(entry.write(impl_.base + blocks_[i], write.key, write.expiry_ms), write.value);
  }
  for (std::size_t i = 0; i < write_count_; ++i) {
    if (blocks_[i] != kNoOffset)
      ++std::ranges::find(class_uses_, class_of_size(writes_[i].shape().total_bytes()), &ClassUse::size_class)
            ->taken;
  }
  return true;
}

// REQUIRES: locked.
bool Keyspace::Transaction::is_prepared_briefly() {
  return each_slot([&](std::size_t begin, std::size_t end, const Slot& slot) {
    return impl_.is_current(slot) && takes(slot, put_count(begin, end));
  });
}

// REQUIRES: locked, prepared. False: what it replaces does not fit the magazines; nothing was changed.
bool Keyspace::Transaction::stage_briefly() {
  RedoList& redo = impl_.redo;
  if (shows_in_parts()) stage_changing(true);
  begin_records();
  stage_slots();
  std::ranges::sort(freed_, {}, &Freed::size_class);
  bool fits = true;
  std::array<Offset, kBriefWrites> offsets;
  const auto exchange = [&](std::uint32_t size_class, std::size_t taken) {
    std::size_t count = 0;
    for (const Freed& freed : freed_) {
      if (freed.size_class == size_class) offsets[count++] = freed.offset;
    }
    fits = fits && size_class != Arena::kNoClass &&
           impl_.arena.stage_exchange_many(size_class, taken, std::span(offsets).first(count));
  };
  for (const ClassUse& use : class_uses_) exchange(use.size_class, use.taken);
  for (std::size_t i = 0; i < freed_.size(); ++i) {
    const std::uint32_t size_class = freed_[i].size_class;
    const bool is_first = i == 0 || freed_[i - 1].size_class != size_class;
    if (is_first && std::ranges::find(class_uses_, size_class, &ClassUse::size_class) == class_uses_.end())
      exchange(size_class, 0);
  }
  if (!fits) {
    redo.abandon();
    is_too_long_ = true;
    return false;
  }
  if (noted_changes_.empty()) {  // it erased what was not there
    redo.abandon();
    return true;
  }
  commit_staged();
  return true;
}

void Keyspace::Transaction::settle_briefly() {
  for (std::size_t i = 0; i < freed_.size(); ++i) {
    if (i == 0 || freed_[i - 1].size_class != freed_[i].size_class) impl_.arena.settle(freed_[i].offset);
  }
}

}  // namespace memento
