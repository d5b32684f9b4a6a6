// The line that describes a connection, as CLIENT INFO and CLIENT LIST print it. Runs in workers.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "worker/clients/client_facts.h"
#include "worker/clients/client_state.h"

namespace memento {

/// `name=value` pairs parted by spaces, named as Redis names them, without a line end.
std::string client_info_line(const ClientState& client, TimeMs now_ms);

/// While it lives, the client's line counts the request that asks for it.
class OwnRequest {
 public:
  OwnRequest(ClientState& client, std::span<const std::string_view> words);
  ~OwnRequest();
  OwnRequest(const OwnRequest&) = delete;
  OwnRequest& operator=(const OwnRequest&) = delete;

 private:
  ClientState& client_;
};

/// Its process is left out.
ClientFacts facts_of(const ClientState& client, TimeMs now_ms);

/// The client's ADDRESS:PORT; nothing when it has no socket.
std::string peer_address(const ClientState& client);

}  // namespace memento
