// See connection.h.
#include "cli/net/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cassert>
#include <cstring>

#include "cli/net/interrupt.h"
#include "cli/show/format.h"
#include "shm/os/clock.h"

namespace memento::cli {
namespace {

constexpr std::size_t kReceiveBytes = 256 * 1024;

Result<Fd> connect_unix(const std::string& path) {
  sockaddr_un name{};
  if (path.size() >= sizeof name.sun_path) {
    return Error{ExitStatus::kSystem, 0, "connect(" + path + "): the path is longer than a socket's may be"};
  }
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return system_error("socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    return system_error("connect(" + path + ")");
  }
  return socket;
}

Error authentication_error(const Reply& reply) {
  return Error{ExitStatus::kRuntime, EACCES, without_controls(reply.text)};
}

std::string_view without_error_mark(std::string_view text) {
  constexpr std::string_view kMark = "(error) ";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

}  // namespace

bool is_authentication_error(const Reply& reply) {
  if (!reply.is_error()) return false;
  const std::string_view text = without_error_mark(reply.text);
  return text.starts_with("NOAUTH") || text.starts_with("WRONGPASS") ||
         text.find("invalid password") != text.npos || text.starts_with("Authentication required");
}

void append_request(std::span<const std::string_view> words, std::string* bytes) {
  bytes->append("*").append(std::to_string(words.size())).append("\r\n");
  for (const std::string_view word : words) {
    bytes->append("$").append(std::to_string(word.size())).append("\r\n").append(word).append("\r\n");
  }
}

void append_request(const Words& words, std::string* bytes) {
  append_request(std::vector<std::string_view>(words.begin(), words.end()), bytes);
}

Connection::Connection(Fd socket, const Endpoint& endpoint)
    : endpoint_(endpoint),
      socket_(std::move(socket)),
      protocol_(endpoint.protocol),
      parser_(endpoint.protocol == WireProtocol::kText) {}

Result<Connection> Connection::open(const Endpoint& endpoint) {
  Result<Fd> socket = endpoint.socket_path.empty() ? connect_tcp(endpoint.address, endpoint.timeout_ms)
                                                   : connect_unix(endpoint.socket_path);
  if (!socket) return socket.error();
  Result<Connection> connection = Connection(std::move(*socket), endpoint);
  const Outcome greeted = connection->greet();
  if (!greeted) return greeted.error();
  return connection;
}

Outcome Connection::greet() {
  if (protocol_ != WireProtocol::kResp3) {
    if (!endpoint_.password.empty()) {
      if (Outcome done = authenticate(endpoint_.user, endpoint_.password); !done) return done;
    }
  } else {
    Words words{"HELLO", "3"};
    if (!endpoint_.password.empty()) {
      words.insert(words.end(),
                   {"AUTH", endpoint_.user.empty() ? "default" : endpoint_.user, endpoint_.password});
    }
    if (Outcome checked = check_greeting(request(words), words.size() > 2); !checked) return checked;
  }
  if (endpoint_.database == 0 || needs_password_) return Done{};
  const Result<Reply> selected = request({"SELECT", std::to_string(endpoint_.database)});
  if (!selected) return selected.error();
  if (selected->is_error())
    return Error{ExitStatus::kRuntime, 0, "SELECT: " + without_controls(selected->text)};
  return Done{};
}

Outcome Connection::check_greeting(const Result<Reply>& reply, bool gave_password) {
  if (!reply) return reply.error();
  if (!reply->is_error()) {
    greeting_ = *reply;
    return Done{};
  }
  protocol_ = WireProtocol::kResp2;
  if (is_authentication_error(*reply)) {
    if (gave_password) return authentication_error(*reply);
    needs_password_ = true;
    return Done{};
  }
  // A server from before HELLO, or one that refuses to serve: the next reply will tell.
  return gave_password ? authenticate(endpoint_.user, endpoint_.password) : Outcome(Done{});
}

Outcome Connection::authenticate(const std::string& user, const std::string& password) {
  const Result<Reply> reply = request(user.empty() ? Words{"AUTH", password} : Words{"AUTH", user, password});
  if (!reply) return reply.error();
  // A server without a password is told one: what it says is no reason not to go on.
  const bool wants_none = reply->text.find("without any password") != std::string::npos ||
                          reply->text.find("no password") != std::string::npos;
  if (reply->is_error() && !wants_none) return authentication_error(*reply);
  needs_password_ = false;
  return Done{};
}

Outcome Connection::send(const Words& words) {
  std::string bytes;
  if (protocol_ == WireProtocol::kText) {
    for (const std::string& word : words) bytes.append(bytes.empty() ? "" : " ").append(word);
    assert(bytes.find('\n') == std::string::npos);
    bytes.push_back('\n');
  } else {
    append_request(words, &bytes);
  }
  return send_bytes(bytes);
}

Result<bool> Connection::wait_for(short events, int wait_ms, short* happened) {
  const std::int64_t deadline_ns = monotonic_time_ns() + std::int64_t{wait_ms} * 1'000'000;
  for (int left_ms = wait_ms;;) {
    pollfd waiting{socket_.get(), events, 0};
    const int ready = poll_or_interrupt(&waiting, 1, left_ms);
    if (ready < 0 && errno != EINTR) return system_error("poll on the server's socket");
    if (ready < 0 && is_interrupted()) return Error{ExitStatus::kRuntime, EINTR, "interrupted"};
    if (ready == 0) return false;
    if (ready > 0) {
      *happened = waiting.revents;
      return true;
    }
    if (wait_ms >= 0)
      left_ms = static_cast<int>(std::max<std::int64_t>((deadline_ns - monotonic_time_ns()) / 1'000'000, 0));
  }
}

Outcome Connection::send_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return system_error("send to the server");
    short happened = 0;
    const Result<bool> ready = wait_for(POLLIN | POLLOUT, endpoint_.timeout_ms, &happened);
    if (!ready) return ready.error();
    if (!*ready) return Error{ExitStatus::kSystem, ETIMEDOUT, "the server takes nothing in"};
    if ((happened & POLLIN) == 0) continue;
    const Result<bool> is_open = receive(MSG_DONTWAIT);
    if (!is_open) return is_open.error();
    if (!*is_open)
      return Error{ExitStatus::kSystem, 0, "send to the server: connection closed by the server"};
  }
  return Done{};
}

