// See cluster_core.h.
#include "bus/core/cluster_core.h"

#include <algorithm>
#include <cassert>
#include <iterator>

#include "bus/core/plant.h"

namespace memento::bus {

ClusterCore::ClusterCore(Self self, StoredState state, DocumentKey known_committed, const Timing& timing,
                         Random random, TimeNs now)
    : self_(std::move(self)),
      timing_(timing),
      state_(std::move(state)),
      agreement_(state_, known_committed, timing, random, now),
      lease_(state_.state().generation, self_.memory_id, self_.lease_until, now),
      is_replacement_(self_.file && !self_.is_fresh && !has_document()),
      say_again_at_(now),
      now_(now) {
  self_.description.uuid = state_.state().uuid;
  if (self_.file) formation_.emplace(state_, *self_.file, self_.slot_count);
}

Actions ClusterCore::on_tick(TimeNs now) {
  now_ = now;
  if (has_document()) {
    if (!agreement_.is_leader() && now >= agreement_.deadline()) ask_a_seed();
    add(agreement_.on_tick(now));
    if (now >= lease_.ask_at()) ask_for_lease();
  } else if (now >= say_again_at_)
    say_again();
  return finish();
}

Actions ClusterCore::on_message(const Message& message, TimeNs now) {
  now_ = now;
  const Uuid& from = message.from;
  if (const auto* fresh = std::get_if<Fresh>(&message.body))
    hear_fresh(from, *fresh);
  else if (const auto* told = std::get_if<Told>(&message.body))
    hear_told(*told);
  else if (const auto* join = std::get_if<Join>(&message.body))
    take_request(from, *join);
  else if (has_document() && message.cluster_id != agreement_.accepted()->cluster_id)
    return {};
  else if (const auto* request = std::get_if<LeaseRequest>(&message.body))
    take_lease_request(from, *request);
  else if (const auto* grant = std::get_if<Grant>(&message.body)) {
    if (lease_.take(*grant, table_key(), now)) actions_.emplace_back(ExtendLease{lease_.until()});
  } else if (const auto* leave = std::get_if<Leave>(&message.body))
    take_request(from, *leave);
  else if (const auto* change = std::get_if<ChangeSettings>(&message.body))
    take_request(from, *change);
  else
    add(agreement_.on_message(message, now));
  return finish();
}

Actions ClusterCore::on_persisted(SaveTicket ticket, TimeNs now) {
  now_ = now;
  add(agreement_.on_persisted(ticket, now));
  std::erase_if(ready_on_its_way_, [&](const ReadyOnItsWay& ready) {
    if (!state_.is_on_disk(ready.ticket)) return false;
    formation_->note_ready_on_disk(ready.ready);
    return true;
  });
  advance_formation();
  return finish();
}

Actions ClusterCore::on_disk_failed(TimeNs now) {
  now_ = now;
  add(agreement_.on_disk_failed(now));
  return finish();
}

Actions ClusterCore::request(const MembershipRequest& request, TimeNs now) {
  now_ = now;
  if (has_document()) take_request(agreement_.self(), request);
  return finish();
}

Actions ClusterCore::publish(Document document, const std::vector<Uuid>& robbed, TimeNs now) {
  now_ = now;
  for (const Uuid& member : robbed) assert(granter_->may_take_from(member, now));
  add(agreement_.publish(std::move(document), now));
  for (const Uuid& member : robbed) granter_->note_taking(member, agreement_.accepted()->key);
  return finish();
}

TimeNs ClusterCore::deadline() const {
  return has_document() ? std::min(agreement_.deadline(), lease_.ask_at()) : say_again_at_;
}

void ClusterCore::add(Actions actions) {
  note_leadership();
  for (Action& action : actions) {
    const auto* committed = std::get_if<Committed>(&action);
    const DocumentPtr document = committed == nullptr ? nullptr : committed->document;
    actions_.push_back(std::move(action));
    if (document) note_committed(document);
  }
}

Actions ClusterCore::finish() {
  plan();
  Actions actions;
  actions.swap(actions_);
  return actions;
}

// Who hears no leader may have been removed while it was away, and all members that it knows may have gone
// since: somebody at an address of the cluster's knows.
void ClusterCore::ask_a_seed() {
  if (self_.seed_count == 0) return;
  next_seed_ = (next_seed_ + 1) % self_.seed_count;
  const DocumentPtr& committed = agreement_.committed();
  actions_.emplace_back(SendToSeed{next_seed_, Fetch{committed ? committed->key : DocumentKey{}}});
}

void ClusterCore::say_again() {
  say_again_at_ = now_ + Formation::kSayAgainNs;
  if (forms()) {
    for (std::size_t seed = 0; seed < self_.seed_count; ++seed)
      if (seed != self_.file->self) actions_.emplace_back(SendToSeed{seed, formation_->word()});
    advance_formation();
  } else if (self_.seed_count > 0) {
    next_seed_ = (next_seed_ + 1) % self_.seed_count;
    actions_.emplace_back(SendToSeed{next_seed_, Join{self_.description, self_.replaces || is_replacement_}});
  }
}

void ClusterCore::hear_fresh(const Uuid& from, const Fresh& word) {
  if (has_document()) return tell(from);
  if (!forms() || !formation_->hear(from, word)) return;
  advance_formation();
}

// A node of the file that has said ready, and lost its cluster's first document before it learned of it,
// could wait for ever: who formed says fresh no more. So members tell what they have. If none of them knows a
// committed document any more (its memory is gone too), the accepted one goes, and is taken like a
// publication that comes late.
void ClusterCore::tell(const Uuid& to) {
  if (!agreement_.accepted()->has_member(agreement_.self())) return;
  if (agreement_.committed())
    actions_.emplace_back(Send{to, Told{agreement_.committed(), true}});
  else if (!planted(Plant::kKnownOnly))
    actions_.emplace_back(Send{to, Told{agreement_.accepted(), false}});
}

void ClusterCore::hear_told(const Told& told) {
  if (has_document()) return;
  if (told.document->has_member(agreement_.self()))
    add(agreement_.adopt(told.document, told.is_committed, now_));
  else
    is_replacement_ = true;
}

void ClusterCore::advance_formation() {
  if (!forms()) return;
  const std::optional<std::vector<Uuid>> wanted = formation_->wanted();
  if (!wanted) return;
  if (*wanted != state_.state().ready) {
    std::optional<Persist> persist;
    state_.set_ready(*wanted);
    ready_on_its_way_.push_back({state_.save(now_, persist), *wanted});
    if (persist) actions_.emplace_back(std::move(*persist));
  }
  if (const DocumentPtr formed = formation_->formed()) add(agreement_.adopt(formed, true, now_));
}

// A request that comes from who makes it goes on to the leader, once: two nodes that take each other for the
// leader would else send it to and fro.
void ClusterCore::take_request(const Uuid& from, const MembershipRequest& request) {
  if (!has_document()) return;
  const auto* join = std::get_if<Join>(&request);
  const DocumentPtr& known = agreement_.committed() ? agreement_.committed() : agreement_.accepted();
  if (join != nullptr && known->has_member(join->member.uuid)) return tell(join->member.uuid);
  if (agreement_.is_leader()) {
    if (requests_.size() < kRequestLimit) requests_.push_back(request);
    return;
  }
  const bool is_firsthand = join != nullptr ? from == join->member.uuid : from == agreement_.self();
  const Uuid& leader = agreement_.followed().leader;
  if (!is_firsthand || leader.is_null() || leader == agreement_.self()) return;
  std::visit([&](const auto& one) { actions_.emplace_back(Send{leader, one}); }, request);
}

void ClusterCore::note_leadership() {
  if (!agreement_.is_leader()) {
    granter_.reset();
  } else if (!granter_ || granter_term_ != agreement_.term()) {
    granter_.emplace(agreement_, timing_);
    granter_term_ = agreement_.term();
    committed_before_ = nullptr;
  }
}

// The roles of the document come before the lease that names it.
void ClusterCore::note_committed(const DocumentPtr& document) {
  if (lease_.note_table(document->key)) actions_.emplace_back(ExtendLease{lease_.until()});
  if (!granter_ || document->key.term != granter_term_) return;
  if (committed_before_) granter_->note_committed(*document, *committed_before_, now_);
  committed_before_ = document;
}

DocumentKey ClusterCore::table_key() const {
  return agreement_.committed() ? agreement_.committed()->key : DocumentKey{};
}

void ClusterCore::ask_for_lease() {
  const Agreement::Followed& followed = agreement_.followed();
  const std::optional<LeaseRequest> request = lease_.ask(followed, now_);
  if (!request) return;
  if (followed.leader == agreement_.self())
    take_lease_request(agreement_.self(), *request);
  else
    actions_.emplace_back(Send{followed.leader, *request});
}

void ClusterCore::take_lease_request(const Uuid& from, const LeaseRequest& request) {
  note_leadership();
  if (!granter_) return;
  const std::optional<Grant> grant = granter_->answer(from, request, now_);
  if (!grant) return;
  if (from != agreement_.self())
    actions_.emplace_back(Send{from, *grant});
  else if (lease_.take(*grant, table_key(), now_))
    actions_.emplace_back(ExtendLease{lease_.until()});
}

void ClusterCore::plan() {
  note_leadership();
  if (!agreement_.is_leader()) return requests_.clear();
  if (!agreement_.may_publish()) return;
  const Document& document = *agreement_.accepted();
  const bool some_leave = std::ranges::any_of(
      document.members, [](const Member& member) { return member.state == MemberState::kLeaving; });
  std::optional<Document> next = with_memories(document, granter_->told());
  if (!requests_.empty() || some_leave) {
    std::optional<Document> changed = with_requests(next ? *next : document, requests_, agreement_.self());
    if (changed) next = std::move(changed);
  }
  requests_.clear();
  if (next) add(agreement_.publish(std::move(*next), now_));
}

}  // namespace memento::bus
