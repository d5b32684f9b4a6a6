// What breaks: nodes that die in several ways, stop, lose their state folder; links that are cut, both ways
// or one; leaders that are cut off. At random times and, in directed schedules, at chosen moments. Each fault
// has a number and draws of its own, so that a run can be repeated without some of them (shrink.h).
#pragma once

#include <set>
#include <vector>

#include "tests/simulator/world.h"

namespace memento::simulator {

enum class FaultKind : std::uint8_t {
  kBus,      ///< a bus dies
  kNode,     ///< all processes of a node
  kReboot,   ///< and its memory
  kState,    ///< its state folder is lost
  kPause,    ///< a bus stops
  kSuspend,  ///< in the midst of an event
  kCut,      ///< a link, both ways
  kOneWay,   ///< a link, one way
  kIsolate,  ///< a node from all, both ways, or what it hears, or what it says
  kLeader,   ///< the same of a leader
  kNarrow,   ///< a leader reaches one other for a while, and then nobody
  kBlink,    ///< a leader is away for two moments
  kStorm,    ///< most nodes die
  kPrimary,  ///< the owner of a slot is away for about as long as a lease
  kSleep,    ///< a machine sleeps
  kLoss,     ///< the leader is lost: its bus, its node, its links, or what it hears; else nothing is
  kLeave,    ///< a node leaves
  kCount
};

enum class Direction : std::uint8_t { kBoth, kIn, kOut };

using Places = std::set<std::size_t>;

class Faults {
 public:
  struct Plan {
    std::vector<FaultKind> kinds;
    TimeNs mean_pause_ns = 1500 * kMillisecondNs;
    bool is_regular = false;  ///< always this pause
  };

  /// `skipped`: numbers of those that are left out. No fault begins at or after `end`.
  Faults(World& world, std::uint64_t seed, Plan plan, std::set<std::uint64_t> skipped, TimeNs end);

  void begin();
  std::uint64_t count() const { return next_number_; }
  /// Of the last kLoss: slots of the node that was lost.
  const Places& slots_of_lost() const { return slots_of_lost_; }
  bool is_over() const { return world_->now() >= end_; }

  // For directed schedules: each is a fault with a number, `delay_ns` from now on.
  void later(TimeNs delay_ns, std::function<void(bus::Random&)> deed);
  void part(const Places& some, const Places& others, TimeNs duration_ns,
            Direction direction = Direction::kBoth);
  Places others(const Host& host) const;
  /// Too many lost memories or state folders are more than is promised.
  bool may_lose_state(const Host& host);
  /// A node of the file that has lost everything is as one that was never started. The others must know
  /// better: one of them stays a member.
  bool may_lose_all(const Host& host);

 private:
  void next();
  void strike(bus::Random& random);
  void strike_node(FaultKind kind, Host& host, bus::Random& random);
  void strike_links(FaultKind kind, Host& host, bus::Random& random);
  void lose_leader(Host& host, bus::Random& random);

  World* world_;
  std::uint64_t seed_;
  Plan plan_;
  std::set<std::uint64_t> skipped_;
  TimeNs end_;
  bus::Random pauses_;
  std::uint64_t next_number_ = 0;
  bool has_lost_before_forming_ = false;
  Places slots_of_lost_;
};

}  // namespace memento::simulator
