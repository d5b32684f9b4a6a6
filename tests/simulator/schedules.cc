// See schedules.h.
#include "tests/simulator/schedules.h"

namespace memento::simulator {
namespace {

using bus::Random;

template <class Value>
Value one_of(Random& random, std::initializer_list<Value> values) {
  return values.begin()[random.below(values.size())];
}

template <class Body>
constexpr std::size_t message_index() {
  return bus::MessageBody(Body{}).index();
}

void resize(Setting& setting, std::size_t hosts) { setting.size.hosts = setting.size.in_file = hosts; }

void be_orderly(Setting& setting) {
  setting.manners = Manners{};
  setting.manners.disk.slow = 0.05;
}

void prepare_general(Setting&, Random&) {}

// Voters change often, leaders are cut off.
void prepare_voters(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {2, 3, 4, 5, 7}));
  if (random.chance(0.3)) setting.size.in_file = 1;
  be_orderly(setting);
  setting.manners.late[message_index<bus::Commit>()] = 0.3;
  setting.manners.late[message_index<bus::Vote>()] = one_of(random, {0.0, 0.3});
  setting.faults = {{FaultKind::kLeader, FaultKind::kBus}, 3000 * kMillisecondNs};
  setting.habits.suspects = 0.3;
  setting.habits.moves = 0;
}

void at_voters(Moment moment, Host& host, World& world, Faults& faults, Random& random) {
  if (moment != Moment::kPublishes && moment != Moment::kCommits) return;
  const bool changes = host.accepted_before && host.accepted_before->voters_change();
  if (!changes || world.size().hosts < 2 || !random.chance(0.4)) return;
  const TimeNs delay_ns = random.between(0, one_of(random, {10, 250}) * kMillisecondNs);
  const TimeNs away_ns = one_of(random, {300 * kMillisecondNs, kLeaseNs, 2 * kLeaseNs, 6 * kLeaseNs});
  const auto direction = static_cast<Direction>(random.below(3));
  const std::uint64_t choice = random.below(4);
  faults.later(delay_ns, [&, choice, away_ns, direction](Random& draw) {
    const Places others = faults.others(host);
    const auto some = std::next(others.begin(), static_cast<std::ptrdiff_t>(draw.below(others.size())));
    if (choice == 0) faults.part({host.index}, others, away_ns, direction);
    if (choice == 1) faults.part({host.index}, {*some}, away_ns);
    if (choice >= 2)
      world.kill(host, draw.chance(0.6) ? Death::kReboot : Death::kBus,
                 draw.between(0, 300) * kMillisecondNs);
    if (choice == 3) faults.part({host.index}, others, away_ns);
  });
}

// Six seconds, in which a cluster is to form while folders are lost and links cut.
void prepare_formation(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {2, 3, 3}));
  setting.duration_ns = 6 * kSecondNs;
  setting.manners.drops = 0.15;
  setting.manners.disk.slow = 0.3;
  setting.faults = {{FaultKind::kState, FaultKind::kNode, FaultKind::kOneWay, FaultKind::kCut},
                    150 * kMillisecondNs};
}

// Committed by two of three, and the third has not heard of it; one of the two forgets, the other is cut off.
void prepare_commit(Setting& setting, Random& random) {
  resize(setting, 3);
  be_orderly(setting);
  setting.manners.disk.slow = 0.4;
  setting.faults = {{FaultKind::kBus, FaultKind::kReboot}, 6000 * kMillisecondNs};
  setting.habits.moves = one_of(random, {0.05, 0.3});
}

void at_commit(Moment moment, Host& host, World& world, Faults& faults, Random& random) {
  if (world.size().hosts != 3) return;
  const std::size_t third = (host.index + 1 + random.below(2)) % 3;
  if (moment == Moment::kPublishes && random.chance(0.3))
    faults.later(0, [&, third](Random&) {
      faults.part({host.index}, {third}, 1500 * kMillisecondNs, Direction::kOut);
    });
  if (moment != Moment::kCommits || !random.chance(0.15)) return;
  faults.later(0, [&, third](Random& draw) {
    faults.part({host.index}, faults.others(host), 3 * kLeaseNs);
    const Death death = one_of(draw, {Death::kBus, Death::kNode, Death::kState});
    Host& other = world.host(3 - host.index - third);
    if (death != Death::kState || faults.may_lose_state(other)) world.kill(other, death, 50 * kMillisecondNs);
  });
}

// Candidates collide, votes come late, voters change, a new leader is cut off or dies.
void prepare_elections(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {4, 4, 5, 7}));
  be_orderly(setting);
  setting.timing.spread_ns = 20 * kMillisecondNs;
  setting.timing.retry_spread_ns = one_of(random, {50, 600}) * kMillisecondNs;
  setting.habits.suspects = 0.3;
  setting.manners.late[message_index<bus::Vote>()] = one_of(random, {0.4, 0.8});
  setting.manners.late[message_index<bus::StartTerm>()] = one_of(random, {0.0, 0.3});
  setting.manners.late_by_ns = {100 * kMillisecondNs, 300 * kMillisecondNs, kSecondNs};
  setting.faults = {{FaultKind::kLeader, FaultKind::kBus}, one_of(random, {2000, 5000}) * kMillisecondNs};
}

