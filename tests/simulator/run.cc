// See run.h.
#include "tests/simulator/run.h"

#include <algorithm>

#include "bus/core/voters.h"

namespace memento::simulator {
namespace {

constexpr TimeNs kCalmNs = 30 * kSecondNs;
constexpr TimeNs kSettlesWithinNs = 10 * kSecondNs;
constexpr std::uint64_t kLateElections = 2;
constexpr TimeNs kFormsWithinNs = 10 * kSecondNs;
constexpr TimeNs kUnservedLimitNs = kSecondNs;

class Run {
 public:
  explicit Run(const RunOptions& options)
      : options_(options),
        setting_(setting_for(options.seed, schedules()[options.schedule], options.nodes)),
        world_(options.seed, setting_.size, setting_.timing, options.trace_kept),
        faults_(world_, options.seed, setting_.faults, options.skipped_faults, setting_.duration_ns),
        administrator_(world_, options.seed, setting_.habits, setting_.duration_ns),
        directions_(options.seed ^ 0xd1) {}

  RunResult perform() {
    RunResult result;
    try {
      disturb();
      calm_down();
      result.finding = what_does_not_live();
      if (!result.finding.empty()) result.verdict = Verdict::kNotLive;
    } catch (const Violation& violation) {
      result.verdict = Verdict::kUnsafe;
      result.finding = violation.what();
    }
    result.trace_hash = world_.trace().hash();
    result.trace = world_.trace().text();
    result.events = world_.queue().executed();
    result.faults = faults_.count();
    result.elections = world_.checks().elections();
    result.documents = world_.checks().documents();
    result.simulated_ns = world_.now();
    return result;
  }

 private:
  void disturb() {
    const Schedule& schedule = schedules()[options_.schedule];
    if (schedule.at != nullptr)
      world_.on_moment = [this, &schedule](Moment moment, Host& host) {
        if (!faults_.is_over()) schedule.at(moment, host, world_, faults_, directions_);
      };
    world_.manners() = setting_.manners;
    for (const auto& host : world_.hosts()) {
      const TimeNs latest_ns = host->joins ? setting_.duration_ns * 3 / 5 : kSecondNs;
      world_.queue().after(directions_.between(0, latest_ns), [this, &host = *host] { world_.start(host); });
    }
    faults_.begin();
    administrator_.begin();
    if (setting_.serves_meanwhile) world_.queue().after(kFormsWithinNs, [this] { watch(); });
    world_.run_until(setting_.duration_ns);
  }

  /// All links and disks work again, and all nodes run, but for one that stays deaf, or two that do not reach
  /// each other, if the others are enough.
  void calm_down() {
    world_.note(Happening::kCalm, nullptr);
    world_.heal_all();
    world_.manners() = Manners{};
    for (const auto& host : world_.hosts()) {
      host->next_pause_ns = 0;
      host->paused_until = std::min(host->paused_until, world_.now());
      host->asleep_until = std::min(host->asleep_until, world_.now());
      host->wants_to_leave = false;
      world_.start(*host);
    }
    leave_somebody_deaf();
    world_.run_until(setting_.duration_ns + kSettlesWithinNs);
    const std::uint64_t elections = world_.checks().elections();
    world_.run_until(setting_.duration_ns + kCalmNs);
    late_elections_ = world_.checks().elections() - elections;
  }

  /// The loss of a leader, and nothing else, costs the slots of live nodes nothing.
  void watch() {
    served_at_.resize(world_.size().slots, world_.now());
    for (std::size_t slot = 0; slot < served_at_.size(); ++slot) {
      const bool is_served =
          std::ranges::any_of(world_.hosts(), [&](const auto& host) { return world_.answers(*host, slot); });
      if (is_served || faults_.slots_of_lost().contains(slot)) served_at_[slot] = world_.now();
      if (world_.now() - served_at_[slot] > kUnservedLimitNs)
        throw Violation("slot " + std::to_string(slot) + " of a live node is not served for a second");
    }
    if (!faults_.is_over()) world_.queue().after(10 * kMillisecondNs, [this] { watch(); });
  }

  void leave_somebody_deaf() {
    const std::size_t count = world_.size().hosts;
    if (!world_.checks().head() || count < 3) return;
    const std::vector<Host*> leaders = world_.leaders();
    std::size_t first = directions_.below(count);
    if (!leaders.empty() && directions_.chance(0.5))
      first = leaders[directions_.below(leaders.size())]->index;
    const std::size_t second = (first + 1 + directions_.below(count - 1)) % count;
    const bool is_deaf = directions_.chance(0.4);
    const bool is_apart = !is_deaf && directions_.chance(0.4);
    if (is_deaf && enough_without({first})) {
      for (std::size_t other = 0; other < count; ++other)
        if (other != first) world_.cut(other, first);
      away_ = deaf_ = {first};
    }
    if (is_apart && enough_without({first}) && enough_without({second})) {
      world_.cut(first, second);
      world_.cut(second, first);
      away_ = {first, second};
    }
  }

