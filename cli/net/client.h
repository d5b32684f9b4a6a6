// Sockets of the command line tools, and a blocking connection in the text protocol alone, for tests.
// memento-cli's own is connection.h.
//
// The text protocol: a request is one line ended by \n; a reply ends in \r\n, and lines inside a reply end in
// a bare \n. Replies come in the order of the requests, so a caller may send several and then read as many.
//
// Invariant: send_line never deadlocks against a server that waits for its replies to be read; it takes in
// replies while it waits for room. Not thread-safe; it does not reconnect by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shm/os/fd.h"
#include "shm/os/result.h"

namespace memento {

inline constexpr const char* kDefaultHost = "127.0.0.1";
inline constexpr std::uint16_t kDefaultPort = 6737;

/// Where a server listens.
struct Address {
  std::string host = kDefaultHost;
  std::uint16_t port = kDefaultPort;

  std::string to_string() const;
};

/// A connected TCP socket (TCP_NODELAY, CLOEXEC); tries each address the host name has, for so long (-1: as
/// long as the kernel does). The error's number is ETIMEDOUT when time was up.
Result<Fd> connect_tcp(const Address& address, int timeout_ms = -1);

/// True for replies that say a command failed: "(error) ...", "(Unknown command)", "(Out of memory)".
/// A stored value that begins the same way can't be told apart; the protocol doesn't mark it.
bool is_error_reply(std::string_view reply);

class Client {
 public:
  static Result<Client> connect(const Address& address);

  /// Takes over a connected socket.
  explicit Client(Fd socket) : socket_(std::move(socket)) {}

  /// Sends one request; adds the \n. REQUIRES: line holds no \n.
  Outcome send_line(std::string_view line);

  /// The next reply without its closing \r\n. An error when the connection ends before the reply does.
  Result<std::string> read_reply();

  /// send_line, then read_reply. REQUIRES: no reply outstanding.
  Result<std::string> request(std::string_view line);

  /// True when the server has closed the connection; doesn't wait. REQUIRES: no reply outstanding.
  bool is_closed_by_server() const;

 private:
  Outcome send_all(std::string_view bytes);
  /// Receives once into buffer_; the count is 0 when the server has closed.
  Result<std::size_t> receive(int flags);

  Fd socket_;
  std::string buffer_;        ///< received bytes not yet handed out, from consumed_ on
  std::size_t consumed_ = 0;  ///< bytes of buffer_ already handed out
  std::size_t scanned_ = 0;   ///< bytes of buffer_ known to hold no end of the current reply
};

}  // namespace memento
