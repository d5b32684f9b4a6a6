// One of the two servers that are compared, as a connection that speaks RESP; and Debian's redis-server,
// started for the test with its files in a temporary folder and ended by its pid.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/net/client.h"
#include "tests/integration/test_server.h"

namespace memento::testing {

using Words = std::vector<std::string>;

class Peer {
 public:
  Peer(std::string name, std::uint16_t port);

  const std::string& name() const { return name_; }
  /// Sends the requests in one piece and reads a reply for each, as it stands on the wire. Fewer: the
  /// connection ended.
  std::vector<std::string> ask(const std::vector<Words>& requests);
  /// Sends the requests and PING marker, in one piece, and reads all that comes up to the reply to that,
  /// which it leaves out: replies, messages, lines of MONITOR. Nothing at the end: the connection ended.
  /// REQUIRES: marker is not sent otherwise.
  std::optional<std::vector<std::string>> ask_until(const std::vector<Words>& requests,
                                                    const std::string& marker);

 private:
  /// Sends them and gives each reply to `take` until that is false, or the connection ends.
  void talk(const std::vector<Words>& requests, const std::function<bool(std::string)>& take);
  /// Bytes of the whole reply at `begin`, or 0 when it is not whole yet.
  std::size_t reply_bytes(std::size_t begin) const;

  std::string name_;
  Fd socket_;
  std::string received_;
};

class RedisServer {
 public:
  RedisServer();
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::uint16_t port() const { return port_.number(); }

 private:
  TemporaryFolder folder_;
  testing::ReservedPort port_;
  pid_t process_ = 0;
};

}  // namespace memento::testing
