// See world.h.
#include "tests/simulator/world.h"

#include <algorithm>
#include <cassert>

#include "bus/core/plant.h"

namespace memento::simulator {
namespace {

constexpr std::int64_t kMillion = 1'000'000;
/// Rates of two clocks are within 3 % of each other.
constexpr std::int64_t kDriftLimitPpm = 14'700;

}  // namespace

World::World(std::uint64_t seed, const Size& size, const bus::Timing& timing, std::size_t trace_kept)
    : chance_(seed * 4 + 1),
      traffic_(seed * 4 + 2),
      nodes_(seed * 4 + 3),
      size_(size),
      timing_(timing),
      trace_(trace_kept),
      cuts_(size.hosts * size.hosts) {
  for (std::size_t index = 0; index < size.hosts; ++index) {
    Host& host = *hosts_.emplace_back(std::make_unique<Host>());
    host.index = index;
    const std::int64_t limit_ppm = bus::planted(bus::Plant::kDrift) ? 2 * kDriftLimitPpm : kDriftLimitPpm;
    host.drift_ppm = nodes_.chance(0.3) ? (nodes_.chance(0.5) ? limit_ppm : -limit_ppm)
                                        : nodes_.between(-limit_ppm, limit_ppm);
    host.memory_id = next_memory_++;
    host.closed_in.resize(size.slots);
    host.disk = std::make_unique<SimDisk>(queue_, bus::Random(nodes_.next()));
    host.joins = index >= size.in_file;
    new_folder(host);
  }
}

void World::run_until(TimeNs end) {
  while (queue_.step(end)) {
  }
}

TimeNs World::clock_of(const Host& host) const {
  const TimeNs since = now() - host.clock_zero;
  return since + since / kMillion * host.drift_ppm;
}

/// When the host's clock will show this.
TimeNs World::true_time(const Host& host, TimeNs clock_ns) const {
  const TimeNs left = std::max<TimeNs>(clock_ns - clock_of(host), 0);
  return now() + left - left / kMillion * host.drift_ppm + kMillisecondNs / 10;
}

void World::note(Happening what, const Host* host, std::uint64_t x, std::uint64_t y, std::uint8_t other) {
  trace_.note({now(), what, host == nullptr ? kNobody : static_cast<std::uint8_t>(host->index), other, x, y});
}

void World::new_folder(Host& host) {
  if (!bus::planted(bus::Plant::kUuid) || host.uuid.is_null()) host.uuid = bus::Uuid{{next_uuid_++, 1}};
  homes_[host.uuid] = host.index;
  lost_.erase(host.uuid);
  host.disk->erase();
}

ClusterFile World::file_of(const Host& host) const {
  ClusterFile file;
  for (std::size_t index = 0; index < size_.in_file; ++index)
    file.nodes.push_back({"10.0.0." + std::to_string(index), static_cast<std::uint16_t>(6837 + index),
                          "n" + std::to_string(index)});
  file.self = host.index;
  return file;
}

bus::ClusterCore::Self World::self_of(const Host& host) const {
  bus::ClusterCore::Self self;
  self.description.name = "n" + std::to_string(host.index);
  if (host.namings > 0) self.description.name += "." + std::to_string(host.namings);
  self.description.address = "10.0.0." + std::to_string(host.index);
  self.description.zone = "z" + std::to_string(host.index % 3);
  self.description.is_witness = size_.hosts >= 3 && host.index + 1 == size_.hosts && host.joins;
  self.slot_count = static_cast<std::uint32_t>(size_.slots);
  self.memory_id = host.memory_id;
  self.lease_until = host.lease_until;
  self.is_fresh = !host.knows_cluster;
  self.seed_count = host.joins ? hosts_.size() : size_.in_file;
  if (!host.joins) self.file = file_of(host);
  return self;
}

void World::start(Host& host) {
  if (host.is_up) return;
  host.is_up = true;
  note(Happening::kStarts, &host);
  if (!std::exchange(host.has_workers, true)) host.lease_until = 0;
  bus::StoredState state = host.disk->read().value_or(bus::StoredState{host.uuid, {}, 0, nullptr, 0});
  if (state.accepted) checks_.note_held(*state.accepted);
  ++state.generation;
  host.disk->write_now(state);
  const bool is_known = host.table && !bus::planted(bus::Plant::kCommitLost);
  host.accepted_before = state.accepted;
  host.led_before.reset();
  host.core = std::make_unique<bus::ClusterCore>(self_of(host), std::move(state),
                                                 is_known ? host.table->key : bus::DocumentKey{}, timing_,
                                                 bus::Random(nodes_.next()), clock_of(host));
  schedule_tick(host);
}

void World::kill(Host& host, Death death, TimeNs away_ns) {
  if (!host.is_up) return;
  note(Happening::kDies, &host, static_cast<std::uint64_t>(death));
  host.is_up = false;
  ++host.life;
  host.paused_until = host.next_pause_ns = 0;
  host.tick_at = INT64_MAX;
  host.core.reset();
  host.disk->lose_unwritten();
  if (death != Death::kBus) host.has_workers = false;
  if (death == Death::kReboot || death == Death::kAll) {
    host.table = nullptr;
    host.clock_zero = now();
    host.memory_id = next_memory_++;
    std::ranges::fill(host.closed_in, 0U);
  }
  if (death == Death::kAll) host.knows_cluster = false;
  if (death == Death::kState || death == Death::kAll) {
    lost_.insert(host.uuid);
    new_folder(host);
    host.table = nullptr;
    // A file of one name cannot tell a lost folder from a first start, so such a node joins.
    if (size_.in_file == 1 && !host.joins)
      host.joins = true, ++host.namings;
    else if (host.joins)
      ++host.namings;
  }
  queue_.after(away_ns, [this, &host, life = host.life] {
    if (host.life == life) start(host);
  });
}

void World::pause(Host& host, TimeNs duration_ns) {
  note(Happening::kPauses, &host, static_cast<std::uint64_t>(duration_ns / kMillisecondNs));
  host.paused_until = std::max(host.paused_until, now() + duration_ns);
}

void World::sleep(Host& host, TimeNs duration_ns) {
  pause(host, duration_ns);
  host.asleep_until = std::max(host.asleep_until, now() + duration_ns);
  if (bus::planted(bus::Plant::kMonotonic)) host.clock_zero += duration_ns;
  queue_.after(duration_ns, [this, &host] { check_answers(host); });
}

void World::heal(std::size_t from, std::size_t to) {
  int& count = cuts_[from * hosts_.size() + to];
  if (count > 0) --count;
}

void World::heal_all() { std::ranges::fill(cuts_, 0); }

void World::request(Host& host, const bus::MembershipRequest& request) {
  if (host.is_up) handle(host, [&host, request](TimeNs clock) { return host.core->request(request, clock); });
}

void World::publish(Host& host, bus::Document document, const std::vector<bus::Uuid>& robbed) {
  if (!host.is_up || host.paused_until > now() || !host.core->agreement().may_publish()) return;
  handle(host, [&host, &robbed, document = std::move(document)](TimeNs clock) {
    return host.core->publish(document, robbed, clock);
  });
}

bool World::answers(const Host& host, std::size_t slot) const {
  if (!host.has_workers || !host.table || now() < host.asleep_until) return false;
  const bus::SlotEntry& entry = host.table->slots[slot];
  if (entry.primary == bus::kNoMember || host.table->members[entry.primary].uuid != host.uuid) return false;
  if (host.closed_in[slot] == entry.epoch) return false;
  return clock_of(host) < host.lease_until || bus::planted(bus::Plant::kNoLease);
}

/// REQUIRES: something has changed that may let this host answer.
void World::check_answers(const Host& host) {
  for (std::size_t slot = 0; slot < size_.slots; ++slot) {
    if (!answers(host, slot)) continue;
    for (const auto& other : hosts_)
      if (other->index != host.index && answers(*other, slot))
        throw Violation("slot " + std::to_string(slot) + ": nodes " + std::to_string(host.index) + " and " +
                        std::to_string(other->index) + " both answer");
    checks_.note_reign(*host.table, slot, host.memory_id);
  }
}

void World::suspect(Host& host, std::vector<bus::Uuid> members) {
  std::ranges::sort(members);
  if (host.is_up) host.core->suspect(std::move(members));
}

void World::tick(Host& host) {
  if (!host.is_up) return;
  note(Happening::kTicked, &host);
  handle(host, [&host](TimeNs clock) { return host.core->on_tick(clock); });
}

Host* World::home_of(const bus::Uuid& uuid) {
  const auto home = homes_.find(uuid);
  return home == homes_.end() ? nullptr : hosts_[home->second].get();
}

std::vector<Host*> World::leaders() {
  std::vector<Host*> leading;
  for (const auto& host : hosts_)
    if (host->is_up && host->core->agreement().is_leader()) leading.push_back(host.get());
  return leading;
}

// A stop begins between reading the clock and sending: what the event sends leaves after it.
void World::handle(Host& host, std::function<bus::Actions(TimeNs)> event) {
  if (host.paused_until > now()) {
    queue_.after(host.paused_until - now(), [this, &host, life = host.life, event = std::move(event)] {
      if (host.life == life) handle(host, event);
    });
    return;
  }
  const TimeNs extra_ns = std::exchange(host.next_pause_ns, 0);
  bus::Actions actions = event(clock_of(host));
  if (extra_ns > 0) pause(host, extra_ns);
  note_changes(host);
  const std::uint64_t life = host.life;
  perform(host, std::move(actions), extra_ns);
  if (host.life == life && host.is_up) schedule_tick(host);
}

void World::schedule_tick(Host& host) {
  const TimeNs deadline = host.core->deadline();
  if (deadline == bus::kNever) return;
  const TimeNs at = true_time(host, deadline);
  if (at >= host.tick_at) return;
  host.tick_at = at;
  queue_.after(at - now(), [this, &host, life = host.life, at] {
    if (host.life != life || host.tick_at != at) return;
    host.tick_at = INT64_MAX;
    tick(host);
  });
}

}  // namespace memento::simulator
