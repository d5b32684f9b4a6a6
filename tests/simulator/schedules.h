// Schedules: how many nodes, how network and disks behave, what breaks, and, in the directed ones, what
// breaks right behind which moment. General ones find half of the planted mistakes at best; each directed one
// aims at what a rule is for.
#pragma once

#include <string_view>

#include "tests/simulator/administrator.h"
#include "tests/simulator/faults.h"

namespace memento::simulator {

struct Setting {
  World::Size size;
  Manners manners;
  Faults::Plan faults;
  Administrator::Habits habits;
  bus::Timing timing;
  TimeNs duration_ns = 100 * kSecondNs;  ///< with faults
  bool serves_meanwhile = false;         ///< slots of nodes that live are never unserved for long
};

struct Schedule {
  std::string_view name;
  /// REQUIRES: `setting` is the usual one, drawn for this seed.
  void (*prepare)(Setting& setting, bus::Random& random);
  /// May be none.
  void (*at)(Moment moment, Host& host, World& world, Faults& faults, bus::Random& random);
};

/// By its place: a seed's schedule is seed % their number, unless one is named.
const std::vector<Schedule>& schedules();

/// `node_count`: 0: the schedule's own.
Setting setting_for(std::uint64_t seed, const Schedule& schedule, std::size_t node_count);

}  // namespace memento::simulator
