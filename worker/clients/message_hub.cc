// See message_hub.h.
#include "worker/clients/message_hub.h"

#include <algorithm>
#include <cstring>

#include "worker/clients/client_info.h"
#include "worker/command/command.h"
#include "worker/command/shown_words.h"

namespace memento {
namespace {

constexpr int kReadTries = 8;

constexpr std::size_t kShownBytes = 32 * 1024;  // lines that are sent before a turn's end

}  // namespace

/// In front of a message in the ring: the name, and then the payload, follow.
struct MessageHeader {
  MessageType type;
  std::uint8_t exists = 0;   ///< of a key: it has a value
  std::uint8_t is_lost = 0;  ///< the payload could not be sent: who waits for it is to be closed
  std::uint8_t process = 0;  ///< the sender of an answer
  std::uint32_t name_bytes = 0;
  std::uint64_t number = 0;  ///< version of a key's slot, or of a question
};
static_assert(sizeof(MessageHeader) == 16);
static_assert(kProcessLimit <= 256);
static_assert(kSubscriptionNameLimitBytes <= Glob::kTextLimitBytes);

namespace {

std::string_view bytes_of(const MessageHeader& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

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
      table_(segment, process),
      ring_(segment, process),
      clients_(segment, process, *this),
      pause_(segment.header()) {
  for (Audiences& all : audiences_) all = Audiences(0, NameHash{segment.header().hash_seed});
  segment.process(process).mailbox.answers.store(1);
}

MessageHub::Subscribed MessageHub::subscribe(ClientState& client, SubscriptionKind kind,
                                             std::string_view name) {
  if (client.subscriptions == nullptr) client.subscriptions = std::make_unique<Subscriptions>();
  auto& names = client.subscriptions->of(kind);
  if (names.contains(name)) return Subscribed::kAlready;
  ring_.listen();
  auto found = audiences(kind).find(name);
  if (found == audiences(kind).end()) {
    found = audiences(kind).emplace(name, Audience{}).first;
    if (kind == SubscriptionKind::kPattern) found->second.glob = std::make_unique<const Glob>(name);
    if (kind == SubscriptionKind::kKey) found->second.version = keyspace_.watch_version(keyspace_.hash(name));
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

bool MessageHub::unsubscribe(ClientState& client, SubscriptionKind kind, std::string_view name) {
  if (client.subscriptions == nullptr) return false;
  auto& names = client.subscriptions->of(kind);
  const auto own = names.find(name);
  if (own == names.end()) return false;
  const auto found = audiences(kind).find(name);
  std::vector<ClientState*>& clients = found->second.clients;
  clients.erase(std::ranges::find(clients, &client));
  table_.set_count(kind, found->first, static_cast<std::uint32_t>(clients.size()));
  if (clients.empty()) audiences(kind).erase(found);
  if (audiences(SubscriptionKind::kKey).empty()) watcher_bits().fetch_and(~watcher_bit());
  names.erase(own);
  if (client.subscriptions->is_empty()) client.subscriptions.reset();
  stop_listening_if_idle();
  return true;
}

bool MessageHub::needs_ring() const {
  const auto is_empty = [](const Audiences& all) { return all.empty(); };
  return !monitors_.empty() || clients_.is_asking() || !std::ranges::all_of(audiences_, is_empty);
}

// Who asks may have sent an order before it took its question back.
void MessageHub::stop_listening_if_idle() {
  if (!ring_.is_listening() || needs_ring() || clients_.is_asked()) return;
  receive();
  ring_.stop_listening();
}

void MessageHub::forget(ClientState& client) {
  for (const SubscriptionKind kind : kSubscriptionKinds) {
    while (client.subscriptions != nullptr && !client.subscriptions->of(kind).empty()) {
      unsubscribe(client, kind, std::string(*client.subscriptions->of(kind).begin()));
    }
  }
  if (client.is_monitor()) end_monitor(client);
  if (client.has_pushes) std::erase(pushed_, &client);
  client.has_pushes = false;
}

void MessageHub::remove(ClientState& client) {
  forget(client);
  clients_.remove(client);
}

void MessageHub::close(ClientState& client) {
  client.must_close = true;
  note_pushed(client);
}

void MessageHub::wake(const std::bitset<kProcessLimit>& readers) {
  for (std::uint32_t process = 0; process < process_count(); ++process) {
    if (readers.test(process)) ring_.wake(process);
  }
}

void MessageHub::send(MessageType type, std::uint64_t number, std::string_view bytes,
                      const std::bitset<kProcessLimit>& readers) {
  send({type, 0, 0, static_cast<std::uint8_t>(process_), 0, number}, {}, bytes, readers);
}

const std::vector<MessageHub::OtherPattern>& MessageHub::patterns_of(std::uint32_t process) {
  Patterns& known = patterns_[process];
  const std::uint64_t version =
      segment_.process(process).mailbox.pattern_version.load(std::memory_order_acquire);
  if (known.version != version) {
    known.list.clear();
    for (const SubscriptionCount& pattern : list_subscriptions(segment_, process, SubscriptionKind::kPattern)) {
      known.list.push_back({Glob(pattern.name), pattern.subscribers});
    }
    known.version = version;
  }
  return known.list;
}

MessageHub::Receivers MessageHub::other_receivers(SubscriptionKind kind, std::string_view channel) {
  Receivers receivers;
  const std::uint32_t count = process_count();
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

std::uint64_t MessageHub::count_receivers(SubscriptionKind kind, std::string_view channel) {
  std::uint64_t count = other_receivers(kind, channel).count;
  if (const auto found = audiences(kind).find(channel); found != audiences(kind).end()) {
    count += found->second.clients.size();
  }
  if (kind != SubscriptionKind::kChannel) return count;
  for (const auto& [pattern, audience] : audiences(SubscriptionKind::kPattern)) {
    if (audience.glob->matches(channel)) count += audience.clients.size();
  }
  return count;
}

std::optional<std::uint64_t> MessageHub::publish(SubscriptionKind kind, std::string_view channel,
                                                 std::string_view message) {
  const Receivers receivers = other_receivers(kind, channel);
  if (receivers.count != 0) {
    if (!send({type_of(kind)}, channel, message, receivers.processes)) return std::nullopt;
  }
  return receivers.count + deliver(kind, channel, message);
}

void MessageHub::publish_promised(SubscriptionKind kind, std::string_view channel, std::string_view message) {
  const Receivers receivers = other_receivers(kind, channel);
  if (receivers.count != 0) send_or_close({type_of(kind)}, channel, message, receivers.processes);
  deliver(kind, channel, message);
  if (publisher_) publisher_(kind, channel, message);
}

bool MessageHub::send(MessageHeader header, std::string_view name, std::string_view payload,
                      const std::bitset<kProcessLimit>& readers) {
  header.name_bytes = static_cast<std::uint32_t>(name.size());
  if (sizeof header + name.size() + payload.size() > MessageRing::kMessageLimitBytes) {
    header.is_lost = 1;
    payload = {};
  }
  return ring_.send({bytes_of(header), name, payload}, readers);
}

void MessageHub::send_or_close(MessageHeader header, std::string_view name, std::string_view payload,
                               const std::bitset<kProcessLimit>& readers) {
  if (send(header, name, payload, readers)) return;
  ++unsent_messages_;
  header.is_lost = 1;
  if (!send(header, name, {}, readers)) ring_.lose();
}

std::uint64_t MessageHub::deliver(SubscriptionKind kind, std::string_view channel, std::string_view message) {
  std::uint64_t count = 0;
  const bool is_channel = kind == SubscriptionKind::kChannel;
  if (const auto found = audiences(kind).find(channel); found != audiences(kind).end()) {
    for (ClientState* client : found->second.clients) {
      push(*client, [&](ReplyWriter& writer) {
        writer.begin_push(3);
        writer.bulk(is_channel ? "message" : "smessage");
        writer.bulk(channel);
        writer.bulk(message);
        writer.end();
      });
    }
    count += found->second.clients.size();
  }
  if (!is_channel) return count;
  for (const auto& [pattern, audience] : audiences(SubscriptionKind::kPattern)) {
    if (!audience.glob->matches(channel)) continue;
    for (ClientState* client : audience.clients) {
      push(*client, [&, &name = pattern](ReplyWriter& writer) {
        writer.begin_push(4);
        writer.bulk("pmessage");
        writer.bulk(name);
        writer.bulk(channel);
        writer.bulk(message);
        writer.end();
      });
    }
    count += audience.clients.size();
  }
  return count;
}

// Two workers that write one key may send its values in another order than they were written in, so each goes
// with the version of the slot that it was read at, and receivers pass on only what is newer than what they
// had.
void MessageHub::publish_value(const HashedKey& key) {
  std::bitset<kProcessLimit> readers;
  const std::uint32_t count = process_count();
  for (std::uint32_t process = 0; process < count; ++process) {
    if ((header_.key_watchers[process / 64].load(std::memory_order_acquire) >> process % 64 & 1) == 0) continue;
    if (count_subscribers(segment_, process, SubscriptionKind::kKey, key.bytes) != 0) readers.set(process);
  }
  if (readers.none()) return;
  std::string value;
  bool exists = false;
  std::uint64_t version = 0;
  for (int attempt = 0; attempt < kReadTries; ++attempt) {
    version = keyspace_.watch_version(key);
    exists = keyspace_.read(key, [&](const EntryView& entry) { value.assign(entry.value); });
    if (!exists) value.clear();
    if (keyspace_.watch_version(key) == version) break;
  }
  const bool is_own = readers.test(process_);
  readers.reset(process_);
  if (readers.any()) {
    send_or_close({MessageType::kValue, exists, 0, 0, 0, version}, key.bytes, value, readers);
  }
  if (is_own) deliver_value(key.bytes, version, exists, value);
}

void MessageHub::deliver_value(std::string_view key, std::uint64_t version, bool exists,
                               std::string_view value) {
  const auto found = audiences(SubscriptionKind::kKey).find(key);
  if (found == audiences(SubscriptionKind::kKey).end() || version <= found->second.version) return;
  found->second.version = version;
  for (ClientState* client : found->second.clients) {
    push(*client, [&](ReplyWriter& writer) {
      writer.begin_push(3);
      writer.bulk("value");
      writer.bulk(key);
      exists ? writer.bulk(value) : writer.nil();
      writer.end();
    });
  }
}

// The sum over all processes is raised before and lowered after this process's part of it: it is never too
// small.
void MessageHub::begin_monitor(ClientState& client) {
  if (client.subscriptions == nullptr) client.subscriptions = std::make_unique<Subscriptions>();
  ring_.listen();
  client.subscriptions->monitors = true;
  monitors_.push_back(&client);
  header_.monitors.fetch_add(1);
  segment_.process(process_).mailbox.monitors.fetch_add(1);
}

void MessageHub::end_monitor(ClientState& client) {
  segment_.process(process_).mailbox.monitors.fetch_sub(1);
  header_.monitors.fetch_sub(1);
  std::erase(monitors_, &client);
  client.subscriptions->monitors = false;
  if (client.subscriptions->is_empty()) client.subscriptions.reset();
  stop_listening_if_idle();
}

// Each line in shown_ has its length in front. One that no client may hold ends where that shows.
void MessageHub::show(const ClientState& client, const Command& command,
                      std::span<const std::string_view> words) {
  if (command.has(kAdmin)) return;
  if (std::exchange(shown_client_, client.id) != client.id || shown_address_.empty()) {
    shown_address_ = peer_address(client);
  }
  const std::string line = monitor_line(wall_time_us(), shown_address_, command, words, kPushLimitBytes + 1);
  const auto line_bytes = static_cast<std::uint32_t>(line.size());
  shown_.append(reinterpret_cast<const char*>(&line_bytes), sizeof line_bytes).append(line);
  if (shown_.size() > kShownBytes) send_shown();
}

void MessageHub::send_shown() {
  if (shown_.empty()) return;
  const std::string lines = std::exchange(shown_, {});
  std::bitset<kProcessLimit> readers;
  for (std::uint32_t process = 0; process < process_count(); ++process) {
    if (segment_.process(process).mailbox.monitors.load(std::memory_order_acquire) != 0) readers.set(process);
  }
  readers.reset(process_);
  if (readers.any()) send_or_close({MessageType::kShown}, {}, lines, readers);
  deliver_shown(lines);
}

void MessageHub::deliver_shown(std::string_view lines) {
  while (!monitors_.empty() && !lines.empty()) {
    std::uint32_t line_bytes = 0;
    std::memcpy(&line_bytes, lines.data(), sizeof line_bytes);
    const std::string_view line = lines.substr(sizeof line_bytes, line_bytes);
    lines.remove_prefix(sizeof line_bytes + line_bytes);
    for (ClientState* client : monitors_) push(*client, [&](ReplyWriter& writer) { writer.status(line); });
  }
}

std::map<std::string, std::uint64_t> MessageHub::subscriptions(SubscriptionKind kind) const {
  std::map<std::string, std::uint64_t> all;
  for (std::uint32_t process = 0; process < process_count(); ++process) {
    for (const SubscriptionCount& one : list_subscriptions(segment_, process, kind))
      all[one.name] += one.subscribers;
  }
  return all;
}

std::uint64_t MessageHub::count(SubscriptionKind kind, std::string_view name) const {
  std::uint64_t sum = 0;
  for (std::uint32_t process = 0; process < process_count(); ++process) {
    sum += count_subscribers(segment_, process, kind, name);
  }
  return sum;
}

void MessageHub::serve() {
  receive();
  clients_.answer(keyspace_.now_ms());
  clients_.tick();
  stop_listening_if_idle();
}

void MessageHub::receive() {
  if (ring_.receive([this](std::string_view bytes) { on_message(bytes); })) return;
  for (const Audiences& all : audiences_) {
    for (const auto& [name, audience] : all) late_subscribers_ += close_clients(audience.clients);
  }
  late_subscribers_ += close_clients(monitors_);
}

void MessageHub::on_message(std::string_view bytes) {
  MessageHeader header{};
  if (bytes.size() < sizeof header) return;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.remove_prefix(sizeof header);
  if (header.name_bytes > bytes.size()) return;
  const std::string_view name = bytes.substr(0, header.name_bytes);
  const std::string_view payload = bytes.substr(header.name_bytes);
  if (header.is_lost != 0) return close_receivers(header.type, name);
  switch (header.type) {
    case MessageType::kPublished:
      return static_cast<void>(deliver(SubscriptionKind::kChannel, name, payload));
    case MessageType::kShardPublished:
      return static_cast<void>(deliver(SubscriptionKind::kShardChannel, name, payload));
    case MessageType::kValue:
      return deliver_value(name, header.number, header.exists != 0, payload);
    case MessageType::kShown:
      return deliver_shown(payload);
    case MessageType::kAnswer:
      return clients_.on_answer(header.process, header.number, payload);
    case MessageType::kOrder:
      return clients_.on_order(payload);
  }
}

void MessageHub::close_receivers(MessageType type, std::string_view name) {
  if (type == MessageType::kShown) missed_subscribers_ += close_clients(monitors_);
  const std::optional<SubscriptionKind> kind = kind_of(type);
  if (!kind) return;
  const Audiences& named = audiences(*kind);
  if (const auto found = named.find(name); found != named.end()) missed_subscribers_ += close_clients(found->second.clients);
  if (kind != SubscriptionKind::kChannel) return;
  for (const auto& [pattern, audience] : audiences(SubscriptionKind::kPattern)) {
    if (audience.glob->matches(name)) missed_subscribers_ += close_clients(audience.clients);
  }
}

std::uint64_t MessageHub::close_clients(const std::vector<ClientState*>& clients) {
  std::uint64_t count = 0;
  for (ClientState* client : clients) {
    count += client->must_close ? 0 : 1;
    close(*client);
  }
  return count;
}

std::string MessageHub::take_losses() {
  std::string text;
  const auto tell = [&](std::uint64_t& count, const std::string& what) {
    if (count != 0) text += (text.empty() ? "" : "; ") + std::to_string(std::exchange(count, 0)) + what;
  };
  tell(late_subscribers_, " subscribers are closed: this worker did not read in time what others sent them");
  tell(missed_subscribers_, " subscribers are closed: a message for them was too long, or there was no memory for it");
  tell(unsent_messages_, " messages could not be sent to other workers, whose subscribers are closed: no memory for them "
                         "beside " + segment_.path());
  return text;
}

void MessageHub::note_pushed(ClientState& client) {
  if (client.pushes.size() > kPushLimitBytes) client.must_close = true;
  if (client.must_close) client.pushes = ByteBuffer();
  if (std::exchange(client.has_pushes, true)) return;
  pushed_.push_back(&client);
}

std::vector<ClientState*> MessageHub::take_pushed() {
  for (ClientState* client : pushed_) client->has_pushes = false;
  return std::exchange(pushed_, {});
}

}  // namespace memento
