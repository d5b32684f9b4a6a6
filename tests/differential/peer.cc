// See peer.h.
#include "tests/differential/peer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "tests/resp_request.h"

namespace memento::testing {

Peer::Peer(std::string name, std::uint16_t port) : name_(std::move(name)) {
  Result<Fd> socket = connect_tcp({"127.0.0.1", port});
  if (!socket) {
    ADD_FAILURE() << name_ << ": " << socket.error().message;
  } else {
    socket_ = std::move(*socket);
  }
}

std::vector<std::string> Peer::ask(const std::vector<Words>& requests) {
  std::vector<std::string> replies;
  talk(requests, [&](std::string reply) {
    replies.push_back(std::move(reply));
    return replies.size() < requests.size();
  });
  return replies;
}

std::optional<std::vector<std::string>> Peer::ask_until(const std::vector<Words>& requests,
                                                        const std::string& marker) {
  std::vector<Words> all = requests;
  all.push_back({"PING", marker});
  const std::string end = "$" + std::to_string(marker.size()) + "\r\n" + marker + "\r\n";
  std::vector<std::string> replies;
  bool ended = false;
  talk(all, [&](std::string reply) {
    ended = reply == end || reply == "*2\r\n$4\r\npong\r\n" + end;
    if (!ended) replies.push_back(std::move(reply));
    return !ended;
  });
  if (!ended) return std::nullopt;
  return replies;
}

void Peer::talk(const std::vector<Words>& requests, const std::function<bool(std::string)>& take) {
  std::string bytes;
  for (const Words& words : requests) bytes += resp_request(words);
  std::size_t sent = 0;
  std::size_t begin = 0;
  std::array<char, 65536> room;
  for (bool goes_on = true; goes_on;) {
    pollfd wait{socket_.get(), static_cast<short>(sent < bytes.size() ? POLLIN | POLLOUT : POLLIN), 0};
    if (poll(&wait, 1, -1) < 0) break;
    if ((wait.revents & POLLOUT) != 0) {
      const ssize_t count =
          ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count > 0) sent += static_cast<std::size_t>(count);
    }
    if ((wait.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    const ssize_t count = ::recv(socket_.get(), room.data(), room.size(), 0);
    if (count <= 0) break;
    received_.append(room.data(), static_cast<std::size_t>(count));
    for (std::size_t length = 0; goes_on && (length = reply_bytes(begin)) > 0; begin += length) {
      goes_on = take(received_.substr(begin, length));
    }
  }
  received_.erase(0, begin);
}

std::size_t Peer::reply_bytes(std::size_t begin) const {
  const std::size_t line_end = received_.find("\r\n", begin);
  if (line_end == std::string::npos) return 0;
  std::size_t end = line_end + 2;
  const char type = received_[begin];
  const long number = std::strtol(received_.c_str() + begin + 1, nullptr, 10);
  if ((type == '$' || type == '=') && number >= 0) {
    end += static_cast<std::size_t>(number) + 2;
  } else if (type == '*' || type == '%' || type == '~' || type == '>') {
    for (long left = type == '%' ? 2 * number : number; left > 0; --left) {
      const std::size_t element = end < received_.size() ? reply_bytes(end) : 0;
      if (element == 0) return 0;
      end += element;
    }
  }
  return end <= received_.size() ? end - begin : 0;
}

RedisServer::RedisServer() {
  const std::string port = std::to_string(port_.number());
  process_ = fork();
  if (process_ == 0) {
    dup2(open((folder_.path() + "/log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
    execl("/usr/bin/redis-server", "redis-server", "--port", port.c_str(), "--bind", "127.0.0.1", "--save",
          "", "--appendonly", "no", "--enable-debug-command", "yes", "--dir", folder_.path().c_str(),
          "--proto-max-bulk-len", "1048576", static_cast<char*>(nullptr));
    _exit(127);
  }
  const bool accepts = wait_until([&] {
    if (waitpid(process_, nullptr, WNOHANG) == process_) return process_ = 0, true;
    return static_cast<bool>(connect_tcp({"127.0.0.1", port_.number()}));
  });
  if (!accepts || process_ == 0)
    ADD_FAILURE() << "redis-server does not run:\n" << read_file(folder_.path() + "/log");
}

RedisServer::~RedisServer() {
  if (process_ <= 0) return;
  kill(process_, SIGTERM);
  waitpid(process_, nullptr, 0);
}

}  // namespace memento::testing