  bool enough_without(const Places& places) {
    bool enough = true;
    const auto is_majority_left = [&](const bus::VoterSet& voters) {
      const auto left = std::ranges::count_if(voters, [&](const bus::Uuid& voter) {
        const Host* home = world_.home_of(voter);
        return !world_.is_lost(voter) && home != nullptr && !places.contains(home->index);
      });
      return 2 * static_cast<std::size_t>(left) > voters.size();
    };
    world_.checks().for_each_from_head([&](const bus::Document& document) {
      enough &= is_majority_left(document.voters_accepted) && is_majority_left(document.voters_committed);
    });
    return enough;
  }

  std::string what_does_not_live() {
    const bus::DocumentPtr& head = world_.checks().head();
    if (!head) return "no cluster was formed";
    // A folder that was lost while the cluster formed may be the only voter's, and voters may have been
    // chosen just before they were lost: no majority is left then.
    if (!enough_without(deaf_)) return "";
    const std::vector<Host*> leaders = world_.leaders();
    const auto leads = [&](const Host* host) {
      const auto& leadership = host->core->agreement().leadership();
      return leadership->committed && leadership->committed->key == head->key;
    };
    const auto leader = std::ranges::find_if(leaders, leads);
    if (leader == leaders.end()) return "no leader of" + text_of_members(*head);
    if (late_elections_ > kLateElections) return std::to_string(late_elections_) + " elections in the calm";
    if (away_.empty())
      for (const auto& host : world_.hosts())
        if (std::string finding = what_does_not_live(*host, **leader); !finding.empty()) return finding;
    if (std::string finding = what_is_not_served(*head); !finding.empty()) return finding;
    return away_.empty() ? what_voters_lack(*head) : "";
  }

  /// With - leaving, ! its folder is lost, * voter, ~ away.
  std::string text_of_members(const bus::Document& document) {
    std::string text;
    for (const bus::Member& member : document.members) {
      const Host* home = world_.home_of(member.uuid);
      text += " " + member.name + (member.state == bus::MemberState::kLeaving ? "-" : "") +
              (world_.is_lost(member.uuid) ? "!" : "") + (document.is_voter(member.uuid) ? "*" : "") +
              (home != nullptr && away_.contains(home->index) ? "~" : "");
    }
    return text;
  }

  std::string what_does_not_live(const Host& host, const Host& leader) {
    const std::string node = "node " + std::to_string(host.index);
    const bus::DocumentPtr& head = world_.checks().head();
    if (!head->has_member(host.uuid)) return node + " is no member of" + text_of_members(*head);
    if (!host.table || host.table->key != head->key) return node + " has not the newest document";
    if (host.core->agreement().followed().leader != leader.uuid) return node + " follows somebody else";
    return "";
  }

  /// By whomever, if a member is left that can own slots.
  std::string what_is_not_served(const bus::Document& head) {
    const auto can_own = [&](const bus::Member& member) {
      const Host* home = world_.home_of(member.uuid);
      return member.state != bus::MemberState::kLeaving && !member.is_witness &&
             !world_.is_lost(member.uuid) && home != nullptr && !away_.contains(home->index);
    };
    if (std::ranges::none_of(head.members, can_own)) return "";
    for (std::size_t slot = 0; slot < head.slots.size(); ++slot)
      if (std::ranges::none_of(world_.hosts(), [&](const auto& host) { return world_.answers(*host, slot); }))
        return "slot " + std::to_string(slot) + " is not served";
    return "";
  }

  std::string what_voters_lack(const bus::Document& head) {
    std::size_t staying = 0;
    for (const bus::Member& member : head.members) {
      if (world_.is_lost(member.uuid)) return "";
      staying += member.state != bus::MemberState::kLeaving;
    }
    if (head.voters_accepted.size() != bus::voter_count(staying))
      return std::to_string(head.voters_accepted.size()) + " voters of " + std::to_string(staying) +
             " members";
    return "";
  }

  RunOptions options_;
  Setting setting_;
  World world_;
  Faults faults_;
  Administrator administrator_;
  bus::Random directions_;
  Places away_;  ///< in the calm: deaf, or apart from another
  Places deaf_;
  std::uint64_t late_elections_ = 0;
  std::vector<TimeNs> served_at_;
};

}  // namespace

RunResult run(const RunOptions& options) { return Run(options).perform(); }

std::size_t schedule_of(std::uint64_t seed) { return seed % schedules().size(); }

}  // namespace memento::simulator
