// What a cluster's administrators ask of it: nodes that leave, members whose folder is lost and that are
// given up, settings, slots that move. And hints that somebody is dead, true or not.
#pragma once

#include "tests/simulator/world.h"

namespace memento::simulator {

class Administrator {
 public:
  struct Habits {
    double moves = 0.05;     ///< how often a slot gets another owner, of the times it looks
    double settings = 0.02;  ///< ... a setting changes
    double suspects = 0.02;  ///< ... a leader is told that somebody is dead
    std::vector<std::uint32_t> heal_after_ms = {700, 2000, 8000};
  };

  Administrator(World& world, std::uint64_t seed, Habits habits, TimeNs end)
      : world_(&world), random_(seed ^ 0xad), habits_(std::move(habits)), end_(end) {}

  void begin() { look(); }

 private:
  void look();
  void ask_for_leaves(Host& leader);
  void move_slots(Host& leader, bool at_random);
  enum class Change { kNone, kGive, kTake, kOpen };
  Change what_becomes_of(const Host& leader, const bus::Document& document, std::size_t place,
                         const std::vector<bus::MemberIndex>& takers, bool at_random);

  World* world_;
  bus::Random random_;
  Habits habits_;
  TimeNs end_;  ///< of what it does at random; lost members are given up behind it, too
};

}  // namespace memento::simulator
