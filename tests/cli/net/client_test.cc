// The client connection against a small fake server: a thread on a socket pair's other end that sends
// prepared bytes. No network and no memento server take part, but for connect_tcp to a port nobody listens
// on.
#include "cli/net/client.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/modes/session.h"

namespace memento {
namespace {

/// A client whose server is `serve`, run in a thread; the server's end closes when serve returns.
class FakeServer {
 public:
  explicit FakeServer(std::function<void(int)> serve) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    client_end_ = Fd(ends[0]);
    thread_ = std::jthread([serve = std::move(serve), end = Fd(ends[1])] { serve(end.get()); });
  }

  Fd take_client_end() { return std::move(client_end_); }

 private:
  Fd client_end_;
  std::jthread thread_;
};

void send_bytes(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string receive_bytes(int socket, std::size_t wanted_size) {
  std::string bytes(wanted_size, '\0');
  const ssize_t received = ::recv(socket, bytes.data(), wanted_size, MSG_WAITALL);
  bytes.resize(static_cast<std::size_t>(received > 0 ? received : 0));
  return bytes;
}

// Shows that replies come out whole and in order wherever the stream is cut: one cut at each byte, the second
// piece sent only once the first was received.
TEST(Client, RepliesCutAtEachByte) {
  const std::string stream = "OK\r\n\r\na\nb\nc\r\nx\ry\r\n";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    FakeServer server([&stream, cut](int socket) {
      send_bytes(socket, std::string_view(stream).substr(0, cut));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      send_bytes(socket, std::string_view(stream).substr(cut));
    });
    Client client(server.take_client_end());
    for (const std::string expected : {"OK", "", "a\nb\nc", "x\ry"}) {
      const Result<std::string> reply = client.read_reply();
      ASSERT_TRUE(reply) << "cut at " << cut;
      EXPECT_EQ(*reply, expected) << "cut at " << cut;
    }
  }
}

// Shows that a reply whose end never comes is an error, however much of it came.
TEST(Client, CutOffReplyIsAnError) {
  for (const std::string part : {"", "O", "OK", "OK\r", "OK\n"}) {
    FakeServer server([part](int socket) { send_bytes(socket, part); });
    Client client(server.take_client_end());
    const Result<std::string> reply = client.read_reply();
    ASSERT_FALSE(reply) << "after '" << part << "'";
    EXPECT_NE(reply.error().message.find("closed"), std::string::npos);
    EXPECT_EQ(reply.error().message.find("middle") != std::string::npos, !part.empty());
  }
}

// Shows that the reply before a cut-off one still arrives.
TEST(Client, WholeReplyBeforeCutOff) {
  FakeServer server([](int socket) { send_bytes(socket, "first\r\nsec"); });
  Client client(server.take_client_end());
  const Result<std::string> first = client.read_reply();
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, "first");
  EXPECT_FALSE(client.read_reply());
}

// Shows that the buffer grows: an 8 MiB reply between two small ones.
TEST(Client, LargeReply) {
  const std::string large(8U << 20U, 'v');
  FakeServer server([&large](int socket) { send_bytes(socket, "a\r\n" + large + "\r\nb\r\n"); });
  Client client(server.take_client_end());
  for (const std::string& expected : {std::string("a"), large, std::string("b")}) {
    const Result<std::string> reply = client.read_reply();
    ASSERT_TRUE(reply);
    EXPECT_TRUE(*reply == expected);
  }
}

// Shows that a request goes out as one line, and its reply comes back.
TEST(Client, RequestIsOneLine) {
  FakeServer server([](int socket) {
    const std::string line = receive_bytes(socket, 6);
    send_bytes(socket, line == "GET a\n" ? "good\r\n" : "bad\r\n");
  });
  Client client(server.take_client_end());
  const Result<std::string> reply = client.request("GET a");
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, "good");
}

// Shows that sending does not deadlock with a server that reads nothing before its own replies are taken: it
// first sends 4 MiB, more than the socket holds, while the client sends as much.
TEST(Client, SendingTakesInReplies) {
  const std::string large(4U << 20U, 'v');
  FakeServer server([&large](int socket) {
    send_bytes(socket, large + "\r\n");
    receive_bytes(socket, large.size() + 1);
    send_bytes(socket, "OK\r\n");
  });
  Client client(server.take_client_end());
  ASSERT_TRUE(client.send_line(large));
  const Result<std::string> first = client.read_reply();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size(), large.size());
  const Result<std::string> second = client.read_reply();
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, "OK");
}

// Shows that a connection the server closed is noticed before a command is sent into it.
TEST(Client, NoticesClosedConnection) {
  Client client = [] {
    FakeServer server([](int) {});
    return Client(server.take_client_end());
  }();  // the server's thread is joined here
  EXPECT_TRUE(client.is_closed_by_server());

  FakeServer open_server([](int socket) { receive_bytes(socket, 2); });
  Client open_client(open_server.take_client_end());
  EXPECT_FALSE(open_client.is_closed_by_server());
  EXPECT_TRUE(open_client.send_line("x"));
}

// Shows that a refused connection is an error that names the address: the port is one just bound and let go.
TEST(Client, RefusedConnectionNamesAddress) {
  const Fd bound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t address_size = sizeof address;
  ASSERT_EQ(::bind(bound.get(), reinterpret_cast<sockaddr*>(&address), address_size), 0);
  ASSERT_EQ(::getsockname(bound.get(), reinterpret_cast<sockaddr*>(&address), &address_size), 0);
  // Bound but not listening: nobody else can take the port, and connecting is refused.
  const Address server{"127.0.0.1", ntohs(address.sin_port)};
  const Result<Client> client = Client::connect(server);
  ASSERT_FALSE(client);
  EXPECT_NE(client.error().message.find(server.to_string()), std::string::npos);
}

TEST(Client, AddressText) {
  EXPECT_EQ((Address{"localhost", 6737}.to_string()), "localhost:6737");
  EXPECT_EQ((Address{"::1", 6737}.to_string()), "[::1]:6737");
}

// Shows which replies make memento-cli exit with 1.
TEST(Client, ErrorReplies) {
  for (const char* reply : {"(error) wrong number of arguments", "(Unknown command)", "(Out of memory)"}) {
    EXPECT_TRUE(is_error_reply(reply)) << reply;
  }
  for (const char* reply : {"OK", "(null)", "", "12", "error"}) EXPECT_FALSE(is_error_reply(reply)) << reply;
}

// Shows what a typed line becomes: blanks before it go, those in and after a value stay, help is the server's
// HELP.
TEST(Session, RequestOfLine) {
  using cli::is_quit;
  using cli::request_of;
  EXPECT_EQ(request_of("  SET a  b "), "SET a  b ");
  EXPECT_EQ(request_of("GET a\r"), "GET a");
  EXPECT_EQ(request_of("Help "), "HELP");
  EXPECT_EQ(request_of("SET help help"), "SET help help");
  EXPECT_EQ(request_of(" \t\r"), "");
  EXPECT_TRUE(is_quit("Quit"));
  EXPECT_TRUE(is_quit("exit "));
  EXPECT_FALSE(is_quit("QUITE"));
}

}  // namespace
}  // namespace memento
