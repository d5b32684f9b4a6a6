// A node's lease: until when it may answer for the slots it owns. Pure; the bus runs it and puts the lease
// into the segment, where the workers look at it.
//
// A node asks the leader it follows every 250 ms, with its own clock in the question; the answer counts from
// then, so nobody's clock is compared with another's. The lease is in force once the node has the document
// that the grant names: else a node that was away, while its slots were given to another, could be granted on
// what it still believes. A lease that runs goes on meanwhile; it outlives the bus, and ends with all
// processes of the node.
#pragma once

#include <optional>

#include "bus/core/agreement.h"
#include "bus/core/messages.h"

namespace memento::bus {

class LeaseHolder {
 public:
  static constexpr TimeNs kAskAgainNs = 250 * kMillisecondNs;

  /// `until`: what the segment says, 0: none.
  LeaseHolder(std::uint64_t generation, std::uint64_t memory_id, TimeNs until, TimeNs now)
      : generation_(generation), memory_id_(memory_id), until_(until), ask_at_(now) {}

  TimeNs ask_at() const { return ask_at_; }
  /// What to ask the leader now; nothing: none is followed.
  std::optional<LeaseRequest> ask(const Agreement::Followed& followed, TimeNs now);
  /// True: the lease is longer than before. `table`: key of the newest document that this node acts on.
  bool take(const Grant& grant, const DocumentKey& table, TimeNs now);
  bool note_table(const DocumentKey& table);

  TimeNs until() const { return until_; }
  /// A grant to this bus has been in force: what its predecessor asked for is settled, or refused, for good.
  bool is_confirmed() const { return is_confirmed_; }

 private:
  struct Pending {
    TimeNs until;
    DocumentKey wanted;
  };

  std::uint64_t generation_;
  std::uint64_t memory_id_;
  TimeNs until_;
  TimeNs ask_at_;
  std::optional<Pending> pending_;
  bool is_confirmed_ = false;
};

}  // namespace memento::bus
