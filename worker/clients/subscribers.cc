// See subscribers.h.
#include "worker/clients/subscribers.h"

#include <algorithm>
#include <cassert>

namespace memento {

static_assert(kSubscriptionNameLimitBytes <= Glob::kTextLimitBytes);

Subscribers::Subscribers(Segment& segment, Keyspace& keyspace, std::uint32_t process)
    : segment_(segment), keyspace_(keyspace), process_(process), table_(segment, process) {
  for (Audiences& all : audiences_) all = Audiences(0, NameHash{segment.header().hash_seed});
}

Subscribers::Subscribed Subscribers::add(ClientState& client, SubscriptionKind kind, std::string_view name) {
  assert(name.size() <= kSubscriptionNameLimitBytes);
  if (client.subscriptions == nullptr) client.subscriptions = std::make_unique<Subscriptions>();
  auto& names = client.subscriptions->of(kind);
  if (names.contains(name)) return Subscribed::kAlready;
  auto found = audiences(kind).find(name);
  if (found == audiences(kind).end()) {
    found = audiences(kind).emplace(name, Audience{}).first;
    if (kind == SubscriptionKind::kPattern) found->second.glob = std::make_unique<const Glob>(name);
    if (kind == SubscriptionKind::kKey) {
      const HashedKey key = Keyspace::in_database(DatabaseId(), keyspace_.hash(name));
      found->second.version = keyspace_.watch_version(key);
    }
  }
  std::vector<ClientState*>& clients = found->second.clients;
  if (!table_.set_count(kind, found->first, static_cast<std::uint32_t>(clients.size() + 1))) {
    if (clients.empty()) audiences(kind).erase(found);
    if (client.subscriptions->is_empty()) client.subscriptions.reset();
    return Subscribed::kNoRoom;
  }
  if (kind == SubscriptionKind::kKey) watcher_bits().fetch_or(watcher_bit());
  clients.push_back(&client);
  names.emplace(name);
  return Subscribed::kNew;
}

bool Subscribers::remove(ClientState& client, SubscriptionKind kind, std::string_view name) {
  if (client.subscriptions == nullptr) return false;
  auto& names = client.subscriptions->of(kind);
  const auto own = names.find(name);
  if (own == names.end()) return false;
  const auto found = audiences(kind).find(name);
  assert(found != audiences(kind).end());
  std::vector<ClientState*>& clients = found->second.clients;
  clients.erase(std::ranges::find(clients, &client));
  table_.set_count(kind, found->first, static_cast<std::uint32_t>(clients.size()));
  if (clients.empty()) audiences(kind).erase(found);
  if (audiences(SubscriptionKind::kKey).empty()) watcher_bits().fetch_and(~watcher_bit());
  names.erase(own);
  if (client.subscriptions->is_empty()) client.subscriptions.reset();
  return true;
}

bool Subscribers::empty() const {
  return std::ranges::all_of(audiences_, [](const Audiences& all) { return all.empty(); });
}

Subscribers::Audience* Subscribers::find(SubscriptionKind kind, std::string_view name) {
  const auto found = audiences(kind).find(name);
  return found != audiences(kind).end() ? &found->second : nullptr;
}

const std::vector<Subscribers::OtherPattern>& Subscribers::patterns_of(std::uint32_t process) {
  Patterns& known = patterns_[process];
  const std::uint64_t version =
      segment_.process(process).mailbox.pattern_version.load(std::memory_order_acquire);
  if (known.version != version) {
    known.list.clear();
    for (const SubscriptionCount& pattern :
         list_subscriptions(segment_, process, SubscriptionKind::kPattern)) {
      known.list.push_back({Glob(pattern.name), pattern.subscribers});
    }
    known.version = version;
  }
  return known.list;
}

Subscribers::Receivers Subscribers::others(SubscriptionKind kind, std::string_view channel) {
  Receivers receivers;
  const std::uint32_t count = segment_.process_count();
  for (std::uint32_t process = 0; process < count; ++process) {
    if (process == process_ || segment_.process(process).mailbox.table.load(std::memory_order_acquire) == 0)
      continue;
    std::uint64_t subscribers = count_subscribers(segment_, process, kind, channel);
    if (kind == SubscriptionKind::kChannel) {
      for (const OtherPattern& pattern : patterns_of(process)) {
        if (pattern.glob.matches(channel)) subscribers += pattern.subscribers;
      }
    }
    if (subscribers == 0) continue;
    receivers.count += subscribers;
    receivers.processes.set(process);
  }
  return receivers;
}

std::bitset<kProcessLimit> Subscribers::watchers() const {
  std::bitset<kProcessLimit> watchers;
  const std::uint32_t count = segment_.process_count();
  for (std::uint32_t process = 0; process < count; ++process) {
    const std::uint64_t bits = segment_.header().key_watchers[process / 64].load(std::memory_order_acquire);
    watchers.set(process, (bits >> process % 64 & 1) != 0);
  }
  return watchers;
}

std::bitset<kProcessLimit> Subscribers::watchers_of(std::string_view key) const {
  std::bitset<kProcessLimit> all = watchers();
  for (std::uint32_t process = 0; process < kProcessLimit && all.any(); ++process) {
    if (all.test(process) && count_subscribers(segment_, process, SubscriptionKind::kKey, key) == 0)
      all.reset(process);
  }
  return all;
}

std::map<std::string, std::uint64_t> Subscribers::subscriptions(SubscriptionKind kind) const {
  std::map<std::string, std::uint64_t> all;
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process) {
    for (const SubscriptionCount& one : list_subscriptions(segment_, process, kind))
      all[one.name] += one.subscribers;
  }
  return all;
}

std::uint64_t Subscribers::count(SubscriptionKind kind, std::string_view name) const {
  std::uint64_t sum = 0;
  for (std::uint32_t process = 0; process < segment_.process_count(); ++process) {
    sum += count_subscribers(segment_, process, kind, name);
  }
  return sum;
}

}  // namespace memento
