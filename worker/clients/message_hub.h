// MessageHub: messages to this worker's clients: what is published, the values of watched keys, what MONITOR
// shows. It joins who subscribes (subscribers.h), what is on its way to clients (pushes.h), the way between
// workers (worker_messages.h), clients in MONITOR (monitors.h), and what workers ask each other about clients
// (client_directory.h). Runs in workers.
//
// A message for clients of this worker is written to their pushes; one for others goes once into this
// worker's ring.
//
// A client that cannot be told everything learns that by being closed: one whose pushes pass kPushLimitBytes;
// the receivers of a message that is too long for any of them, or for which there was no memory when it was
// promised already; and all subscribers and monitors of a worker that lost messages because others sent a
// whole ring before it read them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shm/messages/journal_wakeup.h"
#include "shm/texts/value_history.h"
#include "worker/clients/client_directory.h"
#include "worker/clients/client_pause.h"
#include "worker/clients/client_state.h"
#include "worker/clients/disk_waits.h"
#include "worker/clients/key_event.h"
#include "worker/clients/monitors.h"
#include "worker/clients/pushes.h"
#include "worker/clients/subscribers.h"
#include "worker/clients/tracking.h"
#include "worker/clients/worker_messages.h"

namespace memento {

class MessageHub {
 public:
  static constexpr std::size_t kPushLimitBytes = Pushes::kLimitBytes;
  using Subscribed = Subscribers::Subscribed;

  MessageHub(Segment& segment, Keyspace& keyspace, std::uint32_t process);

  ClientDirectory& clients() { return clients_; }
  ClientPause& pause() { return pause_; }
  Tracking& tracking() { return tracking_; }
  DiskWaits& disk() { return disk_; }

  // Subscribing.

  /// REQUIRES: name.size() <= kSubscriptionNameLimitBytes.
  Subscribed subscribe(ClientState& client, SubscriptionKind kind, std::string_view name);
  /// False: it did not subscribe to that.
  bool unsubscribe(ClientState& client, SubscriptionKind kind, std::string_view name);
  /// The client begins anew.
  void forget(ClientState& client);
  /// The client is gone. Every client is given here before it ends.
  void remove(ClientState& client);
  /// Nothing more of the client's is executed, and its connection is closed.
  void close(ClientState& client) { pushes_.close(client); }
  /// Over all workers, by name.
  std::map<std::string, std::uint64_t> subscriptions(SubscriptionKind kind) const {
    return subscribers_.subscriptions(kind);
  }
  std::uint64_t count(SubscriptionKind kind, std::string_view name) const {
    return subscribers_.count(kind, name);
  }

  // Publishing.

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

  // What happens to keys.

  /// False, cheaply: nobody anywhere wants to be told what happens to keys.
  bool watches_keys() const {
    const auto& watchers = header_.key_watchers;
    return (watchers[0].load(std::memory_order_relaxed) | watchers[1].load(std::memory_order_relaxed) |
            watchers[2].load(std::memory_order_relaxed)) != 0;
  }
  /// Tells those who want to know what happened to a key of any database. Whoever changes a key calls it when
  /// all can see the change. REQUIRES: not inside a body of the keyspace.
  void tell(const HashedKey& key, const KeyEvent& event);
  /// The same of all keys of a database, or of all databases.
  void tell_of_all(std::optional<DatabaseId> database);
  /// The same of keys that have expired or were evicted and that was not told yet. What else is told of keys
  /// does it first, and so does take_pushed(), which ends a wake-up.
  void tell_of_removed() {
    if (keyspace_.has_removed_keys() || owes_removed_) [[unlikely]]
      tell_of_removed_keys();
  }
  /// From now on the values that the key gets are kept, by all workers. REQUIRES: a key of database 0, not
  /// longer than ValueHistory::kKeyBytes.
  ValueHistory::Keep keep_values(const HashedKey& key);
  ValueHistory& kept_values() { return history_; }
  /// Which classes of events are told, by all workers (key_events.h).
  void set_key_events(std::uint64_t classes) { memento::set_key_events(header_, classes); }

