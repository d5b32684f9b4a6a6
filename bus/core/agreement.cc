// What every member does: takes terms and documents, answers the leader, learns what is committed.
#include "bus/core/agreement.h"

#include <cassert>

#include "bus/core/plant.h"

namespace memento::bus {

Agreement::Agreement(StateWriter& state, DocumentKey known_committed, const Timing& timing, Random random,
                     TimeNs now)
    : state_(&state), timing_(timing), random_(random), now_(now), silent_until_(now), next_try_(now) {
  // One document has a key, so the keys tell. Without a segment it is not known whether the accepted document
  // is committed; then both its sets count, which is safe.
  if (accepted() && accepted()->key == known_committed) committed_ = accepted();
}

Actions Agreement::on_tick(TimeNs now) {
  now_ = now;
  if (is_leader())
    tick_as_leader();
  else
    stand_if_silent();
  return finish();
}

Actions Agreement::on_message(const Message& message, TimeNs now) {
  now_ = now;
  const auto* publish = std::get_if<Publish>(&message.body);
  if (!accepted()) {
    // A node that has just joined learns so by the first document that names it, maybe by a publication.
    if (publish != nullptr && publish->document->has_member(self()) && !has_disk_failed_)
      take(message.from, *publish);
  } else if (message.cluster_id == accepted()->cluster_id) {
    std::visit(
        [&](const auto& body) {
          if constexpr (requires { take(message.from, body); }) take(message.from, body);
        },
        message.body);
  }
  return finish();
}

Actions Agreement::on_persisted(SaveTicket ticket, TimeNs now) {
  now_ = now;
  state_->on_persisted(ticket);
  std::vector<Waiting> waiting;
  waiting.swap(waiting_);
  for (Waiting& one : waiting) {
    if (state_->is_on_disk(one.ticket))
      std::visit([&](const auto& deed) { perform(deed); }, one.deed);
    else
      waiting_.push_back(std::move(one));
  }
  return finish();
}

Actions Agreement::on_disk_failed(TimeNs now) {
  now_ = now;
  has_disk_failed_ = true;
  waiting_.clear();
  candidacy_.reset();
  if (is_leader()) step_down();
  return finish();
}

Actions Agreement::adopt(DocumentPtr document, bool is_committed, TimeNs now) {
  assert(!accepted() && document->has_member(self()));
  now_ = now;
  raise_term(document->key.term);
  state_->set_accepted(document);
  if (is_committed)
    after_save(LearnLater{std::move(document)});
  else
    after_save(Keep{});
  return finish();
}

// A term is taken by whoever is no member of an older one's majority yet, and nothing else is asked: a node
// that was silent would only delay the election (whether one is wanted is asked by pre-votes). The term
// counts in memory at once, so that an older leader is refused from here on, and on disk before the vote
// leaves.
void Agreement::take(const Uuid& from, const StartTerm& message) {
  if (message.term <= term() || has_disk_failed_ || is_disk_late()) return;
  if (planted(Plant::kLateState)) {
    std::optional<Persist> persist;
    waiting_.push_back({state_->save(now_, persist), VoteLater{from, message.term}});
    return perform(VoteLater{from, message.term});
  }
  raise_term(message.term);
  after_save(VoteLater{from, message.term});
  if (planted(Plant::kVoteLost)) perform(VoteLater{from, message.term});
}

void Agreement::perform(const VoteLater& deed) {
  if (planted(Plant::kLateState) && deed.term > term()) raise_term(deed.term);
  if (term() == deed.term) send(deed.to, Vote{deed.term, accepted()->key});
}

// An older leader is refused, always: on this its successor's reckoning of leases rests. It is told of the
// newer term if that is on disk: who took part in a later election that failed could else never follow this
// leader.
void Agreement::take(const Uuid& from, const Heartbeat& message) {
  if (message.term < term() && !planted(Plant::kOldBeat)) {
    const std::uint64_t on_disk = state_->term_on_disk();
    if (on_disk > message.term && !planted(Plant::kNoNewer)) send(from, NewerTerm{on_disk});
    return;
  }
  raise_term(message.term);
  if (state_->term_on_disk() < message.term && !planted(Plant::kTermLate))
    return after_save(AnswerLater{from, message});
  perform(AnswerLater{from, message});
}

void Agreement::perform(const AnswerLater& deed) {
  const Heartbeat& heartbeat = deed.heartbeat;
  if (heartbeat.term < term() && !planted(Plant::kOldBeat)) return take(deed.to, heartbeat);
  if (!planted(Plant::kCandidate)) candidacy_.reset();
  hear_leader();
  follow(deed.to, heartbeat.term, heartbeat.number);
  send(deed.to, HeartbeatAnswer{heartbeat.term, heartbeat.number});
  take(deed.to, Commit{heartbeat.committed});
}

void Agreement::take(const Uuid& from, const Publish& message) {
  if (message.term < term() || has_disk_failed_) return;
  raise_term(message.term);
  if (!planted(Plant::kCandidate)) candidacy_.reset();
  if (state_->term_on_disk() >= message.term) follow(from, message.term, message.number);
  if (accepted() && message.document->key < accepted()->key) return;
  if (!accepted() || message.document->key > accepted()->key) state_->set_accepted(message.document);
  after_save(AcceptLater{from, message});
  if (planted(Plant::kAcceptLost)) perform(AcceptLater{from, message});
}

void Agreement::perform(const AcceptLater& deed) {
  const Publish& publication = deed.publication;
  if (term() != publication.term || accepted()->key != publication.document->key) return;
  hear_leader();
  follow(deed.to, publication.term, publication.number);
  send(deed.to, Accepted{publication.term, publication.number, publication.document->key});
}

void Agreement::take(const Uuid& from, const Commit& message) {
  if (committed_ && message.key <= committed_->key) return;
  if (accepted()->key == message.key) return learn(accepted());
  if (message.key > DocumentKey{}) send(from, Fetch{committed_ ? committed_->key : DocumentKey{}});
}

void Agreement::take(const Uuid& from, const Fetch& message) {
  if (committed_ && committed_->key > message.have) send(from, Fetched{committed_});
}

// What is committed is on disk before it is acted upon: this node's roles follow from it.
void Agreement::take(const Uuid&, const Fetched& message) {
  const DocumentPtr& document = message.document;
  if (committed_ && document->key <= committed_->key) return;
  if (document->key <= accepted()->key) return learn(document);
  if (has_disk_failed_) return;
  raise_term(std::max(term(), document->key.term));
  if (is_leader()) step_down();
  candidacy_.reset();
  state_->set_accepted(document);
  after_save(LearnLater{document});
}

void Agreement::perform(const LearnLater& deed) { learn(deed.document); }

// A document without this node may be from before it joined, and come late: only one that is newer than what
// it has accepted, or that itself, removes it. Else a duplicate would cost a voter.
void Agreement::learn(const DocumentPtr& document) {
  if (committed_ && document->key <= committed_->key) return;
  if (!document->has_member(self())) {
    if (accepted()->has_member(self()) && accepted()->key > document->key && !planted(Plant::kOldRemoval))
      return;
    committed_ = document;
    actions_.emplace_back(Removed{document});
    return;
  }
  committed_ = document;
  actions_.emplace_back(Committed{document});
}

void Agreement::raise_term(std::uint64_t term) {
  if (term <= this->term()) return;
  state_->set_term(term);
  candidacy_.reset();
  if (is_leader()) step_down();
}

void Agreement::follow(const Uuid& leader, std::uint64_t term, std::uint64_t number) {
  if (followed_.leader == leader && followed_.term == term)
    followed_.number = std::max(followed_.number, number);
  else
    followed_ = {leader, term, number};
}

void Agreement::hear_leader() {
  silent_until_ = now_ + timing_.silence_ns;
  if (!candidacy_) next_try_ = std::max(next_try_, silent_until_ + random_.between(0, timing_.spread_ns));
}

void Agreement::after_save(Deed deed) {
  if (has_disk_failed_) return;
  std::optional<Persist> persist;
  const SaveTicket ticket = state_->save(now_, persist);
  if (persist) actions_.emplace_back(std::move(*persist));
  if (state_->is_on_disk(ticket))
    std::visit([&](const auto& one) { perform(one); }, deed);
  else
    waiting_.push_back({ticket, std::move(deed)});
}

void Agreement::send(const Uuid& to, MessageBody body) {
  if (to == self())
    std::visit(
        [&](const auto& one) {
          if constexpr (requires { take(self(), one); }) take(self(), one);
        },
        body);
  else
    actions_.emplace_back(Send{to, std::move(body)});
}

Actions Agreement::finish() {
  Actions actions;
  actions.swap(actions_);
  return actions;
}

bool Agreement::is_disk_late() const {
  return state_->waits_since() < now_ - timing_.lease_ns && !planted(Plant::kHungDisk);
}

std::vector<Uuid> Agreement::everybody() const {
  std::vector<Uuid> all;
  for (const Member& member : accepted()->members) insert_sorted(all, member.uuid);
  for (const Uuid& voter : accepted()->voters_accepted) insert_sorted(all, voter);
  for (const Uuid& voter : voters_in_force()) insert_sorted(all, voter);
  return all;
}

TimeNs Agreement::deadline() const {
  if (has_disk_failed_ || !accepted()) return kNever;
  return is_leader() ? leadership_->next_beat() : stands_at();
}

}  // namespace memento::bus
