// What a node must not forget over a restart, its bytes for the disk, and StateWriter, which knows what of it
// is there. Pure: the disk is whoever performs Persist and says so afterwards.
//
// The whole state is one block with a checksum and a number that grows, written into two files in turn: a
// write that a loss of power cuts short leaves the other one whole.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/core/document.h"
#include "bus/core/timing.h"
#include "shm/os/result.h"

namespace memento::bus {

struct StoredState {
  Uuid uuid;                     ///< of this node's vote: a lost folder means another
  std::vector<Uuid> ready;       ///< while a cluster forms: with whom this node said it is ready to
  std::uint64_t term = 0;        ///< the highest it has taken part in
  DocumentPtr accepted;          ///< none: of no cluster yet
  std::uint64_t generation = 0;  ///< +1 with each start of a bus, before its first message
};

/// `number`: of the block; the higher one of two files counts.
std::string stored_state_bytes(const StoredState& state, std::uint64_t number);

struct StoredBlock {
  std::uint64_t number = 0;
  StoredState state;
};
Result<StoredBlock> read_stored_state(std::string_view bytes);

/// What a wish to write is called; later ones contain all before them.
using SaveTicket = std::uint64_t;

/// Puts a state on disk: the block of this ticket, or of a later one, and then says Persisted.
struct Persist {
  SaveTicket ticket;
  StoredState state;
};

/// The state in memory, and how much of it is on disk.
class StateWriter {
 public:
  /// `state` is what the disk holds.
  explicit StateWriter(StoredState state) : state_(std::move(state)), term_on_disk_(state_.term) {}

  const StoredState& state() const { return state_; }
  void set_term(std::uint64_t term);
  void set_accepted(DocumentPtr accepted);
  void set_ready(std::vector<Uuid> ready);

  /// The ticket whose writing puts all of state() on disk. `persist`: filled if something is to be written.
  SaveTicket save(TimeNs now, std::optional<Persist>& persist);
  void on_persisted(SaveTicket ticket);

  bool is_on_disk(SaveTicket ticket) const { return ticket <= written_; }
  std::uint64_t term_on_disk() const { return term_on_disk_; }
  /// When the oldest write that has not been answered was asked for; kNever: all is on disk.
  TimeNs waits_since() const { return pending_.empty() ? kNever : pending_.front().since; }

 private:
  struct Pending {
    SaveTicket ticket;
    std::uint64_t term;
    TimeNs since;
  };

  StoredState state_;
  bool is_changed_ = false;  ///< since the newest ticket
  SaveTicket asked_ = 0;
  SaveTicket written_ = 0;
  std::uint64_t term_on_disk_;
  std::deque<Pending> pending_;
};

}  // namespace memento::bus
