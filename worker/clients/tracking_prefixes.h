// TrackingPrefixes: which of this worker's clients want to hear of keys that begin so (BCAST). Runs in
// workers.
//
// Invariant: no prefix is without clients; `lengths_` counts the prefixes of each length.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace memento {

struct ClientState;

class TrackingPrefixes {
 public:
  using Clients = std::vector<ClientState*>;

  bool empty() const { return prefixes_.empty(); }
  std::size_t size() const { return prefixes_.size(); }

  /// Throws std::bad_alloc; then all is as before.
  void add(std::string_view prefix, ClientState& client) {
    const auto [found, is_new] = prefixes_.try_emplace(std::string(prefix));
    Clients& clients = found->second;
    if (std::ranges::find(clients, &client) != clients.end()) return;
    try {
      clients.push_back(&client);
      if (is_new) ++lengths_[prefix.size()];
    } catch (...) {
      if (is_new) prefixes_.erase(found);
      throw;
    }
  }
  void remove(std::string_view prefix, ClientState& client) {
    const auto found = prefixes_.find(prefix);
    if (found == prefixes_.end()) return;
    std::erase(found->second, &client);
    if (!found->second.empty()) return;
    if (const auto length = lengths_.find(prefix.size()); --length->second == 0) lengths_.erase(length);
    prefixes_.erase(found);
  }

  /// Calls visit(prefix, clients) for each prefix that the name begins with. Both stay valid until a change.
  template <class Visit>
  void for_each_of(std::string_view name, Visit&& visit) const {
    for (const auto& [length, count] : lengths_) {
      if (length > name.size()) return;
      if (const auto found = prefixes_.find(name.substr(0, length)); found != prefixes_.end())
        visit(std::string_view(found->first), found->second);
    }
  }

 private:
  std::map<std::string, Clients, std::less<>> prefixes_;
  std::map<std::size_t, std::size_t> lengths_;
};

}  // namespace memento
