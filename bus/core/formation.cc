// See formation.h.
#include "bus/core/formation.h"

#include <algorithm>
#include <cassert>

#include "bus/core/digest.h"
#include "bus/core/document_bytes.h"
#include "bus/core/plant.h"
#include "bus/core/voters.h"

namespace memento::bus {

Formation::Formation(const StateWriter& state, ClusterFile file, std::uint32_t slot_count)
    : state_(&state),
      file_(std::move(file)),
      slot_count_(slot_count),
      heard_(file_.nodes.size()),
      ready_on_disk_(state.state().ready) {
  assert(std::ranges::is_sorted(file_.nodes, {}, &ClusterNode::name) && file_.self < file_.nodes.size());
}

Fresh Formation::word() const { return {file_.nodes[file_.self].name, ready_on_disk_}; }

bool Formation::hear(const Uuid& from, const Fresh& word) {
  const auto node = std::ranges::find(file_.nodes, word.name, &ClusterNode::name);
  if (node == file_.nodes.end()) return false;
  const auto place = static_cast<std::size_t>(node - file_.nodes.begin());
  if (place == file_.self) return false;
  heard_[place] = Heard{from, word.ready};
  return true;
}

std::optional<std::vector<Uuid>> Formation::wanted() const {
  std::vector<Uuid> uuids;
  std::size_t missing_count = 0;
  for (std::size_t place = 0; place < heard_.size(); ++place) {
    if (place == file_.self)
      uuids.push_back(state_->state().uuid);
    else if (heard_[place])
      uuids.push_back(heard_[place]->uuid);
    else
      uuids.push_back(Uuid{{++missing_count, 0}});  // a place held open, of the plant only
  }
  const bool are_enough =
      planted(Plant::kMajorityForm) ? 2 * missing_count < heard_.size() : missing_count == 0;
  return are_enough ? std::optional(uuids) : std::nullopt;
}

DocumentPtr Formation::formed() const {
  const std::optional<std::vector<Uuid>> set = wanted();
  if (!set) return nullptr;
  for (std::size_t place = 0; place < heard_.size() && !planted(Plant::kOnePhase); ++place) {
    if (place == file_.self ? ready_on_disk_ != *set
        : heard_[place]     ? heard_[place]->ready != *set
                            : !planted(Plant::kMajorityForm))
      return nullptr;
  }
  return std::make_shared<const Document>(first_document(file_.nodes, *set, slot_count_));
}

Document first_document(const std::vector<ClusterNode>& nodes, const std::vector<Uuid>& uuids,
                        std::uint32_t slot_count) {
  assert(nodes.size() == uuids.size() && !nodes.empty() && nodes.size() <= kMemberLimit);
  Document document;
  ByteWriter identity;
  identity.put(slot_count);
  for (std::size_t place = 0; place < nodes.size(); ++place) {
    Member member;
    member.number = document.next_number++;
    member.uuid = uuids[place];
    member.name = nodes[place].name;
    member.address = nodes[place].address;
    member.port = nodes[place].port();
    member.bus_port = nodes[place].bus_port;
    if (place < voter_count(nodes.size())) insert_sorted(document.voters_accepted, member.uuid);
    identity.put_text(member.name);
    put_uuid(identity, member.uuid);
    document.members.push_back(std::move(member));
  }
  // Uuids are drawn once, so no other cluster ever has this id.
  const Digest digest = sha256(identity.bytes());
  std::copy_n(digest.begin(), document.cluster_id.size(), document.cluster_id.begin());
  document.key = {0, 1};
  document.voters_committed = document.voters_accepted;
  for (std::size_t slot = 0; slot < slot_count; ++slot) {
    SlotEntry entry;
    entry.primary = static_cast<MemberIndex>(slot * nodes.size() / slot_count);
    while ((entry.primary + 1U) * slot_count / nodes.size() <= slot) ++entry.primary;
    entry.in_sync[0] = {entry.primary, 0};
    entry.targets[0] = entry.primary;
    entry.epoch = entry.changes = 1;
    document.slots.push_back(entry);
  }
  assert(!fault_of(document));
  return document;
}

}  // namespace memento::bus
