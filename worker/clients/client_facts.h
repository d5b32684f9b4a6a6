// ClientFacts: what CLIENT LIST and CLIENT KILL know of a connection, of this worker or of another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memento {

enum class ClientType : std::uint32_t { kNormal, kPubSub, kReplica, kMaster };

struct ClientFacts {
  std::uint64_t id = 0;
  std::uint32_t process = 0;  ///< of its worker
  std::int64_t age_s = 0;
  ClientType type = ClientType::kNormal;
  std::string line;  ///< as CLIENT LIST prints it

  std::string_view address() const { return field(" addr="); }
  std::string_view local_address() const { return field(" laddr="); }

 private:
  // Both stand in front of what the client can set.
  std::string_view field(std::string_view name) const {
    const std::size_t begin = line.find(name);
    if (begin == std::string::npos) return {};
    const std::string_view rest = std::string_view(line).substr(begin + name.size());
    return rest.substr(0, rest.find(' '));
  }
};

/// The clients of all other workers, as they answered one question.
struct OtherClients {
  std::uint64_t question = 0;  ///< 0: there are no other workers
  std::vector<ClientFacts> clients;
};

}  // namespace memento
