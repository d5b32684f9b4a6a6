// See fake_server.h.
#include "tests/cli/fake_server.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>

#include "worker/wire/resp_codec.h"

namespace memento::testing {

std::string bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

FakeServer::FakeServer(Answer answer)
    : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(listener_.get(), 16), 0);
  EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_until_closed(); });
}

FakeServer::~FakeServer() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
  for (const int socket : sockets_) ::close(socket);
}

void FakeServer::accept_until_closed() {
  for (;;) {
    const int socket = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket] {
      serve(socket);
      ::shutdown(socket, SHUT_RDWR);
    });
  }
}

void FakeServer::serve(int socket) const {
  constexpr RespLimits kLimits{
      .arguments = 1000, .bulk_bytes = 1 << 20, .request_bytes = 1 << 20, .is_authenticated = true};
  RespParser parser;
  std::string input;
  char bytes[4096];
  for (ssize_t got = 0; (got = ::recv(socket, bytes, sizeof bytes, 0)) > 0;) {
    input.append(bytes, static_cast<std::size_t>(got));
    for (;;) {
      Arguments words;
      std::deque<std::string> unquoted;
      std::size_t taken = 0;
      if (parser.parse(input, kLimits, &words, &taken, &unquoted) != RespParser::Outcome::kRequest) break;
      std::string request;
      for (const std::string_view word : words) request.append(request.empty() ? "" : " ").append(word);
      for (char& c : request) c = static_cast<char>(std::toupper(c));
      const std::string reply = answer_(request);
      if (reply.empty()) return;
      ::send(socket, reply.data(), reply.size(), MSG_NOSIGNAL);
      input.erase(0, taken);
    }
  }
}

}  // namespace memento::testing