void at_elections(Moment moment, Host& host, World& world, Faults& faults, Random& random) {
  if (moment == Moment::kVotes && random.chance(0.15))
    faults.later(random.between(0, 5) * kMillisecondNs, [&](Random&) { world.kill(host, Death::kBus, 0); });
  if (moment != Moment::kLeads || !random.chance(0.4)) return;
  faults.later(random.between(0, 200) * kMillisecondNs, [&](Random& draw) {
    if (draw.chance(0.5)) return world.kill(host, Death::kBus, draw.between(0, 300) * kMillisecondNs);
    faults.part({host.index}, faults.others(host), one_of(draw, {700, 1500}) * kMillisecondNs,
                static_cast<Direction>(draw.below(3)));
  });
}

// Members come and go, and commits are up to 20 s late.
void prepare_joins(Setting& setting, Random& random) {
  setting.size = {5, one_of<std::size_t>(random, {2, 5}), 4};
  be_orderly(setting);
  setting.manners.late[message_index<bus::Commit>()] = 0.3;
  setting.manners.late[message_index<bus::Fetched>()] = one_of(random, {0.0, 0.5});
  setting.manners.late[message_index<bus::Told>()] = one_of(random, {0.0, 0.5});
  setting.faults = {{FaultKind::kLeave, FaultKind::kLeave, FaultKind::kLeave, FaultKind::kBus},
                    800 * kMillisecondNs};
}

// Leaders whose last documents reach one other, and which are then away for an election or two.
void prepare_narrow(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {5, 5, 7}));
  be_orderly(setting);
  setting.faults = {{FaultKind::kNarrow}, 1500 * kMillisecondNs};
  setting.habits.moves = 0.3;
  setting.habits.suspects = one_of(random, {0.0, 0.2});
}

// A leader is away until another is elected, for a moment hears all, and is away again.
void prepare_blink(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {3, 5}));
  be_orderly(setting);
  setting.faults = {{FaultKind::kBlink}, 9000 * kMillisecondNs};
  setting.timing.step_down_ns = one_of(random, {kSecondNs, kLeaseNs});
}

// One or two kinds of messages come late, and twice.
void prepare_late(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {3, 4, 5}));
  be_orderly(setting);
  for (int kind = 0; kind < 2; ++kind) setting.manners.late[random.below(setting.manners.late.size())] = 0.4;
  setting.timing.step_down_ns = one_of(random, {kSecondNs, kLeaseNs});
  setting.faults = {{FaultKind::kBus, FaultKind::kLeader, FaultKind::kIsolate, FaultKind::kNode,
                     FaultKind::kReboot, FaultKind::kCut, FaultKind::kLeave},
                    1500 * kMillisecondNs};
  setting.habits.suspects = 0.1;
}

// Disks that are slow, hang and fail, of nodes that lead.
void prepare_disks(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {3, 5}));
  be_orderly(setting);
  setting.manners.disk = {one_of(random, {0.1, 0.6}), one_of(random, {0.0, 0.02}),
                          one_of(random, {0.0, 0.03})};
  setting.faults = {{FaultKind::kBus, FaultKind::kNode, FaultKind::kLeader}, 4000 * kMillisecondNs};
}

// Whatever happens: who did it is hit by something within 100 ms.
void prepare_mean(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {3, 5}));
  be_orderly(setting);
  setting.manners.disk.slow = 0.2;
  setting.faults = {{FaultKind::kCut, FaultKind::kBus, FaultKind::kLeader}, 4000 * kMillisecondNs};
  setting.habits.suspects = 0.1;
}

void at_mean(Moment moment, Host& host, World& world, Faults& faults, Random& random) {
  if (!random.chance(moment == Moment::kLeads || moment == Moment::kStands ? 0.4 : 0.05)) return;
  faults.later(random.between(0, one_of(random, {5, 100})) * kMillisecondNs, [&](Random& draw) {
    const Places others = faults.others(host);
    const auto some = std::next(others.begin(), static_cast<std::ptrdiff_t>(draw.below(others.size())));
    const TimeNs away_ns = one_of(draw, {700 * kMillisecondNs, kLeaseNs, 3 * kLeaseNs});
    switch (draw.below(4)) {
      case 0:
        return world.kill(host, one_of(draw, {Death::kBus, Death::kNode}),
                          one_of(draw, {20, 300, 2000}) * kMillisecondNs);
      case 1:
        return faults.part({host.index}, others, away_ns, static_cast<Direction>(draw.below(3)));
      case 2:
        return faults.part({host.index}, {*some}, away_ns);
      default:
        if (host.is_up) world.pause(host, away_ns);
    }
  });
}

// A slot's owner is away about as long as a lease; leader and owner are lost at once; of a failover only the
// new owner hears.
void prepare_fence(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {3, 5}));
  be_orderly(setting);
  setting.manners.disk.slow = one_of(random, {0.05, 0.4});
  setting.faults = {{FaultKind::kPrimary, FaultKind::kPrimary, FaultKind::kLeader, FaultKind::kBlink},
                    one_of(random, {3000, 6000}) * kMillisecondNs};
  setting.habits.moves = one_of(random, {0.0, 0.05});
}

