// How the nodes of a file become a cluster. Pure: what others say of themselves comes in, what to say comes
// out; the bus runs it until the node has a document.
//
// Two rounds. A node says *fresh* to all others of its file. Who has heard all notes on disk that it is ready
// to form a cluster with just these uuids, and says *ready* with that set. Who has heard the same set from
// all, itself included, has formed: everybody computes the same first document from it.
//
// Why two: 3 hears fresh of 1, the link 1-3 is cut, 1 and 2 form {1, 2, 3}; 2 loses its folder and says fresh
// as 2'; 3 has then heard all as fresh, and would form {1, 2', 3}: two clusters. With the second round 3
// needs 1 to say it is ready for *this* set, and 1, which has formed, says neither fresh nor ready any more.
#pragma once

#include <optional>
#include <vector>

#include "bus/core/messages.h"
#include "bus/core/stored_state.h"
#include "bus/core/timing.h"
#include "conf/cluster_file.h"

namespace memento::bus {

class Formation {
 public:
  static constexpr TimeNs kSayAgainNs = 250 * kMillisecondNs;

  /// `file`: sorted by name. `slot_count`: how many slots the cluster has.
  Formation(const StateWriter& state, ClusterFile file, std::uint32_t slot_count);

  /// What to say to all others now.
  Fresh word() const;
  /// Another node of the file has said this of itself. False: it is none.
  bool hear(const Uuid& from, const Fresh& word);
  /// The set that this node is to be ready for, in the order of the file; none: it has not heard all.
  std::optional<std::vector<Uuid>> wanted() const;
  /// What this node has on disk as its ready set.
  void note_ready_on_disk(std::vector<Uuid> ready) { ready_on_disk_ = std::move(ready); }
  /// The first document, if all have said ready for the same set.
  DocumentPtr formed() const;

 private:
  struct Heard {
    Uuid uuid;
    std::vector<Uuid> ready;
  };

  const StateWriter* state_;
  ClusterFile file_;
  std::uint32_t slot_count_;
  std::vector<std::optional<Heard>> heard_;  ///< by place in the file; none of itself
  std::vector<Uuid> ready_on_disk_;
};

/// What all compute from a file and the uuids that its nodes have said, in the same order: slots in equal
/// ranges, the first members vote.
Document first_document(const std::vector<ClusterNode>& nodes, const std::vector<Uuid>& uuids,
                        std::uint32_t slot_count);

}  // namespace memento::bus
