// A blocking connection to a server in any of its protocols: requests as words, replies as typed values.
//
// Invariants: sending never deadlocks against a server that waits for its replies to be read; replies come in
// the order of the requests; what the server pushes by itself (RESP3) is kept apart. An error of any call
// ends the connection's use: status_of() says what it means, error_number EINTR that Ctrl-C ended the wait.
// It does not reconnect by itself.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/net/endpoint.h"
#include "cli/show/reply.h"

namespace memento::cli {

using Words = std::vector<std::string>;

/// A request as RESP writes it, added to `bytes`.
void append_request(std::span<const std::string_view> words, std::string* bytes);
void append_request(const Words& words, std::string* bytes);

class Connection {
 public:
  /// Connects, chooses the protocol (RESP2 when the server knows no HELLO), gives the password, selects the
  /// database. A server that wants a password and was given none is connected all the same: needs_password().
  static Result<Connection> open(const Endpoint& endpoint);
  /// Takes over a connected socket; nothing is sent.
  Connection(Fd socket, const Endpoint& endpoint);

  /// Sends one request. In the text protocol the words are joined by one space. REQUIRES: no line end in them
  /// then.
  Outcome send(const Words& words);
  Outcome send_bytes(std::string_view bytes);

  /// The next reply, or push.
  Result<Reply> read();
  /// The next reply; pushes before it go to take_push().
  Result<Reply> read_reply();
  Result<Reply> request(const Words& words);
  /// What comes within the time (0: what is there), if anything does.
  Result<std::optional<Reply>> read_within(int wait_ms);
  /// A push that came while a reply was waited for.
  std::optional<Reply> take_push();
  /// One that read_within() gave to who waits for a reply.
  void keep_push(Reply push) { pushes_.push_back(std::move(push)); }

  /// AUTH, then the protocol that was asked for.
  Outcome authenticate(const std::string& user, const std::string& password);

  /// Sets the time-out for replies from here on; -1: none.
  void set_timeout_ms(int timeout_ms) { endpoint_.timeout_ms = timeout_ms; }

  bool needs_password() const { return needs_password_; }
  WireProtocol protocol() const { return protocol_; }
  /// What HELLO 3 answered: a map; nil when it was not asked.
  const Reply& greeting() const { return greeting_; }
  /// True when the server has closed the connection; doesn't wait.
  bool is_closed_by_server() const;
  int socket() const { return socket_.get(); }

 private:
  Outcome greet();
  Outcome check_greeting(const Result<Reply>& reply, bool gave_password);
  /// Receives once; false: the server has closed.
  Result<bool> receive(int flags);
  /// Waits for an event; false when time is up.
  Result<bool> wait_for(short events, int wait_ms, short* happened);

  Endpoint endpoint_;
  Fd socket_;
  WireProtocol protocol_;
  ReplyParser parser_;
  std::deque<Reply> pushes_;
  Reply greeting_;
  bool needs_password_ = false;
};

/// True for an error reply that says the password is missing or wrong.
bool is_authentication_error(const Reply& reply);

}  // namespace memento::cli