void at_fence(Moment moment, Host& host, World& world, Faults& faults, Random& random) {
  if (moment != Moment::kCommits || !random.chance(0.3)) return;
  Places most = faults.others(host);
  most.erase(std::next(most.begin(), static_cast<std::ptrdiff_t>(random.below(most.size()))));
  faults.later(0, [&, most](Random& draw) {
    faults.part({host.index}, most, 3 * kLeaseNs);
    world.queue().after(draw.between(7, 30) * kMillisecondNs,
                        [&] { world.kill(host, Death::kNode, 2 * kSecondNs); });
  });
}

// Machines are started anew, and their clocks with them, while grants are under way for seconds.
void prepare_reboot(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {3, 5}));
  be_orderly(setting);
  setting.manners.late[message_index<bus::Grant>()] = 0.6;
  setting.manners.late[message_index<bus::LeaseRequest>()] = one_of(random, {0.0, 0.4});
  setting.faults = {{FaultKind::kReboot, FaultKind::kReboot, FaultKind::kIsolate, FaultKind::kLeader},
                    3000 * kMillisecondNs};
}

// A bus stops just after it asked for a lease, for about as long as one, and machines sleep.
void prepare_drift(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {3, 5}));
  be_orderly(setting);
  setting.faults = {{FaultKind::kLeader, FaultKind::kSleep}, one_of(random, {5000, 20'000}) * kMillisecondNs};
  setting.habits.moves = 0;
}

void at_drift(Moment moment, Host& host, World& world, Faults& faults, Random& random) {
  if (moment != Moment::kAsks || !random.chance(0.05)) return;
  faults.later(random.between(1, 8) * kMillisecondNs, [&](Random& draw) {
    if (host.is_up && !host.core->agreement().is_leader())
      world.pause(host, draw.between(2900, 3150) * kMillisecondNs);
  });
}

// The leader is lost every 13 s, and nothing else happens: slots of the others are served all the time.
void prepare_loss(Setting& setting, Random& random) {
  resize(setting, one_of<std::size_t>(random, {3, 5}));
  setting.manners = Manners{};
  setting.faults = {{FaultKind::kLoss}, 13 * kSecondNs, true};
  setting.habits = {0, 0, 0, {}};
  setting.serves_meanwhile = true;
}

}  // namespace

const std::vector<Schedule>& schedules() {
  static const std::vector<Schedule> all = {
      {"general", prepare_general, nullptr},
      {"voters", prepare_voters, at_voters},
      {"formation", prepare_formation, nullptr},
      {"commit", prepare_commit, at_commit},
      {"elections", prepare_elections, at_elections},
      {"joins", prepare_joins, nullptr},
      {"narrow", prepare_narrow, nullptr},
      {"blink", prepare_blink, nullptr},
      {"late", prepare_late, nullptr},
      {"disks", prepare_disks, nullptr},
      {"mean", prepare_mean, at_mean},
      {"fence", prepare_fence, at_fence},
      {"reboot", prepare_reboot, nullptr},
      {"drift", prepare_drift, at_drift},
      {"loss", prepare_loss, nullptr},
  };
  return all;
}

Setting setting_for(std::uint64_t seed, const Schedule& schedule, std::size_t node_count) {
  Random random(seed ^ 0x5e77);
  Setting setting;
  setting.timing.lease_ns = kLeaseNs;
  setting.size.hosts = one_of<std::size_t>(random, {1, 2, 3, 3, 3, 4, 5, 5, 5, 7, 9});
  setting.size.in_file = random.chance(0.7) ? setting.size.hosts : random.below(setting.size.hosts) + 1;
  setting.size.slots = one_of<std::size_t>(random, {1, 4, 8});
  setting.manners.drops = one_of(random, {0.0, 0.0, 0.02, 0.15});
  setting.manners.duplicates = one_of(random, {0.0, 0.05, 0.2});
  setting.manners.delays = one_of(random, {0.0, 0.01, 0.05});
  setting.manners.disk = {one_of(random, {0.0, 0.05, 0.3}), one_of(random, {0.0, 0.0, 0.01}),
                          one_of(random, {0.0, 0.0, 0.01})};
  for (std::uint8_t kind = 0; kind < static_cast<std::uint8_t>(FaultKind::kCount); ++kind)
    if (random.chance(0.6)) setting.faults.kinds.push_back(static_cast<FaultKind>(kind));
  setting.faults.mean_pause_ns = one_of(random, {500, 1500, 4000}) * kMillisecondNs;
  setting.habits.suspects = one_of(random, {0.0, 0.05, 0.3});
  const bool as_bytes = random.chance(0.1);
  schedule.prepare(setting, random);
  setting.manners.as_bytes = as_bytes;
  if (node_count > 0) {
    setting.size.hosts = node_count;
    setting.size.in_file = std::min(setting.size.in_file, node_count);
  }
  return setting;
}

}  // namespace memento::simulator
