// See message_hub.h.
#include "worker/clients/message_hub.h"

#include <new>
#include <utility>

namespace memento {
namespace {

constexpr int kReadTries = 8;

/// Of a message to a channel.
MessageType type_of(SubscriptionKind kind) {
  return kind == SubscriptionKind::kChannel ? MessageType::kPublished : MessageType::kShardPublished;
}

/// Who waits for a message; nothing: it is not for subscribers.
std::optional<SubscriptionKind> kind_of(MessageType type) {
  if (type == MessageType::kPublished) return SubscriptionKind::kChannel;
  if (type == MessageType::kShardPublished) return SubscriptionKind::kShardChannel;
  if (type == MessageType::kValue) return SubscriptionKind::kKey;
  return std::nullopt;
}

}  // namespace

MessageHub::MessageHub(Segment& segment, Keyspace& keyspace, std::uint32_t process)
    : segment_(segment),
      header_(segment.header()),
      keyspace_(keyspace),
      process_(process),
      messages_(segment, process),
      subscribers_(segment, keyspace, process),
      monitors_(segment, process, messages_, pushes_),
      clients_(segment, process, *this),
      pause_(segment.header()),
      disk_(segment, process),
      history_(segment.path(), segment.header().hash_seed),
      tracking_(segment, keyspace, process, clients_, messages_, pushes_) {
  segment.process(process).mailbox.answers.store(1);
}

MessageHub::Subscribed MessageHub::subscribe(ClientState& client, SubscriptionKind kind,
                                             std::string_view name) {
  messages_.listen();
  return subscribers_.add(client, kind, name);
}

bool MessageHub::unsubscribe(ClientState& client, SubscriptionKind kind, std::string_view name) {
  if (!subscribers_.remove(client, kind, name)) return false;
  stop_listening_if_idle();
  return true;
}

bool MessageHub::needs_messages() const {
  return !monitors_.empty() || clients_.is_asking() || !subscribers_.empty() || tracking_.needs_messages();
}

// Who asks may have sent an order before it took its question back.
void MessageHub::stop_listening_if_idle() {
  if (!messages_.is_listening() || needs_messages() || clients_.is_asked()) return;
  receive();
  if (!needs_messages()) messages_.stop_listening();
}

void MessageHub::forget(ClientState& client) {
  for (const SubscriptionKind kind : kSubscriptionKinds) {
    while (client.subscriptions != nullptr && !client.subscriptions->of(kind).empty()) {
      unsubscribe(client, kind, std::string(*client.subscriptions->of(kind).begin()));
    }
  }
  if (client.is_monitor()) {
    monitors_.remove(client);
    stop_listening_if_idle();
  }
  tracking_.end(client);
  pushes_.forget(client);
}

void MessageHub::remove(ClientState& client) {
  forget(client);
  tracking_.remove(client);
  clients_.remove(client);
  disk_.remove(client);
}

void MessageHub::begin_monitor(ClientState& client) {
  messages_.listen();
  monitors_.add(client);
}

void MessageHub::send(MessageType type, std::uint64_t number, std::string_view bytes,
                      const std::bitset<kProcessLimit>& readers) {
  messages_.send({type, 0, 0, static_cast<std::uint8_t>(process_), 0, number}, {}, bytes, readers);
}

std::uint64_t MessageHub::count_receivers(SubscriptionKind kind, std::string_view channel) {
  std::uint64_t count = subscribers_.others(kind, channel).count;
  if (const auto* const audience = subscribers_.find(kind, channel)) count += audience->clients.size();
  if (kind != SubscriptionKind::kChannel) return count;
  subscribers_.for_each_pattern(channel, [&](const std::string&, const Subscribers::Audience& audience) {
    count += audience.clients.size();
  });
  return count;
}

std::optional<std::uint64_t> MessageHub::publish(SubscriptionKind kind, std::string_view channel,
                                                 std::string_view message) {
  const Subscribers::Receivers receivers = subscribers_.others(kind, channel);
  if (receivers.count != 0 && !messages_.send({type_of(kind)}, channel, message, receivers.processes))
    return std::nullopt;
  return receivers.count + deliver(kind, channel, message);
}

void MessageHub::publish_promised(SubscriptionKind kind, std::string_view channel, std::string_view message) {
  publish_here(kind, channel, message);
  if (publisher_) publisher_(kind, channel, message);
}

// On this node alone.
void MessageHub::publish_here(SubscriptionKind kind, std::string_view channel, std::string_view message) {
  const Subscribers::Receivers receivers = subscribers_.others(kind, channel);
  if (receivers.count != 0) messages_.send_or_close({type_of(kind)}, channel, message, receivers.processes);
  deliver(kind, channel, message);
}

std::uint64_t MessageHub::deliver(SubscriptionKind kind, std::string_view channel, std::string_view message) {
  std::uint64_t count = 0;
  const bool is_channel = kind == SubscriptionKind::kChannel;
  if (const auto* const audience = subscribers_.find(kind, channel)) {
    for (ClientState* client : audience->clients) {
      push(*client, [&](ReplyWriter& writer) {
        writer.begin_push(3);
        writer.bulk(is_channel ? "message" : "smessage");
        writer.bulk(channel);
        writer.bulk(message);
        writer.end();
      });
    }
    count += audience->clients.size();
  }
  if (!is_channel) return count;
  subscribers_.for_each_pattern(channel,
                                [&](const std::string& pattern, const Subscribers::Audience& audience) {
                                  for (ClientState* client : audience.clients) {
                                    push(*client, [&](ReplyWriter& writer) {
                                      writer.begin_push(4);
                                      writer.bulk("pmessage");
                                      writer.bulk(pattern);
                                      writer.bulk(channel);
                                      writer.bulk(message);
                                      writer.end();
                                    });
                                  }
                                  count += audience.clients.size();
                                });
  return count;
}

// Two workers that write one key may send its values in another order than they were written in, so each goes
// with the version of the slot that it was read at, and receivers pass on only what is newer than what they
// had.
void MessageHub::publish_value(const HashedKey& key) {
  if (database_of(key.slot) != DatabaseId()) return;  // SUB and TAIL are about database 0
  std::bitset<kProcessLimit> readers = subscribers_.watchers_of(key.bytes);
  const bool is_kept = (header_.key_watchers.back().load(std::memory_order_relaxed) & kKeptValues) != 0 &&
                       history_.may_keep(key.bytes);
  if (readers.none() && !is_kept) return;
  const std::uint64_t generation = is_kept ? history_.generation() : 0;
  const CurrentValue value = read_value(key);
  if (is_kept && value.exists) history_.add(key.bytes, value.version, value.bytes, generation);
  const bool is_own = readers.test(process_);
  readers.reset(process_);
  if (readers.any()) {
    messages_.send_or_close({MessageType::kValue, value.exists, 0, 0, 0, value.version}, key.bytes,
                            value.bytes, readers);
  }
  if (is_own) deliver_value(key.bytes, value.version, value.exists, value.bytes);
}

MessageHub::CurrentValue MessageHub::read_value(const HashedKey& key) {
  CurrentValue value{};
  for (int attempt = 0; attempt < kReadTries; ++attempt) {
    value.version = keyspace_.watch_version(key);
    value.exists = keyspace_.read(key, [&](const EntryView& entry) { value.bytes.assign(entry.value); });
    if (!value.exists) value.bytes.clear();
    if (keyspace_.watch_version(key) == value.version) break;
  }
  return value;
}

void MessageHub::tell(const HashedKey& key, const KeyEvent& event) {
  tell_of_removed();
  tell_now(key, event);
}

void MessageHub::tell_now(const HashedKey& key, const KeyEvent& event) {
  if (event.effect == KeyEvent::Effect::kValue) publish_value(key);
  const std::uint64_t classes = header_.key_watchers.back().load(std::memory_order_relaxed);
  if ((classes & event.event_class) != 0) publish_event(key, event, classes);
}

// As in Redis, a node of a cluster tells of its own keys, and only its own clients.
void MessageHub::publish_event(const HashedKey& key, const KeyEvent& event, std::uint64_t classes) {
  const std::string of_database = "@" + std::to_string(database_of(key.slot).value) + "__:";
  if ((classes & kKeyspaceChannels) != 0) {
    const std::string channel = ("__keyspace" + of_database).append(key.bytes);
    publish_here(SubscriptionKind::kChannel, channel, event.name);
  }
  if ((classes & kKeyeventChannels) != 0) {
    const std::string channel = ("__keyevent" + of_database).append(event.name);
    publish_here(SubscriptionKind::kChannel, channel, key.bytes);
  }
}

// Where there was no memory to note which keys went, those who watch some are told what became of all.
// When telling of one needs more memory than there is, that one and the rest are told next time.
void MessageHub::tell_of_removed_keys() {
  do {
    if (!std::exchange(owes_removed_, true)) removed_ = keyspace_.take_removed_keys();
    for (; told_removed_ < removed_.keys.size(); ++told_removed_) {
      const RemovedKey& key = removed_.keys[told_removed_];
      tell_now({key.bytes, key.slot, key.hash}, key.is_evicted ? key_events::kEvicted : key_events::kExpired);
    }
    if (!removed_.is_complete) tell_now_of_all(std::nullopt);
    removed_ = {};
    told_removed_ = 0;
    owes_removed_ = false;
  } while (keyspace_.has_removed_keys());
}

void MessageHub::tell_of_all(std::optional<DatabaseId> database) {
  tell_of_removed();
  tell_now_of_all(database);
}

void MessageHub::tell_now_of_all(std::optional<DatabaseId> database) {
  if (database && *database != DatabaseId()) return;  // SUB and TAIL are about database 0
  if ((header_.key_watchers.back().load(std::memory_order_relaxed) & kKeptValues) != 0) history_.clear();
  std::bitset<kProcessLimit> readers = subscribers_.watchers();
  const bool is_own = readers.test(process_);
  readers.reset(process_);
  if (readers.any()) messages_.send_or_close({MessageType::kAllChanged}, {}, {}, readers);
  if (is_own) deliver_values();
}

ValueHistory::Keep MessageHub::keep_values(const HashedKey& key) {
  const ValueHistory::Keep done = history_.keep(key.bytes);
  if (done != ValueHistory::Keep::kDone) return done;
  header_.key_watchers.back().fetch_or(kKeptValues);
  publish_value(key);
  return done;
}

// Beside a script, what this worker would read is what the script has written: the values wait for its end.
void MessageHub::deliver_values() {
  owes_values_ = keyspace_.is_in_body();
  if (owes_values_) return messages_.wake(WorkerMessages::only(process_));
  for (const auto& [name, audience] : subscribers_.all(SubscriptionKind::kKey)) {
    try {
      const CurrentValue value = read_value(Keyspace::in_database(DatabaseId(), keyspace_.hash(name)));
      deliver_value(name, value.version, value.exists, value.bytes);
    } catch (const std::bad_alloc&) {
      missed_subscribers_ += pushes_.close_all(audience.clients);
    }
  }
}

void MessageHub::deliver_value(std::string_view key, std::uint64_t version, bool exists,
                               std::string_view value) {
  auto* const audience = subscribers_.find(SubscriptionKind::kKey, key);
  if (audience == nullptr || version <= audience->version) return;
  audience->version = version;
  for (ClientState* client : audience->clients) {
    push(*client, [&](ReplyWriter& writer) {
      writer.begin_push(3);
      writer.bulk("value");
      writer.bulk(key);
      exists ? writer.bulk(value) : writer.nil();
      writer.end();
    });
  }
}

void MessageHub::serve() {
  receive();
  if (owes_values_) deliver_values();
  tracking_.look_for_deaths();
  tracking_.tidy();
  clients_.answer(keyspace_.now_ms());
  clients_.tick();
  stop_listening_if_idle();
}

// What is more than two turns' would pile up for subscribers who cannot take it meanwhile: it is read later,
// and caches are told now as if it was lost.
void MessageHub::catch_up() {
  receive();
  if (messages_.has_rest()) receive();
  if (messages_.has_rest()) tracking_.on_backlog();
  tracking_.look_for_deaths();
}

void MessageHub::receive() {
  if (messages_.receive([this](const MessageHeader& header, std::string_view name, std::string_view payload) {
        on_message(header, name, payload);
      }))
    return;
  for (const SubscriptionKind kind : kSubscriptionKinds) {
    for (const auto& [name, audience] : subscribers_.all(kind))
      late_subscribers_ += pushes_.close_all(audience.clients);
  }
  late_subscribers_ += pushes_.close_all(monitors_.clients());
  tracking_.on_loss();
  messages_.forget_loss();
}

void MessageHub::on_message(const MessageHeader& header, std::string_view name, std::string_view payload) {
  switch (header.type) {
    case MessageType::kChanged:
    case MessageType::kRedirects:
    case MessageType::kRedirected:
    case MessageType::kTargetGone:
      return tracking_.on_message(header, payload);
    default:
      break;
  }
  if (header.is_lost != 0) return close_receivers(header.type, name);
  switch (header.type) {
    case MessageType::kPublished:
      return static_cast<void>(deliver(SubscriptionKind::kChannel, name, payload));
    case MessageType::kShardPublished:
      return static_cast<void>(deliver(SubscriptionKind::kShardChannel, name, payload));
    case MessageType::kValue:
      return deliver_value(name, header.number, header.exists != 0, payload);
    case MessageType::kAllChanged:
      return deliver_values();
    case MessageType::kShown:
      return monitors_.deliver(payload);
    case MessageType::kAnswer:
      return clients_.on_answer(header.process, header.number, payload);
    case MessageType::kOrder:
      return clients_.on_order(payload);
    default:
      return;
  }
}

void MessageHub::close_receivers(MessageType type, std::string_view name) {
  if (type == MessageType::kShown) missed_subscribers_ += pushes_.close_all(monitors_.clients());
  if (type == MessageType::kAllChanged) return deliver_values();
  const std::optional<SubscriptionKind> kind = kind_of(type);
  if (!kind) return;
  if (const auto* const audience = subscribers_.find(*kind, name))
    missed_subscribers_ += pushes_.close_all(audience->clients);
  if (kind != SubscriptionKind::kChannel) return;
  subscribers_.for_each_pattern(name, [&](const std::string&, const Subscribers::Audience& audience) {
    missed_subscribers_ += pushes_.close_all(audience.clients);
  });
}

std::string MessageHub::take_losses() {
  const std::uint64_t late = std::exchange(late_subscribers_, 0);
  const std::uint64_t missed = std::exchange(missed_subscribers_, 0) + pushes_.take_unwritten_count();
  const std::uint64_t unsent = messages_.take_unsent_count();
  std::string text;
  if ((late | missed | unsent) == 0) [[likely]]
    return text;
  const auto tell = [&](std::uint64_t count, const std::string& what) {
    if (count != 0) text += (text.empty() ? "" : "; ") + std::to_string(count) + what;
  };
  tell(late, " subscribers are closed: this worker did not read in time what others sent them");
  tell(missed, " subscribers are closed: a message for them was too long, or there was no memory for it");
  tell(unsent,
       " messages could not be sent to other workers, whose subscribers are closed: no memory for them "
       "beside " +
           segment_.path());
  return text;
}

}  // namespace memento