Result<bool> Connection::receive(int flags) {
  static thread_local std::array<char, kReceiveBytes> bytes;
  ssize_t received = 0;
  do {
    received = ::recv(socket_.get(), bytes.data(), bytes.size(), flags);
  } while (received < 0 && errno == EINTR && !is_interrupted());
  if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
  if (received < 0) return system_error("recv from the server");
  parser_.feed({bytes.data(), static_cast<std::size_t>(received)});
  return received > 0;
}

Result<std::optional<Reply>> Connection::read_within(int wait_ms) {
  Reply reply;
  for (;;) {
    const ReplyParser::Outcome outcome = parser_.next(&reply);
    if (outcome == ReplyParser::Outcome::kReply) return std::optional<Reply>(std::move(reply));
    if (outcome == ReplyParser::Outcome::kBroken) {
      return Error{ExitStatus::kSystem, EPROTO, "broken reply: " + parser_.error()};
    }
    short happened = 0;
    const Result<bool> ready = wait_for(POLLIN, wait_ms, &happened);
    if (!ready) return ready.error();
    if (!*ready) return std::optional<Reply>();
    const Result<bool> is_open = receive(0);
    if (!is_open) return is_open.error();
    if (!*is_open) {
      return Error{ExitStatus::kSystem, ECONNRESET,
                   parser_.pending_bytes() > 0 ? "connection closed by the server in the middle of a reply"
                                               : "connection closed by the server"};
    }
  }
}

Result<Reply> Connection::read() {
  if (std::optional<Reply> push = take_push()) return std::move(*push);
  Result<std::optional<Reply>> reply = read_within(endpoint_.timeout_ms);
  if (!reply) return reply.error();
  if (!*reply) {
    return Error{ExitStatus::kSystem, ETIMEDOUT,
                 "no reply within " + std::to_string(endpoint_.timeout_ms) + " ms"};
  }
  return std::move(**reply);
}

Result<Reply> Connection::read_reply() {
  for (;;) {
    Result<std::optional<Reply>> reply = read_within(endpoint_.timeout_ms);
    if (!reply) return reply.error();
    if (!*reply) {
      return Error{ExitStatus::kSystem, ETIMEDOUT,
                   "no reply within " + std::to_string(endpoint_.timeout_ms) + " ms"};
    }
    if ((**reply).type != ReplyType::kPush) return std::move(**reply);
    pushes_.push_back(std::move(**reply));
  }
}

Result<Reply> Connection::request(const Words& words) {
  const Outcome sent = send(words);
  // The server may refuse a request before all of it is sent, and say why.
  if (!sent && (sent.error().error_number == ETIMEDOUT || sent.error().error_number == EINTR))
    return sent.error();
  Result<Reply> reply = read_reply();
  return reply || sent ? std::move(reply) : Result<Reply>(sent.error());
}

std::optional<Reply> Connection::take_push() {
  if (pushes_.empty()) return std::nullopt;
  Reply push = std::move(pushes_.front());
  pushes_.pop_front();
  return push;
}

bool Connection::is_closed_by_server() const {
  char byte = 0;
  const ssize_t peeked = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (peeked > 0) return false;
  return peeked == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

}  // namespace memento::cli
