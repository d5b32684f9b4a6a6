// Which server to talk to, and how: an address or a unix socket, user, password, database, protocol,
// time-out; and what a failure to do so means for the tool's exit status.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/net/client.h"
#include "cli/show/reply.h"

namespace memento::cli {

/// memento-cli's exit statuses; part of its manual page.
enum class CliStatus : int {
  kOk = 0,
  kErrorReply = 1,
  kUsage = 2,
  kNoConnection = 3,
  kAuthentication = 4,
  kTimeout = 5,
};

struct Endpoint {
  Address address;
  std::string socket_path;  ///< of a unix socket; empty: the address counts
  std::string user;         ///< empty: the default one
  std::string password;
  int database = 0;
  bool is_foreign = false;  ///< a redis:// server, or a unix socket: it does not speak the text protocol
  WireProtocol protocol = WireProtocol::kResp3;
  int timeout_ms = -1;  ///< to connect, and for each reply; -1: none

  std::string to_string() const;
};

/// memento://[[user]:password@]host[:port][/database], redis://... (port 6379), unix:///path or
/// redis+socket:///path. Parts may be percent-encoded. Changes what the URI names, and nothing when it is
/// wrong; the error says what is.
Outcome parse_uri(std::string_view uri, Endpoint* endpoint);

/// "host:port", "[::1]:port" or "host".
std::optional<Address> parse_address(std::string_view text);

/// A port, 1 to 65535.
std::optional<std::uint16_t> parse_port(std::string_view text);

/// The exit status for an error of a Connection: its error_number tells (EACCES: authentication, ETIMEDOUT).
CliStatus status_of(const Error& error);

}  // namespace memento::cli
