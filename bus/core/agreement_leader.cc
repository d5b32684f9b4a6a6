// What a leader does: heartbeats, publications, the change of voters, and when it gives up.
#include <algorithm>
#include <cassert>

#include "bus/core/agreement.h"
#include "bus/core/plant.h"
#include "bus/core/voters.h"

namespace memento::bus {

// A leader that majorities no longer answer gives up soon: it may be heard by all and hear nobody, and would
// hold up every election. After a lease's time would be as safe, but would cost all a second without a
// leader.
void Agreement::tick_as_leader() {
  const std::optional<TimeNs> confirmed =
      leadership_->confirmed_by(accepted()->voters_accepted, voters_in_force());
  const TimeNs latest = std::max(confirmed.value_or(leadership_->since()), leadership_->since());
  if ((now_ > latest + timing_.step_down_ns && !planted(Plant::kNoStepDown)) || is_disk_late())
    return step_down();
  if (now_ < leadership_->next_beat()) return;
  leadership_->set_next_beat(now_ + timing_.heartbeat_ns);
  send_heartbeats();
  if (leadership_->publication) offer_publication();
  change_voters();
}

void Agreement::send_heartbeats() {
  const std::uint64_t number = leadership_->note_sending(now_);
  const DocumentKey committed = committed_ ? committed_->key : DocumentKey{};
  for (const Uuid& member : everybody())
    if (member != self()) send(member, Heartbeat{term(), number, committed});
  follow(self(), term(), number);
  leadership_->note_answer(self(), number, now_);
}

/// To whoever has not accepted it yet.
void Agreement::offer_publication() {
  const DocumentPtr document = leadership_->publication;
  const std::uint64_t number = leadership_->note_sending(now_);
  for (const Uuid& member : everybody())
    if (member != self() && !std::ranges::binary_search(leadership_->acceptances, member))
      send(member, Publish{term(), number, document});
}

bool Agreement::may_publish() const {
  if (!is_leader() || !leadership_->committed || has_disk_failed_) return false;
  if (planted(Plant::kTwice)) return true;
  return !leadership_->publication && !accepted()->voters_change();
}

Actions Agreement::publish(Document document, TimeNs now) {
  assert(may_publish());
  now_ = now;
  publish_next(std::move(document), accepted()->voters_accepted);
  return finish();
}

void Agreement::publish_next(Document document, VoterSet voters) {
  document.voters_committed = planted(Plant::kTwice) ? accepted()->voters_accepted : voters_in_force();
  document.voters_accepted = std::move(voters);
  document.key = {term(), accepted()->key.version + 1};
  assert(!fault_of(document));
  leadership_->publication = std::make_shared<const Document>(std::move(document));
  leadership_->acceptances.clear();
  state_->set_accepted(leadership_->publication);
  offer_publication();
  after_save(AcceptLater{self(), Publish{term(), 0, leadership_->publication}});
}

void Agreement::take(const Uuid& from, const HeartbeatAnswer& message) {
  if (is_leader() && leadership_->term() == message.term)
    leadership_->note_answer(from, message.number, now_);
}

// Somebody took part in a later election, which failed, and can follow this leader no more: another election.
void Agreement::take(const Uuid&, const NewerTerm& message) {
  if (!is_leader() || message.term <= term() || has_disk_failed_) return;
  raise_term(message.term);
  after_save(Keep{});
}

void Agreement::take(const Uuid& from, const Accepted& message) {
  if (!is_leader() || leadership_->term() != message.term) return;
  leadership_->note_answer(from, message.number, now_);
  const DocumentPtr& publication = leadership_->publication;
  if (!publication || publication->key != message.key) return;
  insert_sorted(leadership_->acceptances, from);
  const std::vector<Uuid>& acceptances = leadership_->acceptances;
  if (is_majority(acceptances, publication->voters_accepted) &&
      (is_majority(acceptances, publication->voters_committed) || planted(Plant::kSingle)))
    commit_publication();
}

// Members of the former document are told too: one that is removed reads it there. A change of voters is
// followed at once by a document that has only the new set, so that nobody needs to remember that it was
// committed.
void Agreement::commit_publication() {
  const DocumentPtr document = std::move(leadership_->publication);
  leadership_->publication.reset();
  leadership_->committed = document;
  std::vector<Uuid> told = everybody();
  if (committed_)
    for (const Member& member : committed_->members) insert_sorted(told, member.uuid);
  learn(document);
  for (const Uuid& member : told)
    if (member != self()) send(member, Commit{document->key});
  if (document->voters_change()) return publish_next(*document, document->voters_accepted);
  // Who leaves is not chosen as a voter, and leads no longer than until others can (Raft, section 4.2.2).
  const Member* own = document->member(self());
  const bool leaves = own == nullptr || own->state == MemberState::kLeaving;
  if (leaves && !document->is_voter(self())) {
    step_down();
    hear_leader();
  }
}

// One change at a time, from a set that is known to be committed to one of which a majority has answered of
// late, so that this leader need not step down at once: else {1, 2, 3} could be left for a set that cannot
// commit its own successor. Their votes are not asked for: who joined has not voted in this term, and never
// would.
void Agreement::change_voters() {
  if (!may_publish()) return;
  const TimeNs heal_after_ns = accepted()->settings.heal_after_ms * kMillisecondNs;
  const auto is_alive = [&](const Uuid& member) {
    if (member == self()) return true;
    return now_ - leadership_->heard(member) < heal_after_ns &&
           !std::ranges::binary_search(suspects_, member);
  };
  VoterSet voters = choose_voters(*accepted(), self(), is_alive);
  if (voters == accepted()->voters_accepted) return;
  std::vector<Uuid> present;
  for (const Uuid& voter : voters) {
    const std::optional<TimeNs> answered = leadership_->answered(voter);
    const bool has_voted = std::ranges::binary_search(leadership_->votes, voter);
    if (planted(Plant::kHoldsVotes) ? has_voted : answered && now_ - *answered < timing_.step_down_ns)
      insert_sorted(present, voter);
  }
  if (is_majority(present, voters)) publish_next(*accepted(), std::move(voters));
}

void Agreement::step_down() {
  leadership_.reset();
  next_try_ = now_ + random_.between(0, timing_.spread_ns);
}

}  // namespace memento::bus
