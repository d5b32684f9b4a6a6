// See client_info.h. Figures about Redis's buffers, which no connection has here, are left out.
#include "worker/command/client_info.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "worker/command/command.h"
#include "worker/command/words.h"

namespace memento {
namespace {

std::string flags_of(const ClientState& client) {
  std::string flags;
  if (client.is_monitor()) flags += 'O';
  if (client.is_subscribed()) flags += 'P';
  if (client.transaction != nullptr) flags += 'x';
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
  add("age", std::to_string((now_ms - client.connected_ms) / 1000));
  add("idle", std::to_string((now_ms - client.active_ms) / 1000));
  add("flags", flags_of(client));
  add("db", "0");
  add("sub", std::to_string(client.subscription_count(SubscriptionKind::kChannel)));
  add("psub", std::to_string(client.subscription_count(SubscriptionKind::kPattern)));
  add("ssub", "0");
  add("multi", client.transaction != nullptr ? std::to_string(client.transaction->queue.size()) : "-1");
  add("watch", std::to_string(client.watched.size()));
  add("cmd", client.last_command != nullptr ? lower_case(client.last_command->name) : "NULL");
  add("user", "default");
  add("redir", "-1");
  add("resp", std::to_string(client.resp_version()));
  add("lib-name", client.library_name);
  add("lib-ver", client.library_version);
  return line;
}

}  // namespace memento
