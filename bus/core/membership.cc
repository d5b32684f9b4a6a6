// See membership.h.
#include "bus/core/membership.h"

#include <algorithm>

namespace memento::bus {
namespace {

const Member* member_named(const Document& document, const std::string& name) {
  const auto found = std::ranges::find(document.members, name, &Member::name);
  return found == document.members.end() ? nullptr : &*found;
}

std::optional<std::string> objection(const Document& document, const Join& join) {
  if (document.has_member(join.member.uuid)) return std::nullopt;  // it asks once more
  const Member* namesake = member_named(document, join.member.name);
  if (namesake != nullptr && !join.replaces)
    return "there is a member " + join.member.name + "; choose another name, or replace it if it is dead";
  if (namesake == nullptr && document.members.size() >= kMemberLimit)
    return "the cluster has " + std::to_string(kMemberLimit) + " members, and no room for more";
  Document alone;
  alone.members = {join.member};
  alone.members[0].number = 0;
  alone.next_number = 1;
  alone.voters_accepted = alone.voters_committed = {join.member.uuid};
  return fault_of(alone);
}

std::optional<std::string> objection(const Document& document, const Leave& leave) {
  const Member* member = document.member(leave.member);
  if (member == nullptr) return "it is no member";
  const auto staying = std::ranges::count_if(document.members, [](const Member& other) {
    return other.state != MemberState::kLeaving && !other.is_witness;
  });
  if (member->state != MemberState::kLeaving && !member->is_witness && staying <= 1)
    return member->name + " is the last member that can own slots";
  return std::nullopt;
}

std::optional<std::string> objection(const Document&, const ChangeSettings& change) {
  if (change.settings.replicas >= kCopyLimit)
    return "at most " + std::to_string(kCopyLimit - 1) + " replicas are possible";
  if (change.settings.min_copies > change.settings.replicas + 1U)
    return "min-copies is more than the primary and its replicas";
  return std::nullopt;
}

void apply(Document& document, const Join& join) {
  if (document.has_member(join.member.uuid)) return;
  const Member* namesake = member_named(document, join.member.name);
  if (namesake != nullptr) {  // goes first; asked again, the request is fulfilled when it has gone
    document.members[document.index_of(namesake->uuid)].state = MemberState::kLeaving;
    return;
  }
  Member member = join.member;
  member.number = document.next_number++;
  member.state = MemberState::kJoining;
  document.members.push_back(std::move(member));
}

void apply(Document& document, const Leave& leave) {
  document.members[document.index_of(leave.member)].state = MemberState::kLeaving;
}

void apply(Document& document, const ChangeSettings& change) { document.settings = change.settings; }

void remove_those_who_left(Document& document, const Uuid& leader) {
  for (std::size_t index = document.members.size(); index-- > 0;) {
    const Member& member = document.members[index];
    const auto place = static_cast<MemberIndex>(index);
    if (member.state == MemberState::kLeaving && member.uuid != leader && !document.is_voter(member.uuid) &&
        !document.owns(place))
      document.remove_member(place);
  }
}

}  // namespace

std::optional<std::string> objection_to(const Document& document, const MembershipRequest& request) {
  return std::visit([&](const auto& one) { return objection(document, one); }, request);
}

std::optional<Document> with_requests(const Document& document,
                                      const std::vector<MembershipRequest>& requests, const Uuid& leader) {
  Document next = document;
  remove_those_who_left(next, leader);
  for (const MembershipRequest& request : requests)
    if (!objection_to(next, request)) std::visit([&](const auto& one) { apply(next, one); }, request);
  return next == document ? std::nullopt : std::optional(std::move(next));
}

}  // namespace memento::bus
