// DiskWaits: which of this worker's clients wait for the journal, and when they need not wait any more. Runs
// in workers.
//
// A request that changes data and finds no room in this process's ring (JournalFull) has changed nothing. It
// waits (ClientWait::kJournal) and is executed again as a whole when the archiver has read on. Requests that
// change data queue behind it meanwhile, so that short ones do not take the room that a long one waits for;
// reads and other clients go on.
//
// Invariant: a client is in the queue exactly while its `waits` is kJournal.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "shm/format/layout.h"
#include "shm/segment.h"

namespace memento {

struct ClientState;

class DiskWaits {
 public:
  DiskWaits(Segment& segment, std::uint32_t process);

  /// False, cheaply: nobody waits for room.
  bool has_queue() const { return !queue_.empty(); }
  /// A request of the client's that may change data has to queue behind others.
  bool must_queue(const ClientState& client) const { return !queue_.empty() && &client != retried_; }
  /// The client's request is to be executed again when there may be room. In front of all others, when it
  /// was its turn.
  void queue(ClientState& client);
  /// Whose request is to be executed again now: it waits no more. nullptr: nobody's.
  ClientState* begin_retry();
  /// Behind that. False: it waits again, and so do those behind it.
  bool end_retry();
  /// The client is gone.
  void remove(ClientState& client);

  /// Somebody waits: take_progress() and may_sleep() are to be called.
  bool is_waiting() const { return !queue_.empty(); }
  /// What they wait for may have come since the last call.
  bool take_progress();
  /// In front of a sleep: false when it has come already; else the archiver wakes this worker.
  bool may_sleep();
  /// The archiver is not to sleep: somebody waits for it, or this process's ring fills.
  bool wants_archiver() const;

 private:
  /// All that moves when somebody may go on.
  struct Progress {
    std::uint64_t consumers = 0;
    std::array<std::uint64_t, kJournalConsumerLimit> heads{};
    bool operator==(const Progress&) const = default;
  };
  Progress progress() const;

  Segment& segment_;
  Header& header_;
  JournalState& ring_;
  std::deque<ClientState*> queue_;
  ClientState* retried_ = nullptr;
  Progress seen_;
};

}  // namespace memento
