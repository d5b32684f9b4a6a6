// Protocol: what the benchmark speaks to a server; more than memento's own, to measure peers alike.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace memento {

enum class Protocol : std::uint8_t { kText, kResp2, kResp3, kMemcached };

struct ProtocolName {
  std::string_view name;
  Protocol protocol;
};
inline constexpr std::array kProtocolNames{
    ProtocolName{"text", Protocol::kText}, ProtocolName{"resp2", Protocol::kResp2},
    ProtocolName{"resp3", Protocol::kResp3}, ProtocolName{"memcached", Protocol::kMemcached}};

constexpr std::string_view name_of(Protocol protocol) {
  for (const ProtocolName& entry : kProtocolNames) {
    if (entry.protocol == protocol) return entry.name;
  }
  return "";
}

}  // namespace memento
