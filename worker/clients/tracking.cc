// See tracking.h.
#include "worker/clients/tracking.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <new>
#include <set>
#include <string>
#include <utility>

#include "worker/wire/word_list.h"

namespace memento {
namespace {

/// For a key that is remembered: a limit that is much lower than before is come down to bit by bit.
constexpr std::uint64_t kForgottenAtOnce = 4;
/// One request may read so many beyond the limit, however low that is, before all is forgotten.
constexpr std::uint64_t kKeysAtOnce = 1024;

}  // namespace

Tracking::Tracking(Segment& segment, Keyspace& keyspace, std::uint32_t process, ClientDirectory& directory,
                   WorkerMessages& messages, Pushes& pushes)
    : segment_(segment),
      keyspace_(keyspace),
      process_(process),
      messages_(messages),
      filter_(segment, process),
      table_(segment.header().hash_seed),
      sender_(segment, process, directory, messages, pushes) {
  publish_figures();
}

// The records are looked at before anything can be tracked: a process that had committed a change by then,
// and did not tell, is still to be found dead.
void Tracking::start() {
  filter_.begin();
  messages_.listen();
  const std::uint32_t count = segment_.process_count();
  for (std::uint32_t i = 0; i < count; ++i) incarnations_[i] = segment_.process(i).incarnation.load();
  keyspace_.begin_tracking();
  is_active_ = true;
}

void Tracking::stop() {
  keyspace_.end_tracking();
  filter_.end();
  table_.clear();
  is_active_ = false;
  publish_figures();
}

bool Tracking::begin(ClientState& client, const ClientTracking& wanted) {
  if (!is_active_) start();
  if (wanted.redirect != 0 && !sender_.announce(wanted.redirect_process, wanted.redirect)) return false;
  auto tracking = std::make_unique<ClientTracking>(wanted);
  if (wanted.redirect != 0)
    tracking->redirect_incarnation = segment_.process(wanted.redirect_process).incarnation.load();
  if (client.tracking != nullptr) {
    tracking->caching_given = client.tracking->caching_given;
    tracking->prefixes.insert(client.tracking->prefixes.begin(), client.tracking->prefixes.end());
  }
  const auto is_new = [&](const std::string& prefix) {
    return client.tracking == nullptr || !client.tracking->prefixes.contains(prefix);
  };
  try {
    for (const std::string& prefix : tracking->prefixes) prefixes_.add(prefix, client);
    clients_.emplace(client.id, &client);
  } catch (const std::bad_alloc&) {  // it tracks as before
    for (const std::string& prefix : tracking->prefixes) {
      if (is_new(prefix)) prefixes_.remove(prefix, client);
    }
    return false;
  }
  client.tracking = std::move(tracking);
  filter_.set_hears_all(!prefixes_.empty());
  publish_figures();
  return true;
}

void Tracking::end(ClientState& client) {
  if (client.tracking == nullptr) return;
  for (const std::string& prefix : client.tracking->prefixes) prefixes_.remove(prefix, client);
  filter_.set_hears_all(!prefixes_.empty());
  clients_.erase(client.id);
  client.tracking.reset();
  publish_figures();
}

void Tracking::remove(ClientState& client) {
  end(client);
  sender_.forget(client);
}

void Tracking::tidy() {
  if (owes_renewal_) renew_redirects();
  if (is_active_ && clients_.empty()) stop();
}

// Inside a body, and maybe under its locks: nobody is told anything here. When one request, as a script that
// goes through all keys, has read far more than the limit, all is forgotten.
void Tracking::remember(ClientState& client, std::string_view name, std::uint64_t key_limit) {
  assert(client.tracking != nullptr && client.tracking->remembers() && is_active_);
  key_limit_ = key_limit;
  if (over_limit_count_ > std::max(key_limit, kKeysAtOnce) || table_.name_bytes() > 2 * kNameLimitBytes) {
    empty_table();
    owes_all_ = true;
    over_limit_count_ = 1;  // tell() is to see it
  }
  if (table_.add(name, client.id)) filter_.add(hash_of(name));
  if (is_over_limit()) ++over_limit_count_;
  publish_figures();
}

bool Tracking::is_over_limit() const {
  return (key_limit_ != 0 && table_.key_count() > key_limit_) || table_.name_bytes() > kNameLimitBytes;
}

void Tracking::forget_some() {
  if (owes_all_) drop_all();
  for (std::uint64_t left = std::exchange(over_limit_count_, 0) * kForgottenAtOnce;
       left > 0 && is_over_limit(); --left) {
    const TrackingTable::Entry entry = table_.take_next();
    filter_.remove(hash_of(entry.name));
    send_to_readers(entry.name, entry.clients, nullptr);
  }
  publish_figures();
}

// Without memory to say what was changed, it is everything.
template <class Act>
void Tracking::survive(Act&& act) {
  try {
    act();
  } catch (const std::bad_alloc&) {
    messages_.lose();
    drop_all();
    keyspace_.changed_keys().clear();
  }
}

void Tracking::tell_changes(ClientState* by, bool is_one_of_several) {
  survive([&] {
    if (keyspace_.changed_keys().has_new()) tell_readers(by, is_one_of_several);
    tell_rest(by);
    forget_some();
  });
}

void Tracking::tell_changes_in_front(ClientState* by, bool is_one_of_several) {
  survive([&] { tell_readers(by, is_one_of_several); });
}

// The fence: what is looked at from here on is as it is after the commits. The unlocking of their slots is
// one already; this says so.
void Tracking::tell_readers(ClientState* by, bool is_one_of_several) {
  ChangedKeys& changed = keyspace_.changed_keys();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const bool has_trackers = segment_.header().trackers.load() != 0;
  if (has_trackers) tell_others(changed);
  if (!has_trackers || changed.is_all()) {
    if (has_trackers) drop_all();
    own_changes_.clear();
    return changed.clear();
  }
  if (is_active_) {
    changed.for_each_new([&](const ChangedKey& key) {
      invalidate(key.name, key.cause == ChangeCause::kCommand ? by : nullptr, is_one_of_several);
    });
    publish_figures();
  }
  changed.mark_seen();
}

void Tracking::tell_rest(const ClientState* by) {
  ChangedKeys& changed = keyspace_.changed_keys();
  if (const auto own = clients_.find(own_changes_of_); own != clients_.end()) {
    for (const std::string_view name : own_changes_) sender_.send(*own->second, {&name, 1});
  }
  own_changes_.clear();
  if (!prefixes_.empty() && !changed.empty()) {
    std::vector<ChangedKey> all;
    changed.for_each([&](const ChangedKey& key) { all.push_back(key); });
    broadcast(all, by);
  }
  changed.clear();
}

void Tracking::tell_others(const ChangedKeys& changed) {
  const std::uint32_t count = segment_.process_count();
  std::bitset<kProcessLimit> readers;
  std::vector<std::string_view> names;
  if (changed.is_all()) {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (i != process_ && segment_.process(i).mailbox.tracks.load() != 0) readers.set(i);
    }
  } else {
    changed.for_each_new([&](const ChangedKey& key) {
      bool is_tracked = false;
      for (std::uint32_t i = 0; i < count; ++i) {
        if (i == process_ || !may_track(segment_, i, key.hash)) continue;
        is_tracked = true;
        readers.set(i);
      }
      if (is_tracked) names.push_back(key.name);
    });
  }
  if (readers.none()) return;
  std::string payload(word_list_bytes(names), '\0');
  write_word_list(names, payload.data());
  messages_.send_or_close({MessageType::kChanged, !changed.is_all()}, {}, payload, readers);
}

