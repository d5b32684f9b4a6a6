// Looking through staged entries, which only arena transactions that touch one word several times need; and
// recovery.
#include "shm/commit/redo_list.h"

namespace memento {

std::uint64_t RedoList::load(const Word& word) const {
  const auto offset = static_cast<std::uint64_t>(reinterpret_cast<const char*>(&word) - base_);
  for (std::uint32_t i = count_; i-- > 0;) {
    if ((entries_[i].target & ((1ull << 48) - 1)) == offset) return entries_[i].value;
  }
  return word.load(std::memory_order_relaxed);
}

void RedoList::restage(Word& word, std::uint64_t value) {
  const auto offset = static_cast<std::uint64_t>(reinterpret_cast<char*>(&word) - base_);
  for (std::uint32_t i = count_; i-- > 0;) {
    if (entries_[i].target == (offset | 1ull << 48)) {
      entries_[i].value = value;
      return;
    }
  }
  stage(word, value);
}

void RedoList::complete(char* base, ProcessRecord& record) {
  const std::uint64_t committed = record.committed.load(std::memory_order_acquire);
  const RedoEntry* entries = record.redo.data();
  if (committed & ProcessRecord::kLongList) {
    const Extent run{record.held[kHeldTransaction].load(std::memory_order_relaxed)};
    entries = reinterpret_cast<TransactionArea*>(base + run.offset())->redo();
  }
  if (planted(Plant::kWithdrawBeforeApply)) record.committed.store(0);
  apply(base, entries, committed & ~ProcessRecord::kLongList);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  record.committed.store(0, std::memory_order_release);
}

}  // namespace memento
