// See lease_granter.h.
#include "bus/core/lease_granter.h"

#include <algorithm>
#include <cassert>

#include "bus/core/plant.h"

namespace memento::bus {

LeaseGranter::LeaseGranter(const Agreement& agreement, const Timing& timing)
    : agreement_(&agreement), timing_(timing) {
  assert(agreement.is_leader());
}

// When the lease of a leader's own making ends: L after it sent what majorities of both sets have answered,
// by its clock. The arrival of the answer proves nothing about who was elected since.
std::optional<TimeNs> LeaseGranter::authority_ends() const {
  const Document& document = *agreement_->accepted();
  const Leadership& leadership = *agreement_->leadership();
  const std::optional<TimeNs> confirmed =
      planted(Plant::kAuthOld)
          ? leadership.confirmed_by(document.voters_committed)
          : leadership.confirmed_by(document.voters_accepted, agreement_->voters_in_force());
  if (!confirmed) return std::nullopt;
  return *confirmed + timing_.lease_ns;
}

// With another memory than the document's a member has not what was promised in its reigns. The published
// document may end them, but the next leader may not know of it, and publish newer ones in which they go on:
// what counts is the committed one, which all later ones descend from.
bool LeaseGranter::is_memory_of(const Document& document, const Uuid& member, std::uint64_t memory_id) {
  const Member* known = document.member(member);
  return (known != nullptr && known->memory_id == memory_id) || planted(Plant::kGrantMem);
}

std::optional<Grant> LeaseGranter::answer(const Uuid& member, const LeaseRequest& request, TimeNs now) {
  const Leadership& leadership = *agreement_->leadership();
  if (!agreement_->accepted()->has_member(member) || request.term != leadership.term()) return std::nullopt;
  Told& told = told_.try_emplace(member, Told{request.generation, request.memory_id}).first->second;
  if (request.generation < told.generation) return std::nullopt;
  told = {request.generation, request.memory_id};
  // Who is heard but hears nothing would keep its roles for ever and never serve: its requests do not count.
  const std::optional<TimeNs> sent = leadership.sent_at(request.number);
  const bool is_deaf = !sent || now - *sent > timing_.step_down_ns;
  if (is_deaf && !planted(Plant::kDeafPrimary)) return std::nullopt;
  if (taking_.contains(member)) return std::nullopt;
  if (!is_memory_of(*agreement_->accepted(), member, request.memory_id)) return std::nullopt;
  last_counted_[member] = now;
  // What this leader knows to be committed may not be the newest that is, until its own first document is.
  const bool is_first_pending = leadership.committed == nullptr;
  if (!is_first_pending && !planted(Plant::kMemPublished) &&
      !is_memory_of(*leadership.committed, member, request.memory_id))
    return std::nullopt;
  if (is_first_pending && !planted(Plant::kFirstCommit) && !planted(Plant::kGrantSoon)) return std::nullopt;
  const std::optional<TimeNs> ends = authority_ends();
  const TimeNs left =
      planted(Plant::kAuthority) ? timing_.lease_ns : std::min(timing_.lease_ns, ends.value_or(now) - now);
  if (left <= 0) return std::nullopt;
  // The newest that was published, committed or not: it may be committed before the grant arrives.
  const bool by_committed = planted(Plant::kGrantCom) || planted(Plant::kFirstCommit);
  const DocumentPtr& committed = agreement_->committed();
  const DocumentKey wanted =
      by_committed ? (committed ? committed->key : DocumentKey{}) : agreement_->accepted()->key;
  return Grant{request.generation, request.asked_at, left, wanted};
}

bool LeaseGranter::may_take_from(const Uuid& member, TimeNs now) const {
  const Leadership& leadership = *agreement_->leadership();
  if (!leadership.committed || taking_.contains(member)) return false;
  const auto counted = last_counted_.find(member);
  const TimeNs wait_ns =
      planted(Plant::kFailEarly) ? timing_.lease_ns / 2 : with_clock_slack(timing_.lease_ns);
  const bool has_asked = counted != last_counted_.end();
  if (planted(Plant::kFenceAtOnce) && !has_asked) return now >= leadership.since() + timing_.silence_ns;
  return now >= std::max(leadership.since(), has_asked ? counted->second : leadership.since()) + wait_ns;
}

// Whoever lost its slots may be granted again, and begins anew, like whoever was given one: it may have been
// away, and would lose it again at once.
void LeaseGranter::note_committed(const Document& document, const Document& before, TimeNs now) {
  for (auto taking = taking_.begin(); taking != taking_.end();) {
    if (taking->second > document.key) {
      ++taking;
      continue;
    }
    last_counted_[taking->first] = now;
    taking = taking_.erase(taking);
  }
  if (planted(Plant::kOldTimer)) return;
  for (std::size_t slot = 0; slot < document.slots.size(); ++slot) {
    const SlotEntry& entry = document.slots[slot];
    if (entry.primary != kNoMember && entry.epoch != before.slots[slot].epoch)
      last_counted_[document.members[entry.primary].uuid] = now;
  }
}

std::optional<Document> with_memories(const Document& document,
                                      const std::map<Uuid, LeaseGranter::Told>& told) {
  std::optional<Document> next;
  for (std::size_t index = 0; index < document.members.size(); ++index) {
    const Member& member = document.members[index];
    const auto said = told.find(member.uuid);
    if (said == told.end() || said->second.generation < member.generation ||
        said->second.memory_id == member.memory_id)
      continue;
    if (!next) next = document;
    Member& changed = next->members[index];
    // None was known yet: nothing was granted, and no reign has begun.
    const bool had_reigns = std::exchange(changed.memory_id, said->second.memory_id) != 0;
    changed.generation = said->second.generation;
    for (SlotEntry& slot : next->slots) {
      if (!had_reigns || slot.primary != index) continue;
      slot.is_lost = true;
      ++slot.epoch;
      ++slot.changes;
    }
  }
  return next;
}

}  // namespace memento::bus
