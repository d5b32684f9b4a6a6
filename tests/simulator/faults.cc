// See faults.h.
#include "tests/simulator/faults.h"

#include <algorithm>
#include <cmath>

namespace memento::simulator {
namespace {

TimeNs lease_parts(bus::Random& random, std::initializer_list<double> parts) {
  return static_cast<TimeNs>(parts.begin()[random.below(parts.size())] * static_cast<double>(kLeaseNs));
}

}  // namespace

Faults::Faults(World& world, std::uint64_t seed, Plan plan, std::set<std::uint64_t> skipped, TimeNs end)
    : world_(&world),
      seed_(seed),
      plan_(std::move(plan)),
      skipped_(std::move(skipped)),
      end_(end),
      pauses_(seed ^ 0xfa) {}

void Faults::begin() { next(); }

void Faults::next() {
  if (plan_.kinds.empty()) return;
  const double share = static_cast<double>(pauses_.between(1, 1'000'000)) / 1e6;
  const auto random_ns = static_cast<TimeNs>(-std::log(share) * static_cast<double>(plan_.mean_pause_ns));
  const TimeNs pause_ns = plan_.is_regular ? plan_.mean_pause_ns : random_ns;
  later(pause_ns, [this](bus::Random& random) { strike(random); });
  world_->queue().after(pause_ns, [this] {
    if (!is_over()) next();
  });
}

void Faults::later(TimeNs delay_ns, std::function<void(bus::Random&)> deed) {
  const std::uint64_t number = next_number_++;
  if (skipped_.contains(number)) return;
  world_->queue().after(delay_ns, [this, number, deed = std::move(deed)] {
    if (is_over()) return;
    world_->note(Happening::kFault, nullptr, number);
    bus::Random random(seed_ * 1'000'003 + number);
    deed(random);
  });
}

Places Faults::others(const Host& host) const {
  Places places;
  for (std::size_t index = 0; index < world_->size().hosts; ++index)
    if (index != host.index) places.insert(index);
  return places;
}

void Faults::part(const Places& some, const Places& others, TimeNs duration_ns, Direction direction) {
  std::vector<std::pair<std::size_t, std::size_t>> links;
  for (const std::size_t one : some)
    for (const std::size_t other : others) {
      if (direction != Direction::kIn) links.emplace_back(one, other);
      if (direction != Direction::kOut) links.emplace_back(other, one);
    }
  for (const auto& [from, to] : links) {
    world_->cut(from, to);
    world_->note(Happening::kCut, &world_->host(from), 0, 0, static_cast<std::uint8_t>(to));
  }
  world_->queue().after(duration_ns, [this, links] {
    for (const auto& [from, to] : links) world_->heal(from, to);
  });
}

// A majority of voters must keep theirs, in every document that is or may be committed; who has not heard yet
// that the cluster has formed holds nothing.
bool Faults::may_lose_state(const Host& host) {
  const bus::DocumentPtr& head = world_->checks().head();
  const auto holds_nothing = [&](const bus::Uuid& voter) {
    const Host* home = world_->home_of(voter);
    if (world_->is_lost(voter) || voter == host.uuid || home == nullptr) return true;
    const std::optional<bus::StoredState> stored = home->disk->read();
    return !stored || !stored->accepted || stored->accepted->cluster_id != head->cluster_id;
  };
  const auto keeps_majority = [&](const bus::VoterSet& voters) {
    const auto lost = std::ranges::count_if(voters, holds_nothing);
    return 2 * (static_cast<std::ptrdiff_t>(voters.size()) - lost) >
           static_cast<std::ptrdiff_t>(voters.size());
  };
  // Somebody at an address of the file must know the others.
  bool may = host.joins || may_lose_all(host);
  world_->checks().for_each_from_head([&](const bus::Document& document) {
    may &= keeps_majority(document.voters_accepted) && keeps_majority(document.voters_committed);
  });
  return may;
}

bool Faults::may_lose_all(const Host& host) {
  const bus::DocumentPtr& head = world_->checks().head();
  if (!head) return true;
  return std::ranges::any_of(world_->hosts(), [&](const auto& other) {
    const std::optional<bus::StoredState> stored = other->disk->read();
    return other->index != host.index && !other->joins && !other->wants_to_leave && stored &&
           stored->accepted && stored->accepted->cluster_id == head->cluster_id;
  });
}

void Faults::strike(bus::Random& random) {
  const FaultKind kind = plan_.kinds[random.below(plan_.kinds.size())];
  Host* host = world_->hosts()[random.below(world_->size().hosts)].get();
  const std::vector<Host*> leaders = world_->leaders();
  const bool is_of_leader = kind == FaultKind::kLeader || kind == FaultKind::kNarrow ||
                            kind == FaultKind::kBlink || random.chance(0.2);
  if (is_of_leader && !leaders.empty()) host = leaders[random.below(leaders.size())];
  if (kind == FaultKind::kLoss) {
    if (!leaders.empty()) lose_leader(*leaders[random.below(leaders.size())], random);
  } else if (kind == FaultKind::kStorm) {
    if (!random.chance(0.15)) return;
    for (const auto& each : world_->hosts())
      if (random.chance(0.6))
        strike_node(random.chance(0.5) ? FaultKind::kBus : FaultKind::kNode, *each, random);
  } else if (kind < FaultKind::kCut || kind == FaultKind::kLeave || kind == FaultKind::kSleep) {
    strike_node(kind, *host, random);
  } else if (world_->size().hosts > 1) {
    strike_links(kind, *host, random);
  }
}

void Faults::lose_leader(Host& host, bus::Random& random) {
  constexpr TimeNs kAwayNs = 6 * kSecondNs;
  const bus::DocumentPtr& head = world_->checks().head();
  slots_of_lost_.clear();
  for (std::size_t slot = 0; slot < head->slots.size(); ++slot)
    if (head->slots[slot].primary == head->index_of(host.uuid)) slots_of_lost_.insert(slot);
  switch (random.below(4)) {
    case 0:
      return world_->kill(host, Death::kBus, random.between(0, 300 * kMillisecondNs));
    case 1:
      return world_->kill(host, Death::kNode, kAwayNs);
    case 2:
      return part({host.index}, others(host), kAwayNs);
    default:
      return part({host.index}, others(host), kAwayNs, Direction::kIn);
  }
}

void Faults::strike_node(FaultKind kind, Host& host, bus::Random& random) {
  constexpr std::array kAwayMs = {50, 500, 2000, 6000};
  const TimeNs away_ns = kAwayMs[random.below(kAwayMs.size())] * kMillisecondNs;
  const TimeNs stop_ns = lease_parts(random, {0.1, 1, 2, 5}) * random.between(30, 100) / 100;
  switch (kind) {
    case FaultKind::kBus:
      return world_->kill(host, Death::kBus, random.between(0, 300 * kMillisecondNs));
    case FaultKind::kNode:
      return world_->kill(host, Death::kNode, away_ns);
    case FaultKind::kReboot:
      return world_->kill(host, Death::kReboot, away_ns);
    case FaultKind::kState: {
      const bool is_formed = world_->checks().head() != nullptr;
      if (!host.is_up ||
          (is_formed ? !may_lose_state(host) : has_lost_before_forming_ || world_->size().in_file == 1))
        return;
      has_lost_before_forming_ |= !is_formed;
      const Death death = random.chance(0.5) && may_lose_all(host) ? Death::kAll : Death::kState;
      return world_->kill(host, death, away_ns);
    }
    case FaultKind::kPause:
      if (host.is_up) world_->pause(host, stop_ns);
      return;
    case FaultKind::kSleep:
      return world_->sleep(host, stop_ns);
    case FaultKind::kSuspend:
      host.next_pause_ns = stop_ns;
      return;
    default:
      host.wants_to_leave |=
          host.is_up && world_->size().hosts > 2 && random.chance(0.3) && may_lose_all(host);
  }
}

void Faults::strike_links(FaultKind kind, Host& host, bus::Random& random) {
  const Places all_others = others(host);
  const Places one_other = {
      *std::next(all_others.begin(), static_cast<std::ptrdiff_t>(random.below(all_others.size())))};
  const auto direction = static_cast<Direction>(random.below(3));
  const TimeNs short_ns = random.between(50 * kMillisecondNs, 400 * kMillisecondNs);
  switch (kind) {
    case FaultKind::kCut:
      return part({host.index}, one_other, lease_parts(random, {0.07, 1, 3, 8}));
    case FaultKind::kOneWay:
      return part({host.index}, one_other, lease_parts(random, {0.07, 1, 3, 8}), Direction::kOut);
    case FaultKind::kPrimary: {
      const bus::DocumentPtr& head = world_->checks().head();
      if (!head) return;
      const bus::SlotEntry& slot = head->slots[random.below(head->slots.size())];
      const Host* owner =
          slot.primary == bus::kNoMember ? nullptr : world_->home_of(head->members[slot.primary].uuid);
      if (owner == nullptr) return;
      return part({owner->index}, others(*owner), random.between(2900, 3500) * kMillisecondNs, direction);
    }
    case FaultKind::kNarrow: {
      Places most = all_others;
      most.erase(*one_other.begin());
      part({host.index}, most, short_ns, Direction::kOut);
      const TimeNs away_ns = lease_parts(random, {0.25, 0.5, 1});
      return world_->queue().after(
          short_ns, [this, &host, all_others, away_ns] { part({host.index}, all_others, away_ns); });
    }
    case FaultKind::kBlink: {
      const TimeNs first_ns = random.between(600 * kMillisecondNs, 1600 * kMillisecondNs);
      part({host.index}, all_others, first_ns);
      return world_->queue().after(
          first_ns + short_ns, [this, &host, all_others] { part({host.index}, all_others, 4 * kLeaseNs); });
    }
    default:
      return part({host.index}, all_others, lease_parts(random, {0.07, 1, 1.2, 3, 6}), direction);
  }
}

}  // namespace memento::simulator
