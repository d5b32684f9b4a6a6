// MessageHub: who of this worker's clients subscribes to what, and the way of messages between workers. Runs
// in workers.
//
// A message for clients of this worker is written to their `pushes`; one for others goes into this worker's
// ring (shm/messages/mailbox.h), once for all of them. How many subscribers a name has is counted in the segment by
// every worker, so a sender knows whom to wake and what to answer without asking. Nothing is sent to a socket
// here: the worker does that with take_pushed(), and a session with its own client's, behind the reply that
// it is writing.
//
// Commands for clients in MONITOR go the same way, the lines of one turn of a client as one message.
//
// Who cannot be told all is told so by being closed: a client whose pushes pass kPushLimitBytes; the receivers of a
// message that is too long for any of them, or for which there was no memory when it was promised already; and all
// subscribers and monitors of a worker that lost messages because others sent a whole ring before it read them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shm/keyspace/hash.h"
#include "shm/keyspace/keyspace.h"
#include "shm/messages/glob.h"
#include "shm/messages/mailbox.h"
#include "shm/messages/subscription_table.h"
#include "worker/clients/client_directory.h"
#include "worker/clients/client_pause.h"
#include "worker/clients/client_state.h"

namespace memento {

/// What is sent from worker to worker.
enum class MessageType : std::uint8_t {
  kPublished,
  kValue,   ///< of a watched key
  kShown,   ///< lines for monitors
  kAnswer,  ///< to a ClientDirectory's question
  kOrder,   ///< clients to close
  kShardPublished,
};

struct MessageHeader;

/// Of what clients subscribe to: seeded, so that nobody can choose names that fall together.
struct NameHash {
  using is_transparent = void;
  std::uint64_t seed = 0;
  std::size_t operator()(std::string_view name) const { return hash_in_slot(name, seed); }
};

class MessageHub {
 public:
  static constexpr std::size_t kPushLimitBytes =
      32 << 20;  ///< of a client's messages that its socket has not taken

  MessageHub(Segment& segment, Keyspace& keyspace, std::uint32_t process);

  enum class Subscribed { kNew, kAlready, kNoRoom };
  /// REQUIRES: name.size() <= kSubscriptionNameLimitBytes.
  Subscribed subscribe(ClientState& client, SubscriptionKind kind, std::string_view name);
  /// False: it did not subscribe to that.
  bool unsubscribe(ClientState& client, SubscriptionKind kind, std::string_view name);
  /// The client begins anew.
  void forget(ClientState& client);
  /// The client is gone. Every client is given here before it ends.
  void remove(ClientState& client);
  /// Nothing more of the client's is executed, and its connection is closed.
  void close(ClientState& client);

  ClientDirectory& clients() { return clients_; }
  ClientPause& pause() { return pause_; }

  /// Begins to read what others send; until nobody needs it any more.
  void listen() { ring_.listen(); }
  void wake(const std::bitset<kProcessLimit>& readers);
  void send(MessageType type, std::uint64_t number, std::string_view bytes,
            const std::bitset<kProcessLimit>& readers);

  /// How many clients receive a message, over all workers: one to a channel those of patterns too, one to a
  /// shard channel (the other kind that can be published to) only its subscribers.
  std::uint64_t count_receivers(SubscriptionKind kind, std::string_view channel);
  /// Sends it to all of them; how many. Nothing: out of memory.
  std::optional<std::uint64_t> publish(SubscriptionKind kind, std::string_view channel,
                                       std::string_view message);
  /// For a message whose publisher has been told already how many get it.
  void publish_promised(SubscriptionKind kind, std::string_view channel, std::string_view message);
  /// In a cluster: is given what is published so, for the other nodes.
  using Publisher =
      std::function<void(SubscriptionKind kind, std::string_view channel, std::string_view message)>;
  void set_publisher(Publisher publisher) { publisher_ = std::move(publisher); }

  /// False, cheaply: nobody anywhere watches a key.
  bool watches_keys() const {
    const auto& watchers = header_.key_watchers;
    return (watchers[0].load(std::memory_order_relaxed) | watchers[1].load(std::memory_order_relaxed) |
            watchers[2].load(std::memory_order_relaxed)) != 0;
  }
  /// Sends the value that the key has now to those who watch it.
  void publish_value(const HashedKey& key);

