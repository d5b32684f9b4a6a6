// What comes of an event at a node: messages on their way, writes, and what the checks are to know.
#include <algorithm>
#include <cassert>

#include "bus/core/message_bytes.h"
#include "bus/core/plant.h"
#include "tests/simulator/world.h"

namespace memento::simulator {

/// As bits.
std::uint64_t World::places_of(const bus::VoterSet& voters) {
  std::uint64_t places = 0;
  for (const bus::Uuid& voter : voters)
    if (const Host* home = home_of(voter)) places |= std::uint64_t{1} << home->index;
  return places;
}

void World::note_changes(Host& host) {
  if (!host.is_up) return;
  const bus::Agreement& agreement = host.core->agreement();
  const bus::DocumentPtr& accepted = agreement.accepted();
  if (accepted == nullptr) return;
  const std::optional<std::uint64_t> leads =
      agreement.is_leader() ? std::optional(agreement.leadership()->term()) : std::nullopt;
  const bool is_elected = leads && leads != host.led_before;
  if (host.led_before && leads != host.led_before) note(Happening::kStepsDown, &host, *host.led_before);
  if (is_elected) {
    note(Happening::kLeads, &host, *leads);
    checks_.note_leader(*accepted, *leads, host.uuid, host.core->state().generation);
  }
  host.led_before = leads;
  const bus::DocumentPtr before = std::exchange(host.accepted_before, accepted);
  const bool is_published = leads && accepted != before && accepted->key.term == *leads;
  if (is_published) {
    assert(before);
    note(Happening::kPublishes, &host, accepted->key.term, accepted->key.version);
    if (accepted->voters_accepted != before->voters_accepted)
      note(Happening::kVotersChange, &host, places_of(before->voters_accepted),
           places_of(accepted->voters_accepted));
    checks_.note_published(accepted, *before);
  }
  if (before == nullptr && accepted->key == bus::DocumentKey{0, 1}) {
    note(Happening::kForms, &host);
    for (const auto& other : hosts_) {
      const auto differs = [&](const bus::DocumentPtr& held) {
        return held && held->cluster_id != accepted->cluster_id;
      };
      const std::optional<bus::StoredState> stored = other->disk->read();
      if ((other->is_up && differs(other->core->agreement().accepted())) ||
          (stored && differs(stored->accepted)))
        throw Violation("two clusters formed");
    }
    checks_.note_first(accepted);
  }
  if (is_elected) on_moment(Moment::kLeads, host);
  if (is_published) on_moment(Moment::kPublishes, host);
}

void World::perform(Host& host, bus::Actions actions, TimeNs extra_ns) {
  const std::uint64_t life = host.life;
  for (bus::Action& action : actions) {
    if (host.life != life || !host.is_up) return;
    std::visit([&](auto& one) { perform(host, one, extra_ns); }, action);
  }
}

// A candidate's question in a term is its vote for itself.
void World::note_vote(Host& host, const bus::Send& send) {
  const bus::ClusterId& cluster = host.core->agreement().accepted()->cluster_id;
  if (const auto* vote = std::get_if<bus::Vote>(&send.body)) {
    checks_.note_vote(cluster, vote->term, host.uuid, send.to);
    on_moment(Moment::kVotes, host);
  }
  if (std::holds_alternative<bus::LeaseRequest>(send.body)) on_moment(Moment::kAsks, host);
  const auto* start = std::get_if<bus::StartTerm>(&send.body);
  if (start == nullptr) return;
  checks_.note_vote(cluster, start->term, host.uuid, host.uuid);
  if (std::exchange(host.stood_before, start->term) == start->term) return;
  note(Happening::kStands, &host, start->term);
  on_moment(Moment::kStands, host);
}

void World::perform(Host& host, const bus::Send& send, TimeNs extra_ns) {
  if (host.core->agreement().accepted()) note_vote(host, send);
  if (const Host* home = home_of(send.to)) transmit(host, home->index, send.to, send.body, extra_ns);
}

void World::perform(Host& host, const bus::SendToSeed& send, TimeNs extra_ns) {
  transmit(host, send.seed, std::nullopt, send.body, extra_ns);
}

void World::transmit(Host& from, std::size_t to, std::optional<bus::Uuid> to_uuid, bus::MessageBody body,
                     TimeNs extra_ns) {
  if (to == from.index || is_cut(from.index, to) || traffic_.chance(manners_.drops)) return;
  const double late = manners_.late[body.index()];
  const bus::DocumentPtr& accepted = from.core->agreement().accepted();
  bus::Message sent{accepted ? accepted->cluster_id : bus::ClusterId{}, from.uuid, std::move(body)};
  if (manners_.as_bytes) sent = *bus::read_message(bus::message_bytes(sent));
  const auto message = std::make_shared<const bus::Message>(std::move(sent));
  const int copies = traffic_.chance(std::max(manners_.duplicates, late)) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    TimeNs delay_ns = traffic_.between(kMillisecondNs / 2, 6 * kMillisecondNs) + extra_ns;
    if (traffic_.chance(late)) {
      const TimeNs most_ns = manners_.late_by_ns[traffic_.below(manners_.late_by_ns.size())];
      delay_ns += traffic_.between(most_ns / 2, most_ns);
    }
    if (traffic_.chance(manners_.delays)) {
      constexpr std::array kDelaysMs = {50, 500, 3000, 20000};
      delay_ns += kDelaysMs[traffic_.below(kDelaysMs.size())] * kMillisecondNs;
    }
    queue_.after(delay_ns, [this, to, to_uuid, message, sender = from.index] {
      Host& host = *hosts_[to];
      if (!host.is_up || (to_uuid && host.uuid != *to_uuid)) return;
      note(Happening::kDelivered, &host, message->body.index(), 0, static_cast<std::uint8_t>(sender));
      handle(host, [&host, message](TimeNs clock) { return host.core->on_message(*message, clock); });
    });
  }
}

