// Looking through staged entries: only arena transactions that touch one word several times need it.
#include "shm/redo_list.h"

namespace memento {

std::uint64_t RedoList::load(const Word& word) const {
  const auto offset = static_cast<std::uint64_t>(reinterpret_cast<const char*>(&word) - base_);
  for (std::uint32_t i = count_; i-- > 0;) {
    if ((record_.redo[i].target & ((1ull << 48) - 1)) == offset) return record_.redo[i].value;
  }
  return word.load(std::memory_order_relaxed);
}

void RedoList::restage(Word& word, std::uint64_t value) {
  const auto offset = static_cast<std::uint64_t>(reinterpret_cast<char*>(&word) - base_);
  for (std::uint32_t i = count_; i-- > 0;) {
    if (record_.redo[i].target == (offset | 1ull << 48)) {
      record_.redo[i].value = value;
      return;
    }
  }
  stage(word, value);
}

}  // namespace memento
