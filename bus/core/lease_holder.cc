// See lease_holder.h.
#include "bus/core/lease_holder.h"

#include <algorithm>

#include "bus/core/plant.h"

namespace memento::bus {

std::optional<LeaseRequest> LeaseHolder::ask(const Agreement::Followed& followed, TimeNs now) {
  ask_at_ = now + kAskAgainNs;
  if (followed.leader.is_null()) return std::nullopt;
  return LeaseRequest{followed.term, followed.number, now, generation_, memory_id_};
}

// A grant to an earlier bus was counted by another clock if the machine was started anew since: that begins
// at zero again, and the lease would last for as long as the machine had run.
bool LeaseHolder::take(const Grant& grant, const DocumentKey& table, TimeNs now) {
  if (grant.generation != generation_ && !planted(Plant::kGen)) return false;
  const TimeNs asked_at = planted(Plant::kGrantReceipt) ? now : grant.asked_at;
  const Pending pending{asked_at + grant.duration_ns, grant.wanted};
  if (!pending_ || pending.until > pending_->until) pending_ = pending;
  return note_table(table);
}

bool LeaseHolder::note_table(const DocumentKey& table) {
  if (!pending_ || (table < pending_->wanted && !planted(Plant::kGrantVer))) return false;
  const TimeNs before = std::exchange(until_, std::max(until_, pending_->until));
  pending_.reset();
  is_confirmed_ = true;
  return until_ > before;
}

}  // namespace memento::bus
