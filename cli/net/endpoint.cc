// See endpoint.h.
#include "cli/net/endpoint.h"

#include <charconv>

namespace memento::cli {
namespace {

constexpr std::uint16_t kRedisPort = 6379;

Error usage(const std::string& message) { return Error{ExitStatus::kUsage, 0, message}; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// %41 becomes A; nothing when a % is not followed by two digits.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) return std::nullopt;
    decoded += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
    i += 2;
  }
  return decoded;
}

bool take_prefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

/// "user:password", ":password" or "password".
Outcome set_user(std::string_view text, Endpoint* endpoint) {
  const std::size_t colon = text.find(':');
  const auto user = percent_decoded(colon == text.npos ? "" : text.substr(0, colon));
  const auto password = percent_decoded(colon == text.npos ? text : text.substr(colon + 1));
  if (!user || !password)
    return usage("a % in the URI's user or password must be followed by two hex digits");
  endpoint->user = *user;
  endpoint->password = *password;
  return Done{};
}

}  // namespace

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::optional<Address> parse_address(std::string_view text) {
  Address address;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == text.npos) return std::nullopt;
    address.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && port[0] != ':') return std::nullopt;
  } else {
    const std::size_t colon = text.find(':');
    address.host = text.substr(0, colon);
    port = colon == text.npos ? "" : text.substr(colon);
  }
  if (address.host.empty()) return std::nullopt;
  if (!port.empty()) {
    const std::optional<std::uint16_t> number = parse_port(port.substr(1));
    if (!number) return std::nullopt;
    address.port = *number;
  }
  return address;
}

std::string Endpoint::to_string() const { return socket_path.empty() ? address.to_string() : socket_path; }

Outcome parse_uri(std::string_view uri, Endpoint* endpoint) {
  Endpoint result = *endpoint;
  std::string_view rest = uri;
  if (take_prefix(&rest, "unix://") || take_prefix(&rest, "redis+socket://")) {
    const std::size_t at = rest.find('@');
    if (at != rest.npos) {
      if (Outcome set = set_user(rest.substr(0, at), &result); !set) return set;
      rest.remove_prefix(at + 1);
    }
    const auto path = percent_decoded(rest);
    if (!path || path->empty()) return usage("a unix:// URI needs a path: unix:///run/redis/redis.sock");
    result.socket_path = *path;
    result.is_foreign = true;
    *endpoint = std::move(result);
    return Done{};
  }
  if (rest.starts_with("rediss://") || rest.starts_with("mementos://")) {
    return usage("TLS is not supported; use redis:// or memento:// through a tunnel such as stunnel");
  }
  result.is_foreign = rest.starts_with("redis://");
  if (!take_prefix(&rest, "memento://") && !take_prefix(&rest, "redis://")) {
    return usage(
        "a URI begins with memento://, redis:// or unix://, as in memento://:password@127.0.0.1:6737");
  }
  rest = rest.substr(0, rest.find('?'));
  const std::size_t slash = rest.find('/');
  if (slash != rest.npos && slash + 1 < rest.size()) {
    const std::string_view number = rest.substr(slash + 1);
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), result.database);
    if (parsed.ec != std::errc{} || parsed.ptr != number.data() + number.size() || result.database < 0) {
      return usage("the database behind the URI's address must be a number: redis://127.0.0.1:6379/0");
    }
  }
  rest = rest.substr(0, slash);
  const std::size_t at = rest.rfind('@');
  if (at != rest.npos) {
    if (Outcome set = set_user(rest.substr(0, at), &result); !set) return set;
    rest.remove_prefix(at + 1);
  }
  Address address{kDefaultHost, result.is_foreign ? kRedisPort : kDefaultPort};
  if (!rest.empty()) {
    const std::string text = rest.starts_with(':') ? kDefaultHost + std::string(rest) : std::string(rest);
    const std::optional<Address> given = parse_address(text);
    if (!given) return usage("the URI's address must be HOST, HOST:PORT or [IPV6]:PORT");
    address.host = given->host;
    if (text.back() != ']' && text.rfind(':') != text.npos) address.port = given->port;
  }
  result.address = address;
  *endpoint = std::move(result);
  return Done{};
}

CliStatus status_of(const Error& error) {
  if (error.error_number == EACCES) return CliStatus::kAuthentication;
  if (error.error_number == ETIMEDOUT) return CliStatus::kTimeout;
  return CliStatus::kNoConnection;
}

}  // namespace memento::cli
