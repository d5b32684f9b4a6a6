// Subscribers: who of this worker's clients subscribes to what, and how many subscribers a name has in other
// workers: each worker counts its own in the segment (shm/messages/subscription_table.h), so a sender knows
// whom to wake and what to answer without asking. Runs in workers.
//
// Invariants: a client is in the audience of a name exactly when its Subscriptions have that name; no
// audience is empty; this worker's bit in Header::key_watchers is set exactly when some client of its watches
// a key.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shm/keyspace/keyspace.h"
#include "shm/messages/glob.h"
#include "shm/messages/subscription_table.h"
#include "shm/segment.h"
#include "worker/clients/client_state.h"
#include "worker/clients/name_hash.h"

namespace memento {

class Subscribers {
 public:
  struct Audience {
    std::vector<ClientState*> clients;
    std::unique_ptr<const Glob> glob;  ///< of a pattern
    std::uint64_t version = 0;         ///< of a key's slot: what is not newer has been told
  };
  using Audiences = std::unordered_map<std::string, Audience, NameHash, std::equal_to<>>;
  struct Receivers {
    std::uint64_t count = 0;
    std::bitset<kProcessLimit> processes;
  };

  Subscribers(Segment& segment, Keyspace& keyspace, std::uint32_t process);

  enum class Subscribed { kNew, kAlready, kNoRoom };
  /// REQUIRES: name.size() <= kSubscriptionNameLimitBytes.
  Subscribed add(ClientState& client, SubscriptionKind kind, std::string_view name);
  /// False: it did not subscribe to that.
  bool remove(ClientState& client, SubscriptionKind kind, std::string_view name);

  /// No client of this worker subscribes to anything.
  bool empty() const;
  /// nullptr: no client of this worker subscribes to that.
  Audience* find(SubscriptionKind kind, std::string_view name);
  const Audiences& all(SubscriptionKind kind) const { return audiences_[static_cast<std::size_t>(kind)]; }
  /// Calls visit(pattern, audience) for the patterns that match the channel.
  template <class Visit>
  void for_each_pattern(std::string_view channel, Visit&& visit) const {
    for (const auto& [pattern, audience] : all(SubscriptionKind::kPattern)) {
      if (audience.glob->matches(channel)) visit(pattern, audience);
    }
  }

  /// Clients of other workers that receive a message to the channel, those of patterns too where it has
  /// patterns.
  Receivers others(SubscriptionKind kind, std::string_view channel);
  /// The workers with clients that watch keys, this one too.
  std::bitset<kProcessLimit> watchers() const;
  /// The workers with clients that watch the key, this one too.
  std::bitset<kProcessLimit> watchers_of(std::string_view key) const;

  /// Over all workers, by name.
  std::map<std::string, std::uint64_t> subscriptions(SubscriptionKind kind) const;
  std::uint64_t count(SubscriptionKind kind, std::string_view name) const;

 private:
  struct OtherPattern {
    Glob glob;
    std::uint32_t subscribers;
  };
  struct Patterns {
    std::uint64_t version = 0;
    std::vector<OtherPattern> list;
  };

  Audiences& audiences(SubscriptionKind kind) { return audiences_[static_cast<std::size_t>(kind)]; }
  Word& watcher_bits() const { return segment_.header().key_watchers[process_ / 64]; }
  std::uint64_t watcher_bit() const { return 1ull << process_ % 64; }
  const std::vector<OtherPattern>& patterns_of(std::uint32_t process);

  Segment& segment_;
  Keyspace& keyspace_;
  const std::uint32_t process_;
  SubscriptionTable table_;
  std::array<Audiences, kSubscriptionKinds.size()> audiences_;
  std::array<Patterns, kProcessLimit> patterns_;  ///< of the others, as last seen
};

}  // namespace memento
