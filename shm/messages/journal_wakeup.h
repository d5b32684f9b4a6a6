// How the journal's writers and the archiver wake each other. Who is about to sleep says so in a word
// (JournalState::waits, DiskState::sleeps), looks once more whether there is something for it, and sleeps
// until its wake-up FIFO is readable. Who has something for it clears the word and wakes it. Both sides have
// a fence between their store and their look, so one of them sees the other's. A wake-up may be lost with a
// process that dies before it writes: who sleeps looks from time to time anyway.
#pragma once

#include <atomic>
#include <cstdint>

#include "shm/format/layout.h"
#include "shm/messages/wakeup_fifo.h"
#include "shm/segment.h"

namespace memento {

/// Says that this process is about to sleep. Whatever it sleeps for is to be looked at again behind it.
inline void announce_sleep(Word& sleeps) { sleeps.store(1, std::memory_order_seq_cst); }

/// True: who sleeps by this word is to be woken, by the caller. REQUIRES: a fence (seq_cst) behind what it
/// is told.
inline bool takes_sleep(Word& sleeps) {
  return sleeps.load(std::memory_order_relaxed) != 0 && sleeps.exchange(0) != 0;
}

/// Wakes all processes that wait for the disk. The archiver calls it when heads, `durable`, or
/// DiskState::status or release_rule have moved.
inline void wake_waiting(Segment& segment, WakeupFifo& fifo) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (std::uint32_t process = 0; process < segment.process_count(); ++process) {
    if (takes_sleep(segment.process(process).journal.waits)) fifo.wake(process);
  }
}

/// Wakes the archiver if it sleeps: the caller has put something into its ring.
inline void wake_archiver(Header& header, WakeupFifo& fifo) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const auto archiver = static_cast<std::uint32_t>(header.disk.process.load(std::memory_order_relaxed));
  if (archiver != 0 && archiver < kProcessLimit && takes_sleep(header.disk.sleeps)) fifo.wake(archiver);
}

}  // namespace memento
