// TrackingTable: which of this worker's clients have read a key since it was changed last. Names of keys, and
// for each the numbers of clients in ascending order; one that has ended stays until the key goes. Runs in
// workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "worker/clients/name_hash.h"

namespace memento {

class TrackingTable {
 public:
  using Clients = std::vector<std::uint64_t>;
  struct Entry {
    std::string name;  ///< empty `clients`: there is none
    Clients clients;
  };

  explicit TrackingTable(std::uint64_t hash_seed) : keys_(0, NameHash{hash_seed}) {}

  /// True: the key was not in it.
  bool add(std::string_view name, std::uint64_t client);
  /// Takes the key out.
  Entry take(std::string_view name);
  /// Takes a key out, another one each time. REQUIRES: not empty.
  Entry take_next();
  void clear();

  /// HashedKey::hash of a key's name.
  std::uint64_t hash_of(std::string_view name) const { return keys_.hash_function()(name); }

  std::size_t key_count() const { return keys_.size(); }
  std::size_t item_count() const { return item_count_; }  ///< clients of all keys
  std::size_t name_bytes() const { return name_bytes_; }

 private:
  using Keys = std::unordered_map<std::string, Clients, NameHash, std::equal_to<>>;
  Entry take(Keys::iterator found);

  Keys keys_;
  std::size_t item_count_ = 0;
  std::size_t name_bytes_ = 0;
  std::size_t next_bucket_ = 0;  ///< of take_next(), which goes round
};

}  // namespace memento
