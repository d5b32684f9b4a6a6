// ServerProtocol: what the benchmark speaks to a server; more than memento's own, to measure peers alike.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace memento {

enum class ServerProtocol : std::uint8_t { kText, kResp2, kResp3, kMemcached };

struct ProtocolName {
  std::string_view name;
  ServerProtocol protocol;
};
inline constexpr std::array kProtocolNames{
    ProtocolName{"text", ServerProtocol::kText}, ProtocolName{"resp2", ServerProtocol::kResp2},
    ProtocolName{"resp3", ServerProtocol::kResp3}, ProtocolName{"memcached", ServerProtocol::kMemcached}};

constexpr std::string_view name_of(ServerProtocol protocol) {
  for (const ProtocolName& entry : kProtocolNames) {
    if (entry.protocol == protocol) return entry.name;
  }
  return "";
}

}  // namespace memento