// A client that does not hear of its own change may have read the key again behind it, in the same EXEC or
// script: then it is still to hear of others'.
void Tracking::invalidate(std::string_view name, ClientState* by, bool is_one_of_several) {
  const TrackingTable::Entry entry = table_.take(name);
  if (entry.clients.empty()) return;
  filter_.remove(hash_of(name));
  send_to_readers(name, entry.clients, by);
  const bool keeps = is_one_of_several && by != nullptr && by->tracking != nullptr && by->tracking->no_loop &&
                     std::ranges::binary_search(entry.clients, by->id);
  if (keeps && table_.add(name, by->id)) filter_.add(hash_of(name));
}

// What is `by`'s own waits for tell_rest(): REQUIRES: then the name is among the changed keys' bytes.
void Tracking::send_to_readers(std::string_view name, const TrackingTable::Clients& clients,
                               const ClientState* by) {
  for (const std::uint64_t id : clients) {
    const auto found = clients_.find(id);
    if (found == clients_.end() || found->second->tracking->broadcasts) continue;
    if (found->second != by) {
      sender_.send(*found->second, {&name, 1});
    } else if (!by->tracking->no_loop) {
      own_changes_of_ = id;
      own_changes_.push_back(name);
    }
  }
}

// One message for each prefix and client, with the keys in order.
void Tracking::broadcast(const std::vector<ChangedKey>& changed, const ClientState* by) {
  struct Message {
    const TrackingPrefixes::Clients* clients = nullptr;
    std::vector<std::string_view> all;
    std::vector<std::string_view> of_others;  // for a client that does not want to hear of its own changes
  };
  std::map<std::string_view, Message> messages;
  for (const ChangedKey& key : changed) {
    prefixes_.for_each_of(key.name, [&](std::string_view prefix, const TrackingPrefixes::Clients& clients) {
      Message& message = messages[prefix];
      message.clients = &clients;
      message.all.push_back(key.name);
      if (key.cause == ChangeCause::kServer) message.of_others.push_back(key.name);
    });
  }
  for (auto& [prefix, message] : messages) {
    for (std::vector<std::string_view>* list : {&message.all, &message.of_others}) {
      std::ranges::sort(*list);
      list->erase(std::unique(list->begin(), list->end()), list->end());
    }
    for (ClientState* client : *message.clients) {
      const bool is_own = client == by && client->tracking->no_loop;
      const std::vector<std::string_view>& list = is_own ? message.of_others : message.all;
      if (!list.empty()) sender_.send(*client, list);
    }
  }
}

