// The rules of a node towards the others as one object: it forms a cluster or joins one, agrees with the
// other members, and makes what is asked of a leader the next document. Pure: the bus brings it messages,
// ticks and the word that something is on disk, and performs what it gives back.
#pragma once

#include <optional>
#include <vector>

#include "bus/core/agreement.h"
#include "bus/core/formation.h"
#include "bus/core/lease_granter.h"
#include "bus/core/lease_holder.h"
#include "bus/core/membership.h"

namespace memento::bus {

class ClusterCore {
 public:
  struct Self {
    Member description;  ///< number and state are the leader's to give
    /// A node without a document forms a cluster with these.
    std::optional<ClusterFile> file;
    /// Neither its segment nor its data is of a cluster. Else it may have lost its state folder, and does not
    /// form another cluster, but asks the file's nodes to take it in place of what it was.
    bool is_fresh = true;
    /// Addresses to ask: of the file, of --join, of the last document.
    std::size_t seed_count = 0;
    bool replaces = false;  ///< --replace: the member of its name is dead
    std::uint32_t slot_count = kSlotCount;
    std::uint64_t memory_id = 1;  ///< of its segment
    TimeNs lease_until = 0;       ///< what the segment says; 0: none
  };

  /// `state`: what the disk holds, with the generation counted up. `known_committed`: see Agreement.
  ClusterCore(Self self, StoredState state, DocumentKey known_committed, const Timing& timing, Random random,
              TimeNs now);

  Actions on_tick(TimeNs now);
  Actions on_message(const Message& message, TimeNs now);
  Actions on_persisted(SaveTicket ticket, TimeNs now);
  Actions on_disk_failed(TimeNs now);
  /// A request of this node's own: done here if it leads, else sent to the leader. To be repeated until the
  /// document says that it was done.
  Actions request(const MembershipRequest& request, TimeNs now);

  /// As a leader, a document that others have made, in which `robbed` members lose slots that they did not
  /// give away themselves. REQUIRES: agreement().may_publish(), and granter() may take from each.
  Actions publish(Document document, const std::vector<Uuid>& robbed, TimeNs now);

  /// See Agreement.
  void suspect(std::vector<Uuid> members) { agreement_.suspect(std::move(members)); }

  const Agreement& agreement() const { return agreement_; }
  const StoredState& state() const { return state_.state(); }
  /// A leader's.
  const std::optional<LeaseGranter>& granter() const { return granter_; }
  const LeaseHolder& lease() const { return lease_; }
  /// When on_tick() is to be called, if nothing else happens.
  TimeNs deadline() const;

 private:
  static constexpr std::size_t kRequestLimit = 256;

  bool has_document() const { return agreement_.accepted() != nullptr; }
  bool forms() const { return !has_document() && self_.file && !is_replacement_; }
  void add(Actions actions);
  Actions finish();

  void hear_fresh(const Uuid& from, const Fresh& word);
  void hear_told(const Told& told);
  void take_request(const Uuid& from, const MembershipRequest& request);
  void tell(const Uuid& to);
  void say_again();
  void ask_a_seed();
  void advance_formation();
  void plan();
  void note_leadership();
  void note_committed(const DocumentPtr& document);
  void ask_for_lease();
  void take_lease_request(const Uuid& from, const LeaseRequest& request);
  DocumentKey table_key() const;

  Self self_;
  Timing timing_;
  StateWriter state_;
  Agreement agreement_;
  std::optional<Formation> formation_;
  LeaseHolder lease_;
  std::optional<LeaseGranter> granter_;
  std::uint64_t granter_term_ = 0;
  DocumentPtr committed_before_;  ///< what the granter has last been told of
  struct ReadyOnItsWay {
    SaveTicket ticket;
    std::vector<Uuid> ready;
  };
  std::vector<ReadyOnItsWay> ready_on_its_way_;
  bool is_replacement_ = false;  ///< its file's nodes have formed with another uuid of this name
  TimeNs say_again_at_;
  std::size_t next_seed_ = 0;
  std::vector<MembershipRequest> requests_;  ///< a leader's: of the next document
  TimeNs now_;
  Actions actions_;
};

}  // namespace memento::bus