void World::perform(Host& host, bus::Persist& persist, TimeNs) {
  host.disk->write(std::move(persist), manners_.disk,
                   [this, &host, life = host.life](std::optional<bus::SaveTicket> ticket) {
                     if (host.life != life) return;
                     note(ticket ? Happening::kWritten : Happening::kDiskFails, &host, ticket.value_or(0));
                     handle(host, [&host, ticket](TimeNs clock) {
                       return ticket ? host.core->on_persisted(*ticket, clock)
                                     : host.core->on_disk_failed(clock);
                     });
                     // Its master starts a bus anew that cannot write.
                     if (!ticket)
                       queue_.after(traffic_.between(0, 2 * kSecondNs), [this, &host, life] {
                         if (host.life == life) kill(host, Death::kBus, 100 * kMillisecondNs);
                       });
                   });
}

void World::perform(Host& host, const bus::Committed& committed, TimeNs) {
  const bus::DocumentPtr& document = committed.document;
  note(Happening::kLearns, &host, document->key.term, document->key.version);
  checks_.note_committed(document);
  if (host.table && host.table->cluster_id == document->cluster_id && host.table->key >= document->key)
    return;
  host.table = document;
  host.knows_cluster = true;
  check_answers(host);
  const auto& leadership = host.core->agreement().leadership();
  if (leadership && leadership->committed == document) on_moment(Moment::kCommits, host);
}

void World::perform(Host& host, const bus::Removed& removed, TimeNs) {
  note(Happening::kRemoved, &host, removed.document->key.term, removed.document->key.version);
  checks_.note_removed(*removed.document, host.uuid);
  leave_cluster(host);
}

void World::perform(Host& host, const bus::ExtendLease& lease, TimeNs) {
  note(Happening::kGranted, &host, static_cast<std::uint64_t>(lease.until));
  host.lease_until = lease.until;
  check_answers(host);
}

/// The process ends and its folder is emptied; later it is started to join under another name.
void World::leave_cluster(Host& host) {
  kill(host, Death::kNode, traffic_.between(50 * kMillisecondNs, 6 * kSecondNs));
  lost_.insert(host.uuid);
  new_folder(host);
  host.table = nullptr;
  host.knows_cluster = false;
  host.memory_id = next_memory_++;
  std::ranges::fill(host.closed_in, 0U);
  host.wants_to_leave = false;
  host.joins = true;
  ++host.namings;
}

}  // namespace memento::simulator
