// ClientState: what a worker knows of one connection beside its socket: protocol, name, password,
// transaction. Handlers read and change it; the session owns it. One per connection, in its worker.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "shm/keyspace/keyspace.h"
#include "shm/messages/subscription_table.h"
#include "shm/os/byte_buffer.h"
#include "shm/os/clock.h"
#include "worker/clients/awaited_places.h"
#include "worker/clients/call_queue.h"
#include "worker/clients/client_facts.h"
#include "worker/clients/client_tracking.h"
#include "worker/clients/migration.h"
#include "worker/replies/reply_queue.h"
#include "worker/wire/reply_writer.h"

namespace memento {

struct Command;

struct WatchedKey {
  DatabaseId database;
  std::string name;
  auto operator<=>(const WatchedKey&) const = default;

  HashedKey hashed(const Keyspace& keyspace) const {
    return Keyspace::in_database(database, keyspace.hash(name));
  }
};

/// The keys of WATCH, each as it was then: where its slot's node keeps it.
using WatchedKeys = std::map<WatchedKey, ChangeMark>;

struct Transaction {
  CallQueue queue;
  bool is_broken = false;  ///< a request could not be queued: EXEC will refuse

  void break_up() {
    is_broken = true;
    queue.clear();
  }
};

/// What a client subscribes to; changed by the MessageHub.
struct Subscriptions {
  using Names = std::set<std::string, std::less<>>;
  std::array<Names, kSubscriptionKinds.size()> names;
  bool monitors = false;  ///< MONITOR: receives every command

  Names& of(SubscriptionKind kind) { return names[static_cast<std::size_t>(kind)]; }
  const Names& of(SubscriptionKind kind) const { return names[static_cast<std::size_t>(kind)]; }
  bool has_names() const {
    return !std::ranges::all_of(names, [](const Names& some) { return some.empty(); });
  }
  bool is_empty() const { return !has_names() && !monitors; }
};

enum class ReplyMode : std::uint8_t {
  kOn,
  kOff,       ///< until CLIENT REPLY ON
  kSkipNext,  ///< the next request's reply is dropped
  kSkipThis,  ///< that request is executed now
};

/// What a client's next request waits for before it is executed.
enum class ClientWait : std::uint8_t { kNothing, kPause, kOthers, kReplies, kMigration, kJournal, kSync };

/// What commands set for the connection itself.
struct ClientTraits {
  Protocol protocol = Protocol::kText;
  ReplyMode reply_mode = ReplyMode::kOn;
  bool authenticated = true;
  DatabaseId database;  ///< SELECT
  bool no_evict = false;
  bool no_touch = false;
  std::string name;
  std::string library_name;
  std::string library_version;
};

struct ClientState : ClientTraits {
  std::uint64_t id = 0;  ///< unique over all workers, as long as the segment lives
  TimeMs connected_ms = 0;
  TimeMs active_ms = 0;  ///< it sent, or took, something
  const Command* last_command = nullptr;
  int descriptor = -1;                       ///< the socket, for its addresses
  std::unique_ptr<Transaction> transaction;  ///< between MULTI and EXEC
  WatchedKeys watched;
  std::unique_ptr<Subscriptions> subscriptions;  ///< not empty, or nullptr
  std::unique_ptr<ClientTracking> tracking;      ///< CLIENT TRACKING; nullptr: off
  bool is_redirect_target = false;     ///< another worker's client has its invalidations sent to this one
  ByteBuffer pushes;                   ///< messages that are not on their way yet
  bool has_pushes = false;             ///< the MessageHub lists it as pushed to
  ClientState* next_pushed = nullptr;  ///< behind it in that list
  ClientWait waits = ClientWait::kNothing;
  std::unique_ptr<HeldReplies> held;  ///< what its replies wait for (DiskWaits); nullptr: for nothing
  std::uint64_t written_to = 0;       ///< in this process's ring: the end of what it wrote last; 0: nothing
  std::uint64_t awaited_save = 0;     ///< of the SAVE that is executed (DiskWaits); 0: none has begun
  std::int64_t sync_deadline_ms = 0;  ///< monotonic: of the WAITAOF that is executed; 0: none has begun
  std::unique_ptr<OtherClients> others;  ///< what the request that is executed has asked other workers for
  std::unique_ptr<Migration> migration;  ///< of the MIGRATE that is executed
  std::size_t request_bytes = 0;         ///< of the CLIENT INFO or LIST that is executed, for its own line
  std::size_t argument_bytes = 0;
  const ByteBuffer* waiting_input = nullptr;  ///< the connection's, for CLIENT LIST
  const ByteBuffer* waiting_output = nullptr;
  bool may_debug = false;               ///< DEBUG (the option enable-debug-command)
  bool is_redirected = false;           ///< on the listener that answers MOVED for slots of other nodes
  std::unique_ptr<ReplyQueue> replies;  ///< of other nodes; nullptr: it never had one
  bool must_close = false;              ///< killed, or messages were lost: nothing more is executed

  /// Requests are executed as they come and answered.
  bool is_ordinary() const {
    return authenticated && transaction == nullptr && reply_mode == ReplyMode::kOn &&
           subscriptions == nullptr && tracking == nullptr;
  }
  /// Receives messages: RESP2 allows it few commands.
  bool is_subscribed() const { return subscriptions != nullptr && subscriptions->has_names(); }
  bool is_monitor() const { return subscriptions != nullptr && subscriptions->monitors; }
  std::size_t subscription_count(SubscriptionKind kind) const {
    return subscriptions == nullptr ? 0 : subscriptions->of(kind).size();
  }
  /// Replies of other nodes have yet to come.
  bool has_pending_replies() const { return replies != nullptr && !replies->empty(); }
  int resp_version() const { return protocol == Protocol::kResp3 ? 3 : 2; }
};

}  // namespace memento
