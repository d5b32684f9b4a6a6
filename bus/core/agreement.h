// Agreement on the document, at one member. Pure: a message, a tick, or the word that something is on disk
// comes in with the time; what to send, to write and what has been committed comes out. The bus runs it, one
// a node; it is not thread safe.
//
// The algorithm is a register with terms: publish, accept, commit of the whole value, with majorities of two
// sets while the voters change. It is that of Elasticsearch's CoordinationState ("Zen2", with a TLA+ model);
// elections and terms are Raft's (Ongaro, Ousterhout, "In Search of an Understandable Consensus Algorithm",
// 2014; sections named below are of Ongaro's thesis), but one value replaces the log.
//
// Invariants, each with what would happen without it:
//   1. Nothing leaves a node in a term that is not on its disk, no vote, answer, publication. Else a node
//   that
//      has forgotten could vote twice in a term, or follow an older leader again.
//   2. One vote a term, so one leader a term: two majorities of a set meet.
//   3. A node answers no heartbeat or publication of an older term than its own. So a leader that majorities
//      answered knows that nobody could have been elected before that (its authority).
//   4. Who is elected has a document at least as new as a majority of both sets: it has every committed one.
//   5. A leader counts acceptances only of documents of its own term, and first publishes what it has once
//      more without a change (Raft, figure 8). Until that is committed nothing else is published.
//   6. One document at a time is under way, so the committed ones form a chain, and voters change from a set
//      that is known to be committed.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "bus/core/actions.h"
#include "bus/core/document.h"
#include "bus/core/leadership.h"
#include "bus/core/messages.h"
#include "bus/core/random.h"
#include "bus/core/stored_state.h"
#include "bus/core/timing.h"

namespace memento::bus {

class Agreement {
 public:
  /// `state` outlives this. `known_committed`: key of the newest committed document that this node's segment
  /// knows of, zero if none: it tells whether the accepted one is that.
  Agreement(StateWriter& state, DocumentKey known_committed, const Timing& timing, Random random, TimeNs now);

  /// Call it when deadline() has come; earlier or later does no harm.
  Actions on_tick(TimeNs now);
  Actions on_message(const Message& message, TimeNs now);
  /// All up to this ticket is on disk.
  Actions on_persisted(SaveTicket ticket, TimeNs now);
  /// A write has failed, and nobody knows what the disk holds: this node votes, accepts and leads no more
  /// until it is started again.
  Actions on_disk_failed(TimeNs now);

  /// The next document, as a leader: its key and its sets of voters are filled in here. REQUIRES:
  /// may_publish().
  Actions publish(Document document, TimeNs now);
  /// This node leads, what it accepted is committed in its own term, and its voters do not change.
  bool may_publish() const;
  /// A document that a cluster has, which names this node: of a cluster that has just formed, or told by a
  /// member. `is_committed`: else it is taken like a publication that comes late. REQUIRES: no document yet.
  Actions adopt(DocumentPtr document, bool is_committed, TimeNs now);

  /// Members that are taken for dead, sorted: a leader prefers others as voters. A hint: a false one costs a
  /// change of voters, nothing else.
  void suspect(std::vector<Uuid> members) { suspects_ = std::move(members); }

  const Uuid& self() const { return state_->state().uuid; }
  const DocumentPtr& accepted() const { return state_->state().accepted; }
  const DocumentPtr& committed() const { return committed_; }  ///< newest that is known; may be none
  std::uint64_t term() const { return state_->state().term; }
  bool is_leader() const { return leadership_.has_value(); }
  const std::optional<Leadership>& leadership() const { return leadership_; }
  bool is_candidate() const { return candidacy_.has_value(); }
  /// The leader that this node last answered, and what of it.
  struct Followed {
    Uuid leader;
    std::uint64_t term = 0;
    std::uint64_t number = 0;  ///< of the newest heartbeat or publication heard in this term
  };
  const Followed& followed() const { return followed_; }
  /// The set that counts beside voters_accepted: the former voters, until a change of them is known to be
  /// committed.
  const VoterSet& voters_in_force() const;
  /// When on_tick() is to be called, if nothing else happens.
  TimeNs deadline() const;

 private:
  struct Candidacy {
    std::uint64_t term;
    std::vector<Uuid> votes;
  };
  // What waits for the disk.
  struct VoteLater {
    Uuid to;
    std::uint64_t term;
  };
  struct AcceptLater {
    Uuid to;
    Publish publication;
  };
  struct AnswerLater {
    Uuid to;
    Heartbeat heartbeat;
  };
  struct AskForVotes {
    std::uint64_t term;
  };
  struct LearnLater {
    DocumentPtr document;
  };
  struct Keep {};  ///< nothing but to be on disk
  using Deed = std::variant<VoteLater, AcceptLater, AnswerLater, AskForVotes, LearnLater, Keep>;
  struct Waiting {
    SaveTicket ticket;
    Deed deed;
  };

  // agreement.cc: what every member does
  void take(const Uuid& from, const StartTerm& message);
  void take(const Uuid& from, const Heartbeat& message);
  void take(const Uuid& from, const Publish& message);
  void take(const Uuid& from, const Commit& message);
  void take(const Uuid& from, const Fetch& message);
  void take(const Uuid& from, const Fetched& message);
  void perform(const VoteLater& deed);
  void perform(const AcceptLater& deed);
  void perform(const AnswerLater& deed);
  void perform(const LearnLater& deed);
  void perform(const Keep&) {}
  void raise_term(std::uint64_t term);
  void follow(const Uuid& leader, std::uint64_t term, std::uint64_t number);
  void hear_leader();
  void learn(const DocumentPtr& document);
  void after_save(Deed deed);
  void send(const Uuid& to, MessageBody body);
  Actions finish();

  // agreement_elections.cc
  void take(const Uuid& from, const PreVote& message);
  void take(const Uuid& from, const PreVoteYes& message);
  void take(const Uuid& from, const Vote& message);
  void perform(const AskForVotes& deed);
  TimeNs stands_at() const;
  void stand_if_silent();
  void stand(std::uint64_t term);
  void count_vote(const Uuid& voter);
  void lead();
  bool is_majority_of_both(const std::vector<Uuid>& votes) const;

  // agreement_leader.cc
  void take(const Uuid& from, const HeartbeatAnswer& message);
  void take(const Uuid& from, const NewerTerm& message);
  void take(const Uuid& from, const Accepted& message);
  void tick_as_leader();
  void send_heartbeats();
  void offer_publication();
  void publish_next(Document document, VoterSet voters);
  void commit_publication();
  void change_voters();
  void step_down();

  bool is_disk_late() const;
  std::vector<Uuid> everybody() const;

  StateWriter* state_;
  Timing timing_;
  Random random_;
  TimeNs now_;
  Actions actions_;

  DocumentPtr committed_;
  Followed followed_;
  TimeNs silent_until_;  ///< a leader was heard: until then this node does not stand, nor tell others to
  TimeNs next_try_;
  std::optional<Candidacy> candidacy_;
  std::vector<Uuid> pre_votes_;
  std::uint64_t pre_vote_term_ = 0;  ///< highest term told with them
  std::optional<Leadership> leadership_;
  std::vector<Waiting> waiting_;
  std::vector<Uuid> suspects_;
  bool has_disk_failed_ = false;
};

}  // namespace memento::bus