void Tracking::empty_table() {
  table_.clear();
  filter_.clear();
}

void Tracking::drop_all() noexcept {
  owes_all_ = false;
  own_changes_.clear();
  if (!is_active_) return;
  empty_table();
  for (const auto& [id, client] : clients_) sender_.send_all(*client);
  publish_figures();
}

void Tracking::on_message(const MessageHeader& header, std::string_view payload) {
  switch (header.type) {
    case MessageType::kChanged:
      if (!is_active_) return;
      if (header.is_lost != 0 || header.exists == 0) return drop_all();
      return take_changed(payload);
    case MessageType::kRedirects:
      return sender_.on_announced(header.process, header.number);
    case MessageType::kRedirected:
      return sender_.on_redirected(header, payload);
    case MessageType::kTargetGone:
      return forget_target(header.process, header.number);
    default:
      assert(false);
  }
}

void Tracking::take_changed(std::string_view names) {
  try {
    std::vector<std::string_view> all;
    if (!take_word_list(&names, &all)) return drop_all();
    std::vector<ChangedKey> broadcasted;
    for (const std::string_view name : all) {
      invalidate(name, nullptr, false);
      if (!prefixes_.empty()) broadcasted.push_back({name, 0, ChangeCause::kServer});
    }
    if (!broadcasted.empty()) broadcast(broadcasted, nullptr);
    publish_figures();
  } catch (const std::bad_alloc&) {
    drop_all();
  }
}

// What was lost may have said that a client has gone that messages are redirected to.
void Tracking::on_loss() {
  drop_all();
  sender_.on_loss();
  owes_renewal_ = true;
}

void Tracking::on_backlog() {
  drop_all();
  sender_.send_all_to_targets();
}

// `id` 0: messages to any client of that process may be lost, and who they are.
void Tracking::forget_target(std::uint32_t process, std::uint64_t id) {
  for (const auto& [own_id, client] : clients_) {
    ClientTracking& tracking = *client->tracking;
    if (tracking.redirect == 0 || tracking.redirect_process != process) continue;
    if (tracking.redirect == id) tracking.is_redirect_gone = true;
    if (id == 0 && !tracking.is_redirect_gone) sender_.send_all(*client);
  }
  owes_renewal_ |= id == 0;
}

// The workers of clients that messages are redirected to are told again who these are: they answer which have
// gone.
void Tracking::renew_redirects() {
  std::set<std::uint64_t> renewed;
  for (const auto& [own_id, client] : clients_) {
    const ClientTracking& tracking = *client->tracking;
    if (tracking.redirect == 0 || tracking.is_redirect_gone || !renewed.insert(tracking.redirect).second)
      continue;
    if (!sender_.announce(tracking.redirect_process, tracking.redirect)) return;
  }
  owes_renewal_ = false;
}

// A record is given to a new process, with another incarnation, when what the dead one had committed is done.
void Tracking::look_for_deaths() {
  if (!is_active_) return;
  bool has_died = false;
  const std::uint32_t count = segment_.process_count();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t incarnation = segment_.process(i).incarnation.load();
    has_died |= std::exchange(incarnations_[i], incarnation) != incarnation;
  }
  if (has_died || owes_all_) drop_all();
}

void Tracking::publish_figures() {
  Mailbox& mailbox = segment_.process(process_).mailbox;
  const auto set = [](Word& word, std::uint64_t value) { word.store(value, std::memory_order_relaxed); };
  set(mailbox.tracking_clients, clients_.size());
  set(mailbox.tracked_keys, table_.key_count());
  set(mailbox.tracked_items, table_.item_count());
  set(mailbox.tracking_prefixes, prefixes_.size());
}

TrackingFigures Tracking::figures() const {
  TrackingFigures sum;
  const std::uint32_t count = segment_.process_count();
  for (std::uint32_t i = 0; i < count; ++i) {
    const Mailbox& mailbox = segment_.process(i).mailbox;
    sum.clients += mailbox.tracking_clients.load();
    sum.keys += mailbox.tracked_keys.load();
    sum.items += mailbox.tracked_items.load();
    sum.prefixes += mailbox.tracking_prefixes.load();
  }
  return sum;
}

}  // namespace memento
