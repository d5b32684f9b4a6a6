// How far the rings go, and how far a consumer of the journal needs them no more. All its heads move as one:
// were some of them to move and others not, because it dies in between, records would be missing in front of
// those that are left. So where they are to go is written first, then one bit that says so; who comes next
// completes it.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "shm/format/layout.h"
#include "shm/segment.h"

namespace memento {

/// By process record: where the rings end. Each is looked at by itself.
inline std::vector<std::uint64_t> ring_tails(Segment& segment) {
  std::vector<std::uint64_t> tails;
  for (std::uint32_t i = 0; i < segment.process_count(); ++i)
    tails.push_back(segment.process(i).journal.tail.load(std::memory_order_acquire));
  return tails;
}

/// What a dead consumer has begun. REQUIRES: that consumer, or nobody is alive.
inline void complete_heads(Segment& segment, std::uint32_t consumer) {
  Word& moves = segment.header().journal_heads_move;
  if ((moves.load(std::memory_order_acquire) >> consumer & 1) == 0) return;
  for (std::uint32_t i = 0; i < segment.process_count(); ++i) {
    JournalState& ring = segment.process(i).journal;
    ring.heads[consumer].store(ring.next_heads[consumer].load(std::memory_order_relaxed),
                               std::memory_order_release);
  }
  moves.fetch_and(~(1ull << consumer), std::memory_order_release);
}

/// head_of(i): the one of process record i.
template <class HeadOf>
void move_heads(Segment& segment, std::uint32_t consumer, HeadOf&& head_of) {
  for (std::uint32_t i = 0; i < segment.process_count(); ++i)
    segment.process(i).journal.next_heads[consumer].store(head_of(i), std::memory_order_relaxed);
  segment.header().journal_heads_move.fetch_or(1ull << consumer, std::memory_order_release);
  complete_heads(segment, consumer);
}

}  // namespace memento
