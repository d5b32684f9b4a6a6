// See checks.h.
#include "tests/simulator/checks.h"

namespace memento::simulator {

std::string text_of(const bus::DocumentKey& key) {
  return "(" + std::to_string(key.term) + ", " + std::to_string(key.version) + ")";
}

// Generations too: a node that has forgotten that it led must not lead again in that term.
void Checks::note_leader(const bus::Document& document, std::uint64_t term, const bus::Uuid& leader,
                         std::uint64_t generation) {
  const auto [known, is_new] = leaders_.try_emplace({document.cluster_id, term}, leader, generation);
  if (!is_new && known->second != std::pair(leader, generation))
    throw Violation("two leaders in term " + std::to_string(term));
}

void Checks::note_vote(const bus::ClusterId& cluster, std::uint64_t term, const bus::Uuid& voter,
                       const bus::Uuid& candidate) {
  const auto [known, is_new] = votes_.try_emplace({cluster, term, voter}, candidate);
  if (!is_new && known->second != candidate) throw Violation("voted twice in term " + std::to_string(term));
}

void Checks::note_published(const bus::DocumentPtr& document, const bus::Document& parent) {
  if (const std::optional<std::string> fault = fault_of(*document)) throw Violation("published: " + *fault);
  const auto [known, is_new] =
      documents_.try_emplace({document->cluster_id, document->key}, Published{document, parent.key});
  if (!is_new && *known->second.document != *document)
    throw Violation("two documents " + text_of(document->key));
  check_growth(*document, parent);
}

void Checks::note_first(const bus::DocumentPtr& document) {
  documents_.try_emplace({document->cluster_id, document->key}, Published{document, {}});
  if (!head_ || head_->cluster_id != document->cluster_id) head_ = document;
}

void Checks::note_held(const bus::Document& document) const {
  if (*published({document.cluster_id, document.key}).document != document)
    throw Violation("a node holds another document " + text_of(document.key));
}

void Checks::note_committed(const bus::DocumentPtr& document) {
  note_held(*document);
  if (!head_ || head_->cluster_id != document->cluster_id) throw Violation("committed in another cluster");
  const bool is_newer = document->key > head_->key;
  const bus::DocumentKey older = is_newer ? head_->key : document->key;
  bus::DocumentKey at = is_newer ? document->key : head_->key;
  while (at > older) at = published({document->cluster_id, at}).parent;
  if (at != older)
    throw Violation("committed documents do not form a chain: " + text_of(document->key) + " and " +
                    text_of(head_->key));
  if (is_newer) head_ = document;
}

void Checks::note_reign(const bus::Document& document, std::size_t slot, std::uint64_t memory_id) {
  const auto [known, is_new] =
      reigns_.try_emplace({document.cluster_id, slot, document.slots[slot].epoch}, memory_id);
  if (!is_new && known->second != memory_id)
    throw Violation("slot " + std::to_string(slot) + ": an epoch goes on in another memory");
}

void Checks::note_removed(const bus::Document& document, const bus::Uuid& member) const {
  if (head_ && head_->cluster_id == document.cluster_id && head_->has_member(member))
    throw Violation("a member empties itself");
}

const Checks::Published& Checks::published(const Key& key) const {
  const auto found = documents_.find(key);
  if (found == documents_.end()) throw Violation("document " + text_of(key.second) + " was never published");
  return found->second;
}

void Checks::check_growth(const bus::Document& document, const bus::Document& parent) const {
  if (document.key.version != parent.key.version + 1 || document.key.term < parent.key.term)
    throw Violation("document " + text_of(document.key) + " follows " + text_of(parent.key));
  if (document.next_number < parent.next_number) throw Violation("a member's number is given again");
  for (const bus::Member& member : document.members)
    if (const bus::Member* before = parent.member(member.uuid);
        before == nullptr ? member.number < parent.next_number : before->number != member.number)
      throw Violation("a member's number is given again");
  for (std::size_t slot = 0; slot < document.slots.size(); ++slot) {
    const bus::SlotEntry& now = document.slots[slot];
    const bus::SlotEntry& before = parent.slots[slot];
    if (now.epoch < before.epoch || now.changes < before.changes) throw Violation("an epoch goes back");
  }
}

}  // namespace memento::simulator
