// See voters.h.
#include "bus/core/voters.h"

#include <tuple>

namespace memento::bus {

std::size_t voter_count(std::size_t member_count) {
  return member_count <= 2 ? 1 : member_count <= 4 ? 3 : kVoterLimit;
}

VoterSet choose_voters(const Document& document, const Uuid& leader,
                       const std::function<bool(const Uuid&)>& is_alive) {
  std::vector<const Member*> eligible;
  std::size_t staying_count = 0;
  for (const Member& member : document.members) {
    if (member.state == MemberState::kLeaving) continue;
    ++staying_count;
    if (is_alive(member.uuid)) eligible.push_back(&member);
  }
  const std::size_t wanted = voter_count(staying_count);
  if (staying_count == 0 || eligible.size() < wanted) return document.voters_accepted;
  VoterSet chosen;
  std::vector<std::string> zones;
  while (chosen.size() < wanted) {
    const auto rank = [&](const Member* member) {
      const bool votes = std::ranges::binary_search(document.voters_accepted, member->uuid);
      const bool has_zone = std::ranges::find(zones, member->zone) != zones.end();
      return std::tuple(member->uuid != leader || !votes, !votes, has_zone, member->number);
    };
    const auto best = std::ranges::min_element(eligible, {}, rank);
    insert_sorted(chosen, (*best)->uuid);
    zones.push_back((*best)->zone);
    eligible.erase(best);
  }
  return chosen;
}

}  // namespace memento::bus
