// See document.h.
#include "bus/core/document.h"

#include <cassert>
#include <set>
#include <string_view>

namespace memento::bus {
namespace {

bool is_sorted_once(const VoterSet& set) {
  return std::ranges::adjacent_find(set, std::greater_equal<>()) == set.end();
}

std::optional<std::string> fault_of_member(const Member& member) {
  if (member.uuid.is_null()) return "member \"" + member.name + "\" has no uuid";
  if (member.name.empty() || member.name.size() > kNodeNameLimitBytes)
    return "member " + std::to_string(member.number) + " has a name of " +
           std::to_string(member.name.size()) + " bytes";
  if (member.address.size() >= sizeof(NodeState::address))
    return "the address of " + member.name + " is too long";
  if (member.zone.size() > kZoneLimitBytes) return "the zone of " + member.name + " is too long";
  if (member.weight > kWeightLimit) return "the weight of " + member.name + " is too large";
  if (member.data_number >= kDataNumberEnd) return "the data number of " + member.name + " is too large";
  return std::nullopt;
}

std::optional<std::string> fault_of_members(const Document& document) {
  if (document.members.empty() || document.members.size() > kMemberLimit)
    return std::to_string(document.members.size()) + " members";
  std::set<std::string_view> names;
  std::set<Uuid> uuids;
  std::uint32_t end_number = 0;
  for (const Member& member : document.members) {
    if (std::optional<std::string> fault = fault_of_member(member)) return fault;
    if (!names.insert(member.name).second) return "two members have the name " + member.name;
    if (!uuids.insert(member.uuid).second) return "two members have the uuid of " + member.name;
    if (member.number < end_number || member.number >= document.next_number)
      return "the number of " + member.name + " is out of order";
    end_number = member.number + 1;
  }
  return std::nullopt;
}

std::optional<std::string> fault_of_voters(const Document& document, const VoterSet& set) {
  if (set.empty() || set.size() > kVoterLimit) return std::to_string(set.size()) + " voters";
  if (!is_sorted_once(set)) return "the voters are not in order";
  for (const Uuid& voter : set)
    if (!document.has_member(voter)) return "a voter is no member";
  return std::nullopt;
}

bool is_sound(const SlotEntry& slot, std::size_t member_count) {
  const auto names_nobody = [&](MemberIndex index) { return index != kNoMember && index >= member_count; };
  if (names_nobody(slot.primary) || slot.epoch >= kEpochEnd) return false;
  if (std::ranges::any_of(slot.targets, names_nobody)) return false;
  bool ended = false;
  for (std::size_t place = 0; place < kCopyLimit; ++place) {
    const InSyncCopy& copy = slot.in_sync[place];
    if (names_nobody(copy.member) || copy.data_number >= kDataNumberEnd) return false;
    if (copy.member == kNoMember && copy.data_number != 0) return false;
    if (ended && copy.member != kNoMember) return false;
    ended = copy.member == kNoMember;
    for (std::size_t earlier = 0; earlier < place; ++earlier)
      if (!ended && slot.in_sync[earlier].member == copy.member) return false;
  }
  return true;
}

}  // namespace

const Member* Document::member(const Uuid& uuid) const {
  const MemberIndex index = index_of(uuid);
  return index == kNoMember ? nullptr : &members[index];
}

MemberIndex Document::index_of(const Uuid& uuid) const {
  const auto found = std::ranges::find(members, uuid, &Member::uuid);
  return found == members.end() ? kNoMember : static_cast<MemberIndex>(found - members.begin());
}

bool Document::is_voter(const Uuid& uuid) const {
  return std::ranges::binary_search(voters_accepted, uuid) ||
         std::ranges::binary_search(voters_committed, uuid);
}

bool Document::owns(MemberIndex member) const {
  return std::ranges::any_of(slots, [&](const SlotEntry& slot) { return slot.names(member); });
}

void Document::remove_member(MemberIndex member) {
  assert(member < members.size() && !is_voter(members[member].uuid) && !owns(member));
  members.erase(members.begin() + member);
  const auto close_gap = [&](MemberIndex& index) {
    if (index != kNoMember && index > member) --index;
  };
  for (SlotEntry& slot : slots) {
    close_gap(slot.primary);
    for (InSyncCopy& copy : slot.in_sync) close_gap(copy.member);
    for (MemberIndex& target : slot.targets) close_gap(target);
  }
}

std::optional<std::string> fault_of(const Document& document) {
  if (std::optional<std::string> fault = fault_of_members(document)) return fault;
  if (std::optional<std::string> fault = fault_of_voters(document, document.voters_accepted)) return fault;
  if (std::optional<std::string> fault = fault_of_voters(document, document.voters_committed)) return fault;
  for (std::size_t slot = 0; slot < document.slots.size(); ++slot)
    if (!is_sound(document.slots[slot], document.members.size()))
      return "slot " + std::to_string(slot) + " names who is not there, or one twice";
  return std::nullopt;
}

bool is_majority(const std::vector<Uuid>& votes, const VoterSet& set) {
  const auto count =
      std::ranges::count_if(set, [&](const Uuid& voter) { return std::ranges::binary_search(votes, voter); });
  return 2 * static_cast<std::size_t>(count) > set.size();
}

bool insert_sorted(std::vector<Uuid>& list, const Uuid& uuid) {
  const auto place = std::ranges::lower_bound(list, uuid);
  if (place != list.end() && *place == uuid) return false;
  list.insert(place, uuid);
  return true;
}

}  // namespace memento::bus
