// What nodes say to each other to form a cluster, to come and go, and to agree; agreement.h, formation.h and
// membership.h say what is done with each. A message names the sender's uuid and its cluster: between members
// one of another cluster is not read.
#pragma once

#include <cstdint>
#include <variant>

#include "bus/core/document.h"
#include "bus/core/timing.h"

namespace memento::bus {

/// "Would you vote for me?" Changes nothing at who answers.
struct PreVote {
  DocumentKey accepted;
};
struct PreVoteYes {
  std::uint64_t term;  ///< of who answers
};
/// A candidate begins a term.
struct StartTerm {
  std::uint64_t term;
};
struct Vote {
  std::uint64_t term;
  DocumentKey accepted;  ///< the voter's
};
/// A leader's sign of life.
struct Heartbeat {
  std::uint64_t term;
  std::uint64_t number;   ///< counts the leader's heartbeats and publications
  DocumentKey committed;  ///< the newest that it knows
};
struct HeartbeatAnswer {
  std::uint64_t term;
  std::uint64_t number;
};
/// To the leader of an older term.
struct NewerTerm {
  std::uint64_t term;
};
struct Publish {
  std::uint64_t term;
  std::uint64_t number;
  DocumentPtr document;
};
struct Accepted {
  std::uint64_t term;
  std::uint64_t number;
  DocumentKey key;
};
struct Commit {
  DocumentKey key;
};
/// "Send me your newest committed document, mine is that one."
struct Fetch {
  DocumentKey have;
};
struct Fetched {
  DocumentPtr document;  ///< committed
};

/// From a node of no cluster yet to all others of its file.
struct Fresh {
  std::string name;
  std::vector<Uuid> ready;  ///< that it has on disk; empty: it has not heard all others yet
};
/// From a member to a fresh node.
struct Told {
  DocumentPtr document;
  bool is_committed;
};

/// A node wants to be a member. Repeated until a document names it.
struct Join {
  Member member;  ///< its number is the leader's to give
  bool replaces;  ///< a dead member of that name goes
};
/// A member wants to leave, or somebody wants it to.
struct Leave {
  Uuid member;
};
struct ChangeSettings {
  Settings settings;
};

/// To the leader, for a lease.
struct LeaseRequest {
  std::uint64_t term;
  std::uint64_t number;  ///< newest heartbeat or publication of the leader that was heard
  TimeNs asked_at;       ///< by the clock of who asks
  std::uint64_t generation;
  std::uint64_t memory_id;
};
struct Grant {
  std::uint64_t generation;  ///< these two as in the request
  TimeNs asked_at;
  TimeNs duration_ns;
  DocumentKey wanted;  ///< in force for whoever acts on this document, or a newer one
};

using MessageBody = std::variant<PreVote, PreVoteYes, StartTerm, Vote, Heartbeat, HeartbeatAnswer, NewerTerm,
                                 Publish, Accepted, Commit, Fetch, Fetched, Fresh, Told, Join, Leave,
                                 ChangeSettings, LeaseRequest, Grant>;

struct Message {
  ClusterId cluster_id;
  Uuid from;
  MessageBody body;
};

}  // namespace memento::bus
