// The virtual cluster: nodes with the product's own rules (bus/core), each with a clock, a disk, a memory
// that outlives its bus, and the network between them. One thread, one order of events.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bus/core/cluster_core.h"
#include "tests/simulator/checks.h"
#include "tests/simulator/event_queue.h"
#include "tests/simulator/sim_disk.h"
#include "tests/simulator/trace.h"

namespace memento::simulator {

inline constexpr TimeNs kSecondNs = 1000 * kMillisecondNs;
/// L of all runs; faults last for parts and multiples of it.
inline constexpr TimeNs kLeaseNs = 3 * kSecondNs;

/// What kills a node: its bus alone; all its processes; those and its memory; those and its state folder;
/// those and all that it had.
enum class Death : std::uint8_t { kBus, kNode, kReboot, kState, kAll };

struct Host {
  std::size_t index = 0;
  std::int64_t drift_ppm = 0;
  TimeNs clock_zero = 0;  ///< its clock showed nothing then
  bool is_up = false;
  std::uint64_t life = 0;  ///< +1 with each death: what was under way in an earlier one does not arrive
  TimeNs paused_until = 0;
  TimeNs next_pause_ns = 0;  ///< it stops in the midst of the next event
  TimeNs tick_at = INT64_MAX;
  bus::Uuid uuid;
  std::uint64_t namings = 0;  ///< counts its names: one that was removed comes back under another
  bool joins = false;         ///< instead of forming by the file
  bool wants_to_leave = false;
  std::unique_ptr<SimDisk> disk;
  bool knows_cluster = false;  ///< its segment or its data are of one
  bus::DocumentPtr table;      ///< the newest committed document its memory knows of
  // What its workers go by; it outlives the bus.
  bool has_workers = false;
  std::uint64_t memory_id = 1;
  TimeNs lease_until = 0;                ///< by its clock
  TimeNs asleep_until = 0;               ///< the whole machine
  std::vector<std::uint32_t> closed_in;  ///< by slot: the epoch in which it gives it away, 0: none
  std::unique_ptr<bus::ClusterCore> core;
  // To see what an event has changed.
  bus::DocumentPtr accepted_before;
  std::optional<std::uint64_t> led_before;
  std::uint64_t stood_before = 0;
};

/// How the network and the disks behave.
struct Manners {
  double drops = 0;
  double duplicates = 0;
  double delays = 0;  ///< how often a message takes 50 ms to 20 s
  SimDisk::Manner disk;
  bool as_bytes = false;  ///< messages are written and read, as between real nodes
  /// Messages that come late, by their place in MessageBody, and how late.
  std::vector<double> late = std::vector<double>(std::variant_size_v<bus::MessageBody>);
  std::vector<TimeNs> late_by_ns = {100 * kMillisecondNs, 300 * kMillisecondNs, kSecondNs, kLeaseNs,
                                    20 * kSecondNs};
};

/// Told of what has just happened, to whom; directed schedules break something then.
enum class Moment { kStands, kVotes, kLeads, kPublishes, kCommits, kAsks };

class World {
 public:
  struct Size {
    std::size_t hosts = 3;
    std::size_t in_file = 3;  ///< the others join
    std::size_t slots = 4;
  };

  World(std::uint64_t seed, const Size& size, const bus::Timing& timing, std::size_t trace_kept);

  /// Events up to this moment.
  void run_until(TimeNs end);

  // What can happen to nodes and links.
  void start(Host& host);
  void kill(Host& host, Death death, TimeNs away_ns);
  void pause(Host& host, TimeNs duration_ns);
  /// The whole machine; its clock goes on.
  void sleep(Host& host, TimeNs duration_ns);
  void cut(std::size_t from, std::size_t to) { cuts_[from * hosts_.size() + to] += 1; }
  void heal(std::size_t from, std::size_t to);
  void heal_all();
  void request(Host& host, const bus::MembershipRequest& request);
  void publish(Host& host, bus::Document document, const std::vector<bus::Uuid>& robbed);
  void suspect(Host& host, std::vector<bus::Uuid> members);
  /// Makes the host stand for election now, as one does whose silence has just ended.
  void tick(Host& host);

  std::vector<std::unique_ptr<Host>>& hosts() { return hosts_; }
  Host& host(std::size_t index) { return *hosts_[index]; }
  Host* home_of(const bus::Uuid& uuid);
  TimeNs clock_of(const Host& host) const;
  /// Its workers would answer for this slot now.
  bool answers(const Host& host, std::size_t slot) const;
  /// Those that lead, more than one if some do not know that they do no more.
  std::vector<Host*> leaders();
  bool is_lost(const bus::Uuid& uuid) const { return lost_.contains(uuid); }
  const std::set<bus::Uuid>& lost() const { return lost_; }
  const Size& size() const { return size_; }

  EventQueue& queue() { return queue_; }
  Trace& trace() { return trace_; }
  Checks& checks() { return checks_; }
  Manners& manners() { return manners_; }
  bus::Random& chance() { return chance_; }
  TimeNs now() const { return queue_.now(); }
  void note(Happening what, const Host* host, std::uint64_t x = 0, std::uint64_t y = 0,
            std::uint8_t other = kNobody);

  std::function<void(Moment, Host&)> on_moment = [](Moment, Host&) {};

 private:
  bool is_cut(std::size_t from, std::size_t to) const { return cuts_[from * hosts_.size() + to] > 0; }
  TimeNs true_time(const Host& host, TimeNs clock_ns) const;
  void new_folder(Host& host);
  ClusterFile file_of(const Host& host) const;
  bus::ClusterCore::Self self_of(const Host& host) const;
  /// Runs `event` when the host is not stopped, and performs what comes of it.
  void handle(Host& host, std::function<bus::Actions(TimeNs)> event);
  void perform(Host& host, bus::Actions actions, TimeNs extra_ns);
  void perform(Host& host, const bus::Send& send, TimeNs extra_ns);
  void perform(Host& host, const bus::SendToSeed& send, TimeNs extra_ns);
  void perform(Host& host, bus::Persist& persist, TimeNs extra_ns);
  void perform(Host& host, const bus::Committed& committed, TimeNs extra_ns);
  void perform(Host& host, const bus::Removed& removed, TimeNs extra_ns);
  void transmit(Host& from, std::size_t to, std::optional<bus::Uuid> to_uuid, bus::MessageBody body,
                TimeNs extra_ns);
  void perform(Host& host, const bus::ExtendLease& lease, TimeNs extra_ns);
  void check_answers(const Host& host);
  void note_changes(Host& host);
  std::uint64_t places_of(const bus::VoterSet& voters);
  void note_vote(Host& host, const bus::Send& send);
  void schedule_tick(Host& host);
  void leave_cluster(Host& host);

  EventQueue queue_;
  bus::Random chance_;   ///< of faults
  bus::Random traffic_;  ///< of the network
  bus::Random nodes_;    ///< of the nodes' own draws
  Size size_;
  bus::Timing timing_;
  Trace trace_;
  Checks checks_;
  Manners manners_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<int> cuts_;
  std::map<bus::Uuid, std::size_t> homes_;
  std::set<bus::Uuid> lost_;  ///< uuids of folders that are no more
  std::uint64_t next_uuid_ = 100;
  std::uint64_t next_memory_ = 1;
};

}  // namespace memento::simulator