  /// False, cheaply: no client anywhere is in MONITOR.
  bool has_monitors() const { return header_.monitors.load(std::memory_order_relaxed) != 0; }
  void begin_monitor(ClientState& client);
  /// A command that the client had executed; goes to all clients in MONITOR with send_shown() or before.
  void show(const ClientState& client, const Command& command, std::span<const std::string_view> words);
  void send_shown();

  /// Over all workers, by name.
  std::map<std::string, std::uint64_t> subscriptions(SubscriptionKind kind) const;
  std::uint64_t count(SubscriptionKind kind, std::string_view name) const;

  /// Takes what others sent, and answers what they ask; when there is much of it, a part: then it is woken again. Not
  /// within a handler.
  void serve();
  /// A line for the log about messages that were lost since the last call; empty: none.
  std::string take_losses();
  /// Readable when there is something to receive; -1: there is no such thing.
  int wakeup_descriptor() { return ring_.wakeup().descriptor(); }

  void drain_wakeups() { ring_.wakeup().drain(); }

  /// Something that answers no request, for this client.
  template <class Write>
  void push(ClientState& client, Write&& write) {
    if (client.must_close) return;
    try {
      ReplyWriter writer(client.pushes, client.protocol);
      write(writer);
    } catch (const std::bad_alloc&) {  // it is closed, as one that does not read is
      client.must_close = true;
      ++missed_subscribers_;
    }
    note_pushed(client);
  }
  /// The clients that were pushed to since the last call.
  std::vector<ClientState*> take_pushed();

 private:
  struct Audience {
    std::vector<ClientState*> clients;
    std::unique_ptr<const Glob> glob;  ///< of a pattern
    std::uint64_t version = 0;  ///< of a key's slot: what is not newer has been told
  };
  using Audiences = std::unordered_map<std::string, Audience, NameHash, std::equal_to<>>;
  struct Receivers {
    std::uint64_t count = 0;
    std::bitset<kProcessLimit> processes;
  };
  struct OtherPattern {
    Glob glob;
    std::uint32_t subscribers;
  };
  struct Patterns {
    std::uint64_t version = 0;
    std::vector<OtherPattern> list;
  };

  Audiences& audiences(SubscriptionKind kind) { return audiences_[static_cast<std::size_t>(kind)]; }
  Word& watcher_bits() const { return header_.key_watchers[process_ / 64]; }
  std::uint64_t watcher_bit() const { return 1ull << process_ % 64; }
  Receivers other_receivers(SubscriptionKind kind, std::string_view channel);
  const std::vector<OtherPattern>& patterns_of(std::uint32_t process);
  std::uint32_t process_count() const { return static_cast<std::uint32_t>(header_.process_count.load()); }
  /// To other workers; what is too long for any client closes those who wait for it. False: out of memory.
  bool send(MessageHeader header, std::string_view name, std::string_view payload,
            const std::bitset<kProcessLimit>& readers);
  void send_or_close(MessageHeader header, std::string_view name, std::string_view payload,
                     const std::bitset<kProcessLimit>& readers);
  std::uint64_t deliver(SubscriptionKind kind, std::string_view channel, std::string_view message);
  void deliver_value(std::string_view key, std::uint64_t version, bool exists, std::string_view value);
  void stop_listening_if_idle();
  bool needs_ring() const;
  /// Writes what others sent to its clients' pushes.
  void receive();
  void on_message(std::string_view bytes);
  void deliver_shown(std::string_view lines);
  void end_monitor(ClientState& client);
  void close_receivers(MessageType type, std::string_view name);
  /// How many were not closed yet.
  std::uint64_t close_clients(const std::vector<ClientState*>& clients);
  void note_pushed(ClientState& client);

  Segment& segment_;
  Header& header_;
  Keyspace& keyspace_;
  const std::uint32_t process_;
  SubscriptionTable table_;
  MessageRing ring_;
  ClientDirectory clients_;
  ClientPause pause_;
  Publisher publisher_;
  std::array<Audiences, kSubscriptionKinds.size()> audiences_;
  std::array<Patterns, kProcessLimit> patterns_;  ///< of the others, as last seen
  std::vector<ClientState*> pushed_;
  std::vector<ClientState*> monitors_;
  std::string shown_;               ///< lines for clients in MONITOR that are not on their way yet
  std::uint64_t shown_client_ = 0;  ///< whose address `shown_address_` is
  std::string shown_address_;
  // Not yet told the log:
  std::uint64_t late_subscribers_ = 0;
  std::uint64_t missed_subscribers_ = 0;
  std::uint64_t unsent_messages_ = 0;
};

}  // namespace memento
