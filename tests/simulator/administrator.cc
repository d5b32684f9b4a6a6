// See administrator.h.
#include "tests/simulator/administrator.h"

#include <algorithm>

namespace memento::simulator {
namespace {

/// Gives the slot to another member, as a hand-over without data would.
void give(bus::SlotEntry& slot, bus::MemberIndex owner) {
  slot.primary = owner;
  slot.in_sync = {};
  slot.in_sync[0].member = owner;
  slot.targets.fill(bus::kNoMember);
  slot.targets[0] = owner;
  ++slot.epoch;
  ++slot.changes;
}

}  // namespace

void Administrator::look() {
  world_->queue().after(random_.between(100 * kMillisecondNs, 500 * kMillisecondNs), [this] { look(); });
  const bool at_random = world_->now() < end_;
  for (const auto& host : world_->hosts())
    if (host->is_up && host->wants_to_leave) world_->request(*host, bus::Leave{host->uuid});
  for (Host* leader : world_->leaders()) {
    ask_for_leaves(*leader);
    const bus::DocumentPtr document = leader->core->agreement().accepted();
    if (!at_random) world_->suspect(*leader, {});
    if (at_random && random_.chance(habits_.suspects)) {
      std::vector<bus::Uuid> suspects;
      for (const bus::Member& member : document->members)
        if (random_.chance(0.3)) suspects.push_back(member.uuid);
      world_->suspect(*leader, std::move(suspects));
    }
    if (at_random && random_.chance(habits_.settings)) {
      bus::Settings settings = document->settings;
      settings.heal_after_ms = habits_.heal_after_ms[random_.below(habits_.heal_after_ms.size())];
      world_->request(*leader, bus::ChangeSettings{settings});
    }
    move_slots(*leader, at_random);
  }
}

void Administrator::ask_for_leaves(Host& leader) {
  const bus::DocumentPtr document = leader.core->agreement().accepted();
  for (const bus::Member& member : document->members)
    if (world_->is_lost(member.uuid) && random_.chance(0.2)) world_->request(leader, bus::Leave{member.uuid});
}

void Administrator::move_slots(Host& leader, bool at_random) {
  if (!leader.is_up || leader.paused_until > world_->now() || !leader.core->agreement().may_publish()) return;
  bus::Document document = *leader.core->agreement().accepted();
  std::vector<bus::MemberIndex> takers;
  for (std::size_t index = 0; index < document.members.size(); ++index) {
    const bus::Member& member = document.members[index];
    const bool is_away = leader.core->granter()->may_take_from(member.uuid, world_->clock_of(leader));
    if (member.state != bus::MemberState::kLeaving && !member.is_witness && !world_->is_lost(member.uuid) &&
        !is_away)
      takers.push_back(static_cast<bus::MemberIndex>(index));
  }
  if (takers.empty()) return;
  std::vector<bus::Uuid> robbed;
  bool changes = false;
  for (std::size_t place = 0; place < document.slots.size(); ++place) {
    bus::SlotEntry& slot = document.slots[place];
    const Change change = what_becomes_of(leader, document, place, takers, at_random);
    if (change == Change::kNone) continue;
    changes = true;
    if (change == Change::kTake) bus::insert_sorted(robbed, document.members[slot.primary].uuid);
    if (change == Change::kOpen) {
      ++slot.epoch;
      ++slot.changes;
    } else {
      give(slot, takers[random_.below(takers.size())]);
    }
  }
  if (changes) world_->publish(leader, std::move(document), robbed);
}

// A slot is given away by its owner, which closes it first, or taken from one whose lease has ended. What was
// closed for a document that was never committed is opened by one that begins another epoch.
Administrator::Change Administrator::what_becomes_of(const Host& leader, const bus::Document& document,
                                                     std::size_t place,
                                                     const std::vector<bus::MemberIndex>& takers,
                                                     bool at_random) {
  const bus::SlotEntry& slot = document.slots[place];
  if (slot.primary == bus::kNoMember) return Change::kGive;
  const bus::Uuid& owner = document.members[slot.primary].uuid;
  if (leader.core->granter()->may_take_from(owner, world_->clock_of(leader))) return Change::kTake;
  Host* home = world_->home_of(owner);
  const bool is_there = home != nullptr && home->is_up && home->uuid == owner && home->table &&
                        home->table->cluster_id == document.cluster_id &&
                        home->table->slots[place].epoch == slot.epoch &&
                        home->table->index_of(owner) == home->table->slots[place].primary;
  if (!is_there) return Change::kNone;
  if (home->closed_in[place] == slot.epoch) return random_.chance(0.3) ? Change::kOpen : Change::kNone;
  const bool is_to_go = std::ranges::find(takers, slot.primary) == takers.end();
  if (!is_to_go && !(at_random && random_.chance(habits_.moves))) return Change::kNone;
  home->closed_in[place] = slot.epoch;
  return Change::kGive;
}

}  // namespace memento::simulator
