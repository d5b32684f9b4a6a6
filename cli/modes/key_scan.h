// All keys of a server that match a glob, in batches, by SCAN. Keys that stay are given at least once; one
// that is added or removed meanwhile may be given or not.
#pragma once

#include <string>
#include <vector>

#include "cli/net/connection.h"

namespace memento::cli {

class KeyScan {
 public:
  KeyScan(Connection& connection, std::string pattern)
      : connection_(connection), pattern_(std::move(pattern)) {}

  /// The next keys, which may be none; false when there are no more.
  Result<bool> next(std::vector<std::string>* keys);

 private:
  Connection& connection_;
  std::string pattern_;
  std::string cursor_ = "0";
  bool is_at_end_ = false;
};

/// How many keys the server has; 0 when it does not say.
std::uint64_t count_keys(Connection& connection);

/// Sends all requests, then takes in as many replies: one round trip. `bytes`: the requests, by
/// append_request.
Result<std::vector<Reply>> exchange(Connection& connection, const std::string& bytes, std::size_t count);

}  // namespace memento::cli
