// Elections: who stands when, pre-votes, votes (Raft, sections 3.4, 9.6).
#include <algorithm>
#include <cassert>

#include "bus/core/agreement.h"
#include "bus/core/plant.h"

namespace memento::bus {

const VoterSet& Agreement::voters_in_force() const {
  const bool is_committed = committed_ && committed_->key == accepted()->key;
  return is_committed ? accepted()->voters_accepted : accepted()->voters_committed;
}

bool Agreement::is_majority_of_both(const std::vector<Uuid>& votes) const {
  return is_majority(votes, accepted()->voters_accepted) &&
         (is_majority(votes, voters_in_force()) || planted(Plant::kSingle));
}

// Every member stands, voter or not, since the newest document may be at one that votes no more: the voters
// are changed from A to B, which only A knows as committed; A publishes the next one and is restarted. B
// needs A's vote, and A has a newer document. Voters come first. (Who is no member in what it has accepted
// has been removed, or would be if that were committed; it does not stand, but goes on asking what became of
// it.)
TimeNs Agreement::stands_at() const {
  const bool votes = std::ranges::binary_search(accepted()->voters_accepted, self()) ||
                     std::ranges::binary_search(voters_in_force(), self());
  if (!votes && planted(Plant::kVotersOnly)) return kNever;
  return std::max(silent_until_ + (votes ? 0 : timing_.non_voter_ns), next_try_);
}

void Agreement::stand_if_silent() {
  if (!accepted() || has_disk_failed_ || now_ < stands_at()) return;
  next_try_ = now_ + timing_.retry_ns + random_.between(0, timing_.retry_spread_ns);
  candidacy_.reset();
  pre_votes_.clear();
  pre_vote_term_ = 0;
  if (is_disk_late() || !accepted()->has_member(self())) return;
  if (planted(Plant::kNoPreVote)) return stand(term() + 1);
  std::vector<Uuid> voters = accepted()->voters_accepted;
  for (const Uuid& voter : voters_in_force()) insert_sorted(voters, voter);
  for (const Uuid& voter : voters) send(voter, PreVote{accepted()->key});
}

// Asked before a term begins, so that a node which cannot win, or alone hears no leader, does not end the
// term of one that the others hear. Who asks with a document that is older than the newest committed one is
// told of that: it may have been removed, and hears no heartbeats.
void Agreement::take(const Uuid& from, const PreVote& message) {
  if (committed_ && message.accepted < committed_->key) send(from, Commit{committed_->key});
  const bool hears_leader = (is_leader() || now_ < silent_until_) && !planted(Plant::kPreVoteLive);
  const bool is_older = message.accepted < accepted()->key && !planted(Plant::kFreshness);
  if (hears_leader || is_older || has_disk_failed_ || is_disk_late()) return;
  send(from, PreVoteYes{term()});
}

void Agreement::take(const Uuid& from, const PreVoteYes& message) {
  if (is_leader() || candidacy_ || (now_ < silent_until_ && !planted(Plant::kPreVoteLive))) return;
  insert_sorted(pre_votes_, from);
  pre_vote_term_ = std::max(pre_vote_term_, message.term);
  if (!is_majority_of_both(pre_votes_)) return;
  pre_votes_.clear();
  stand(std::max(pre_vote_term_, term()) + 1);
}

// The candidate's own term is on disk before it asks: after a restart it must not stand in the same term
// again and count votes of the first time that come late.
void Agreement::stand(std::uint64_t term) {
  if (has_disk_failed_) return;
  raise_term(term);
  candidacy_ = Candidacy{term, {}};
  after_save(AskForVotes{term});
  if (planted(Plant::kStandLost)) perform(AskForVotes{term});
}

void Agreement::perform(const AskForVotes& deed) {
  if (!candidacy_ || candidacy_->term != deed.term) return;
  for (const Uuid& member : everybody())
    if (member != self()) send(member, StartTerm{deed.term});
  count_vote(self());
}

// A voter with a newer document than the candidate's may have accepted one that is committed.
void Agreement::take(const Uuid& from, const Vote& message) {
  if (!candidacy_ || candidacy_->term != message.term || term() != message.term) return;
  if (message.accepted > accepted()->key && !planted(Plant::kFreshness)) return;
  count_vote(from);
}

void Agreement::count_vote(const Uuid& voter) {
  insert_sorted(candidacy_->votes, voter);
  if (is_majority_of_both(candidacy_->votes)) lead();
}

void Agreement::lead() {
  leadership_.emplace(candidacy_->term, now_);
  leadership_->votes = candidacy_->votes;
  candidacy_.reset();
  follow(self(), term(), 0);
  if (planted(Plant::kFigure8) && accepted()->key.term > 0) {
    leadership_->publication = accepted();
    return offer_publication();
  }
  Document first = *accepted();
  if (planted(Plant::kFirstChanged)) first.settings.heal_after_ms += 1;
  publish_next(std::move(first), accepted()->voters_accepted);
}

}  // namespace memento::bus
