// See client_info.h. A connection has buffers of its own only while a request is incomplete or a reply waits
// to be sent; the others, and the words of requests, are shared by all connections of a worker and count for
// none of them, but for the request that asks.
#include "worker/clients/client_info.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "worker/command/command.h"
#include "worker/text/words.h"

namespace memento {
namespace {

std::string flags_of(const ClientState& client) {
  std::string flags;
  if (client.is_monitor()) flags += 'O';
  if (client.is_subscribed()) flags += 'P';
  if (client.transaction != nullptr) flags += 'x';
  if (client.waits == ClientWait::kPause) flags += 'b';
  if (client.tracking != nullptr) {
    flags += 't';
    if (client.tracking->is_redirect_broken) flags += 'R';
    if (client.tracking->broadcasts) flags += 'B';
  }
  if (client.no_evict) flags += 'e';
  if (client.no_touch) flags += 'T';
  return flags.empty() ? "N" : flags;
}

// 127.0.0.1:50000 or [::1]:50000; nothing when the socket has none (any more).
std::string address_of(int descriptor, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address{};
  socklen_t bytes = sizeof address;
  if (ask(descriptor, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) return "";
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(six.sin6_port));
  }
  const auto& four = reinterpret_cast<const sockaddr_in&>(address);
  inet_ntop(AF_INET, &four.sin_addr, text, sizeof text);
  return std::string(text) + ":" + std::to_string(ntohs(four.sin_port));
}

// None when the clock was set back meanwhile.
std::int64_t seconds_since(TimeMs before_ms, TimeMs now_ms) {
  return std::max<TimeMs>(now_ms - before_ms, 0) / 1000;
}

}  // namespace

std::string peer_address(const ClientState& client) { return address_of(client.descriptor, getpeername); }

std::string client_info_line(const ClientState& client, TimeMs now_ms) {
  std::string line;
  const auto add = [&](const char* name, std::string_view value) {
    if (!line.empty()) line += ' ';
    line.append(name).append("=").append(value);
  };
  add("id", std::to_string(client.id));
  add("addr", address_of(client.descriptor, getpeername));
  add("laddr", address_of(client.descriptor, getsockname));
  add("fd", std::to_string(client.descriptor));
  add("name", client.name);
  add("age", std::to_string(seconds_since(client.connected_ms, now_ms)));
  add("idle", std::to_string(seconds_since(client.active_ms, now_ms)));
  add("flags", flags_of(client));
  add("db", std::to_string(client.database.value));
  add("sub", std::to_string(client.subscription_count(SubscriptionKind::kChannel)));
  add("psub", std::to_string(client.subscription_count(SubscriptionKind::kPattern)));
  add("ssub", std::to_string(client.subscription_count(SubscriptionKind::kShardChannel)));
  add("multi", client.transaction != nullptr ? std::to_string(client.transaction->queue.size()) : "-1");
  const auto size = [](const ByteBuffer* buffer) {
    return buffer == nullptr ? std::size_t{0} : buffer->size();
  };
  const auto capacity = [](const ByteBuffer* buffer) { return buffer == nullptr ? 0 : buffer->capacity(); };
  const auto add_number = [&](const char* name, std::size_t number) { add(name, std::to_string(number)); };
  const std::size_t input = std::max(size(client.waiting_input), client.request_bytes);
  const std::size_t output = size(client.waiting_output);
  const std::size_t queued = client.transaction != nullptr ? client.transaction->queue.bytes() : 0;
  add_number("qbuf", input);
  add_number("qbuf-free", capacity(client.waiting_input) - size(client.waiting_input));
  add_number("argv-mem", client.argument_bytes);
  add_number("multi-mem", queued);
  add_number("rbs", capacity(client.waiting_output));
  add_number("rbp", output);
  add_number("obl", output);
  add_number("oll", 0);
  add_number("omem", client.pushes.capacity());
  add_number("tot-mem", sizeof client + queued + capacity(client.waiting_input) +
                            capacity(client.waiting_output) + client.pushes.capacity());
  add("events", output == 0 ? "r" : "rw");
  add("cmd", client.last_command != nullptr ? lower_case(client.last_command->name) : "NULL");
  add("user", "default");
  add("redir", client.tracking != nullptr ? std::to_string(client.tracking->redirect) : "-1");
  add("resp", std::to_string(client.resp_version()));
  add("lib-name", client.library_name);
  add("lib-ver", client.library_version);
  return line;
}

OwnRequest::OwnRequest(ClientState& client, std::span<const std::string_view> words) : client_(client) {
  const auto frame_bytes = [](std::size_t number) { return std::to_string(number).size() + 3; };
  client.request_bytes = frame_bytes(words.size());
  for (const std::string_view word : words) {
    client.argument_bytes += word.size();
    client.request_bytes += frame_bytes(word.size()) + word.size() + 2;
  }
}

OwnRequest::~OwnRequest() { client_.request_bytes = client_.argument_bytes = 0; }

ClientFacts facts_of(const ClientState& client, TimeMs now_ms) {
  const ClientType type = client.is_subscribed() ? ClientType::kPubSub : ClientType::kNormal;
  return {client.id, 0, seconds_since(client.connected_ms, now_ms), type, client_info_line(client, now_ms)};
}

}  // namespace memento
