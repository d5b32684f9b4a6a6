// RedoList: the only way shared words change. stage() notes a word and its new value in the process's
// record; commit() publishes the list with one release store (from there it will happen), applies it in
// order and withdraws it. A process that dies before that store changed nothing; one that dies after it is
// completed by whoever meets its lock or by the master, by storing the same values again.
//
// Invariants: 1. while a list is committed its owner holds the locks of every word in it; 2. the cell comes
// first, the slot's version second, then the rest: a block becomes free for reuse only after the version
// that tells lock-free readers; 3. values are absolute, so that applying twice is applying once.
#pragma once

#include <cassert>
#include <cstdint>

#include "shm/commit/plant.h"
#include "shm/format/layout.h"

namespace memento {

class RedoList {
 public:
  RedoList(char* base, ProcessRecord& record)
      : base_(base), record_(record), entries_(record.redo.data()), limit_(kRedoLimit) {}

  /// Lists longer than a record's: from here on entries go to the area. REQUIRES: nothing staged, and the
  /// record holds the area as kHeldTransaction until use_record().
  void use_area(TransactionArea& area) {
    entries_ = area.redo();
    limit_ = static_cast<std::uint32_t>(area.redo_limit);
    mark_ = ProcessRecord::kLongList;
  }
  void use_record() {
    entries_ = record_.redo.data();
    limit_ = kRedoLimit;
    mark_ = 0;
  }

  [[gnu::always_inline]] void stage(Word& word, std::uint64_t value) { stage_fill(word, value, 1); }

  /// `count` consecutive words get `value`; 1..65535.
  [[gnu::always_inline]] void stage_fill(Word& first, std::uint64_t value, std::uint64_t count) {
    assert(count_ < limit_ && count > 0 && count < 65536);
    entries_[count_++] = RedoEntry{target_of(first, count), value};
  }

  /// What the word will hold; looks through the staged entries.
  std::uint64_t load(const Word& word) const;
  /// stage(), or a new value for the entry already staged.
  void restage(Word& word, std::uint64_t value);

  std::uint32_t size() const { return count_; }

  void commit() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    record_.committed.store((count_ - planted(Plant::kShortCommit)) | mark_, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    apply(base_, entries_, count_);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (planted(Plant::kUnlockBeforeClear)) return abandon();
    record_.committed.store(0, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    count_ = 0;
  }
  void abandon() { count_ = 0; }

  /// A word and what it is to hold.
  struct Change {
    Word& word;
    std::uint64_t value;
  };
  /// stage() of each, then commit(): for a few words that are known where it is called. They are applied from
  /// where they were computed; the list, which is the same, is only written. REQUIRES: nothing staged, and
  /// the record's own list in use.
  template <class... Changes>
  [[gnu::always_inline]] void commit_words(const Changes&... changes) {
    assert(count_ == 0);
    RedoEntry* entry = record_.redo.data();
    const std::uint64_t origin = reinterpret_cast<std::uint64_t>(base_) - (1ull << 48);  // of one word each
    ((*entry++ = RedoEntry{reinterpret_cast<std::uint64_t>(&changes.word) - origin, changes.value}), ...);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    record_.committed.store(sizeof...(changes) - planted(Plant::kShortCommit), std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    (changes.word.store(changes.value, std::memory_order_release), ...);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (planted(Plant::kUnlockBeforeClear)) return;
    record_.committed.store(0, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  /// Applies and withdraws what a dead owner committed. REQUIRES: the record's repair lock, or nobody else
  /// alive.
  static void complete(char* base, ProcessRecord& record);

 private:
  std::uint64_t target_of(Word& first, std::uint64_t count) const {
    return static_cast<std::uint64_t>(reinterpret_cast<char*>(&first) - base_) + (count << 48);
  }
  static void apply(char* base, const RedoEntry* entries, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const RedoEntry& entry = entries[i];
      auto* word = reinterpret_cast<Word*>(base + (entry.target & ((1ull << 48) - 1)));
      word->store(entry.value, std::memory_order_release);
      for (std::uint64_t more = (entry.target >> 48) - 1; more > 0; --more) {
        (++word)->store(entry.value, std::memory_order_release);
      }
    }
  }

  char* base_;
  ProcessRecord& record_;
  RedoEntry* entries_;
  std::uint32_t limit_;
  std::uint64_t mark_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace memento
