// Wire: a connection as the kill tests' load sees it, whatever protocol it speaks. A broken one is an answer,
// not a failure.
#pragma once

#include <sys/socket.h>
#include <sys/time.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/net/client.h"

namespace memento::testing {

inline constexpr const char* kNil = "(null)";

class Wire {
 public:
  virtual ~Wire() = default;
  /// False when the connection is broken. Replies are read later, in order.
  virtual bool send(std::initializer_list<std::string_view> words) = 0;
  /// The next reply, kNil for none; nothing when the connection broke before it was whole.
  virtual std::optional<std::string> read() = 0;
};

class TextWire : public Wire {
 public:
  explicit TextWire(Fd socket) : client_(std::move(socket)) {}

  bool send(std::initializer_list<std::string_view> words) override {
    line_.clear();
    for (const std::string_view word : words) line_.append(line_.empty() ? "" : " ").append(word);
    return static_cast<bool>(client_.send_line(line_));
  }
  std::optional<std::string> read() override {
    Result<std::string> reply = client_.read_reply();
    if (!reply) return std::nullopt;
    return std::move(*reply);
  }

 private:
  Client client_;
  std::string line_;
};

/// nullptr when nobody listens. A server that does not answer for a minute counts as a broken connection.
inline std::unique_ptr<Wire> connect_text(std::uint16_t port) {
  Result<Fd> socket = connect_tcp({"127.0.0.1", port});
  if (!socket) return nullptr;
  const timeval patience{60, 0};
  setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return std::make_unique<TextWire>(std::move(*socket));
}

}  // namespace memento::testing
