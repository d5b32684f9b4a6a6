// See invalidation_sender.h.
#include "worker/clients/invalidation_sender.h"

#include <cassert>
#include <new>
#include <string>
#include <vector>

#include "worker/clients/client_directory.h"
#include "worker/wire/word_list.h"

namespace memento {
namespace {

constexpr std::string_view kChannel = "__redis__:invalidate";

void write_keys(ReplyWriter& writer, const InvalidationSender::Keys* keys) {
  if (keys == nullptr) return writer.nil();
  writer.begin_array(keys->size());
  for (const std::string_view key : *keys) writer.bulk(key);
  writer.end();
}

}  // namespace

void InvalidationSender::send(ClientState& client, Keys keys) { deliver(client, &keys); }
void InvalidationSender::send_all(ClientState& client) { deliver(client, nullptr); }

bool InvalidationSender::is_broken(const ClientTracking& tracking) const {
  if (tracking.redirect_process == process_) return directory_.find(tracking.redirect) == nullptr;
  const ProcessRecord& record = segment_.process(tracking.redirect_process);
  return tracking.is_redirect_gone || record.incarnation.load() != tracking.redirect_incarnation ||
         record.mailbox.listens.load() == 0;
}

void InvalidationSender::deliver(ClientState& client, const Keys* keys) {
  assert(client.tracking != nullptr);
  const ClientTracking& tracking = *client.tracking;
  if (tracking.redirect == 0) return write(client, false, keys);
  if (is_broken(tracking)) return break_redirect(client);
  if (tracking.redirect_process == process_) return write(*directory_.find(tracking.redirect), true, keys);
  std::string payload;
  if (keys != nullptr) {
    payload.resize(word_list_bytes(*keys));
    write_word_list(*keys, payload.data());
  }
  post({MessageType::kRedirected, keys != nullptr, 0, own_process(), 0, tracking.redirect}, payload,
       WorkerMessages::only(tracking.redirect_process));
}

// A client of RESP2 hears nothing but what it subscribes to.
void InvalidationSender::write(ClientState& receiver, bool is_redirected, const Keys* keys) {
  if (receiver.protocol == Protocol::kResp3) {
    pushes_.push(receiver, [&](ReplyWriter& writer) {
      writer.begin_push(2);
      writer.bulk("invalidate");
      write_keys(writer, keys);
      writer.end();
    });
  } else if (is_redirected && receiver.is_subscribed()) {
    pushes_.push(receiver, [&](ReplyWriter& writer) {
      writer.begin_push(3);
      writer.bulk("message");
      writer.bulk(kChannel);
      write_keys(writer, keys);
      writer.end();
    });
  }
}

void InvalidationSender::break_redirect(ClientState& client) {
  client.tracking->is_redirect_broken = true;
  if (client.protocol != Protocol::kResp3) return;
  pushes_.push(client, [&](ReplyWriter& writer) {
    writer.begin_push(2);
    writer.bulk("tracking-redir-broken");
    writer.integer(static_cast<std::int64_t>(client.tracking->redirect));
    writer.end();
  });
}

// Where there is no memory to say it, all who listen drop everything.
void InvalidationSender::post(const MessageHeader& header, std::string_view payload,
                              const std::bitset<kProcessLimit>& readers) {
  try {
    messages_.send_or_close(header, {}, payload, readers);
  } catch (const std::bad_alloc&) {
    messages_.lose();
  }
}

bool InvalidationSender::announce(std::uint32_t process, std::uint64_t id) {
  if (process == process_) return true;
  return messages_.send({MessageType::kRedirects, 0, 0, own_process(), 0, id}, {}, {},
                        WorkerMessages::only(process));
}

// What is not here has gone since the other worker asked who is.
void InvalidationSender::on_announced(std::uint32_t process, std::uint64_t id) {
  if (process >= kProcessLimit || process == process_) return;
  if (ClientState* const target = directory_.find(id)) {
    targets_[id].set(process);
    target->is_redirect_target = true;
    return;
  }
  post({MessageType::kTargetGone, 0, 0, own_process(), 0, id}, {}, WorkerMessages::only(process));
}

void InvalidationSender::on_redirected(const MessageHeader& header, std::string_view keys) {
  ClientState* const receiver = directory_.find(header.number);
  if (receiver == nullptr) return;
  if (header.is_lost != 0 || header.exists == 0) return write(*receiver, true, nullptr);
  std::vector<std::string_view> words;
  const bool is_whole = take_word_list(&keys, &words);
  const Keys all(words);
  write(*receiver, true, is_whole ? &all : nullptr);
}

void InvalidationSender::on_loss() {
  std::bitset<kProcessLimit> trackers;
  const std::uint32_t count = segment_.process_count();
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i != process_ && segment_.process(i).mailbox.tracks.load() != 0) trackers.set(i);
  }
  if (trackers.any()) post({MessageType::kTargetGone, 0, 0, own_process(), 0, 0}, {}, trackers);
  send_all_to_targets();
}

void InvalidationSender::send_all_to_targets() {
  for (const auto& [id, processes] : targets_) {
    if (ClientState* const receiver = directory_.find(id)) write(*receiver, true, nullptr);
  }
}

void InvalidationSender::forget(const ClientState& client) {
  const auto found = targets_.find(client.id);
  if (found == targets_.end()) return;
  post({MessageType::kTargetGone, 0, 0, own_process(), 0, client.id}, {}, found->second);
  targets_.erase(found);
}

}  // namespace memento