  // MONITOR.

  /// False, cheaply: no client anywhere is in MONITOR.
  bool has_monitors() const { return header_.monitors.load(std::memory_order_relaxed) != 0; }
  void begin_monitor(ClientState& client);
  /// A command that the client had executed; goes to all clients in MONITOR with send_shown() or before.
  void show(const ClientState& client, const Command& command, std::span<const std::string_view> words) {
    monitors_.show(client, command, words);
  }
  void show_line(std::string_view line) { monitors_.show_line(line); }
  void send_shown() { monitors_.send_shown(); }

  // Other workers.

  /// Begins to read what others send; until nobody needs it any more.
  void listen() { messages_.listen(); }
  void wake(const std::bitset<kProcessLimit>& readers) { messages_.wake(readers); }
  /// There is something for it.
  void wake_archiver() { memento::wake_archiver(header_, messages_.wakeup()); }
  void send(MessageType type, std::uint64_t number, std::string_view bytes,
            const std::bitset<kProcessLimit>& readers);
  /// Takes what others sent, and answers what they ask; when there is much of it, a part: then it is woken
  /// again. Not within a handler.
  void serve();
  /// Takes what others had sent when it was called, so that a client that tracks keys and is served from here
  /// on knows of it. Not within a handler.
  void catch_up();
  /// A line for the log about messages that were lost since the last call; empty: none.
  std::string take_losses();
  /// Readable when there is something to receive; -1: there is no such thing.
  int wakeup_descriptor() { return messages_.wakeup_descriptor(); }
  void drain_wakeups() { messages_.drain_wakeups(); }

  // Pushes.

  /// Something that answers no request, for this client.
  template <class Write>
  void push(ClientState& client, Write&& write) {
    pushes_.push(client, std::forward<Write>(write));
  }
  /// Takes a client that was pushed to since it was taken last; nullptr: there is none. What is told of
  /// removed keys is included.
  ClientState* take_pushed() {
    tell_of_removed();
    return pushes_.take();
  }

 private:
  std::uint64_t deliver(SubscriptionKind kind, std::string_view channel, std::string_view message);
  void publish_here(SubscriptionKind kind, std::string_view channel, std::string_view message);
  void tell_of_removed_keys();
  void tell_now(const HashedKey& key, const KeyEvent& event);
  void tell_now_of_all(std::optional<DatabaseId> database);
  void publish_event(const HashedKey& key, const KeyEvent& event, std::uint64_t classes);
  /// Sends the value that the key has now to those who watch it, and keeps it for TAIL.
  void publish_value(const HashedKey& key);
  void deliver_value(std::string_view key, std::uint64_t version, bool exists, std::string_view value);
  /// Reads the watched keys of this worker's clients again: now, or in the next serve().
  void deliver_values();
  struct CurrentValue {
    std::uint64_t version;  ///< of its slot
    bool exists;
    std::string bytes;
  };
  CurrentValue read_value(const HashedKey& key);
  bool needs_messages() const;
  void stop_listening_if_idle();
  /// Writes what others sent to its clients' pushes.
  void receive();
  void on_message(const MessageHeader& header, std::string_view name, std::string_view payload);
  void close_receivers(MessageType type, std::string_view name);

  const Segment& segment_;
  Header& header_;
  Keyspace& keyspace_;
  const std::uint32_t process_;
  Pushes pushes_;
  WorkerMessages messages_;
  Subscribers subscribers_;
  Monitors monitors_;
  ClientDirectory clients_;
  ClientPause pause_;
  DiskWaits disk_;
  ValueHistory history_;
  Tracking tracking_;
  Publisher publisher_;
  bool owes_values_ = false;       ///< deliver_values() has yet to be done
  Keyspace::RemovedKeys removed_;  ///< keys of which others are being told
  std::size_t told_removed_ = 0;   ///< so many of them were told
  bool owes_removed_ = false;      ///< the rest is not told yet, for want of memory
  // Not yet told the log:
  std::uint64_t late_subscribers_ = 0;
  std::uint64_t missed_subscribers_ = 0;
};

}  // namespace memento
