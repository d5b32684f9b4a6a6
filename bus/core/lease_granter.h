// The leader's side of leases: whom it grants, for how long, and from whom it may take roles. Pure; it begins
// and ends with a leadership.
//
// Why nobody else answers when this leader gives a member's slots to another: a lease ends at most L after
// its leader *sent* a heartbeat that majorities of both its voter sets answered. This leader has the votes of
// majorities, of which at least one voter answered that heartbeat, and before it voted: afterwards it refuses
// older terms. So the leases of all earlier leaders end at most L after the election, and those of this one
// at most L after the last request that it granted; clocks differ by 3 %. If the voters were changed
// meanwhile, so that the majorities do not meet, that change was committed before the election, and what was
// granted before it ends earlier still. To grant is harmless at any time: only taking a role away must wait.
#pragma once

#include <map>
#include <optional>

#include "bus/core/agreement.h"
#include "bus/core/messages.h"

namespace memento::bus {

class LeaseGranter {
 public:
  /// What a member last said of its memory, by its newest bus.
  struct Told {
    std::uint64_t generation = 0;
    std::uint64_t memory_id = 0;
  };

  /// REQUIRES: `agreement` leads, and outlives this.
  LeaseGranter(const Agreement& agreement, const Timing& timing);

  std::optional<Grant> answer(const Uuid& member, const LeaseRequest& request, TimeNs now);

  /// No lease of this member is in force any more, by any clock: its slots may be given to others.
  bool may_take_from(const Uuid& member, TimeNs now) const;
  /// From here on the member is granted nothing, until this document is committed.
  void note_taking(const Uuid& member, const DocumentKey& key) { taking_[member] = key; }
  /// A document of this leadership is committed.
  void note_committed(const Document& document, const Document& before, TimeNs now);

  const std::map<Uuid, Told>& told() const { return told_; }

 private:
  static bool is_memory_of(const Document& document, const Uuid& member, std::uint64_t memory_id);
  std::optional<TimeNs> authority_ends() const;

  const Agreement* agreement_;
  Timing timing_;
  std::map<Uuid, TimeNs> last_counted_;
  std::map<Uuid, Told> told_;
  std::map<Uuid, DocumentKey> taking_;
};

/// `document` with what members have said of their memory. A member whose memory is another has no reign any
/// more: its slots get new epochs in the same document. None: nothing changes.
std::optional<Document> with_memories(const Document& document,
                                      const std::map<Uuid, LeaseGranter::Told>& told);

}  // namespace memento::bus
