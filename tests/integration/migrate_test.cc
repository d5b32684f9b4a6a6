// MIGRATE between real servers, and to one that the test plays: what is moved, what stays, and that nobody
// but the client that asked waits.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "shm/os/fd.h"
#include "tests/integration/test_server.h"
#include "tests/resp_request.h"

namespace memento::testing {
namespace {

constexpr const char* kGoneMeanwhile =
    "-ERR a key was removed or expired, or somebody else moved it; what was sent of it is there";

std::string ask(Client& client, const std::string& line) {
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : reply.error().message;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

std::string migrate(const TestServer& target, const std::string& rest) {
  return "MIGRATE 127.0.0.1 " + std::to_string(target.port()) + " " + rest;
}

/// A client that speaks RESP, whose words may be empty, and gets replies of one line.
class RespClient {
 public:
  explicit RespClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = loopback(port);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void send(const std::vector<std::string>& words) {
    const std::string bytes = resp_request(words);
    EXPECT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  std::string read_line() {
    std::string line;
    char byte = 0;
    while (!line.ends_with("\r\n") && ::recv(socket_.get(), &byte, 1, 0) == 1) line += byte;
    return line.substr(0, line.find('\r'));
  }
  std::string ask(const std::vector<std::string>& words) { return send(words), read_line(); }

 private:
  Fd socket_;
};

/// A server that is played: it takes one connection.
class PlayedServer {
 public:
  PlayedServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    socklen_t size = sizeof address;
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  std::string port() const { return std::to_string(port_); }
  void accept() { client_ = Fd(::accept(listener_.get(), nullptr, nullptr)); }
  /// Reads until what it has read since then ends so.
  std::string read_until(const std::string& end) {
    std::string got;
    char byte = 0;
    while (!got.ends_with(end) && ::recv(client_.get(), &byte, 1, 0) == 1) got += byte;
    return got;
  }
  void say(const std::string& bytes) {
    EXPECT_EQ(::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void hang_up() { client_.reset(); }

 private:
  Fd listener_;
  Fd client_;
  std::uint16_t port_ = 0;
};

// Shows that keys go with their expiry into the database that is named, that COPY leaves them, and that what
// is in the way, or not there, is said and left.
TEST(Migrate, BetweenServers) {
  TestServer from({"--workers", "2"});
  TestServer to({"--workers", "1"});
  Client client = from.connect();
  Client other = to.connect();
  ask(client, "MSET a 1 b 2");
  ask(client, "SETEX c 1000 three");
  EXPECT_EQ(ask(client, migrate(to, "a 3 5000")), "OK");
  EXPECT_EQ(ask(client, "GET a"), "(null)");
  EXPECT_EQ(ask(other, "SELECT 3"), "OK");
  EXPECT_EQ(ask(other, "GET a"), "1");
  EXPECT_EQ(ask(client, migrate(to, "c 3 5000 COPY")), "OK");
  EXPECT_EQ(ask(client, "GET c"), "three");
  const int seconds = std::stoi(ask(other, "TTL c"));
  EXPECT_GT(seconds, 900);
  EXPECT_LE(seconds, 1000);
  EXPECT_EQ(ask(client, migrate(to, "c 3 5000")),
            "(error) Target instance replied with error: BUSYKEY Target key name already exists.");
  EXPECT_EQ(ask(client, "GET c"), "three");
  EXPECT_EQ(ask(client, migrate(to, "c 3 5000 REPLACE")), "OK");
  EXPECT_EQ(ask(client, "EXISTS c"), "0");
  EXPECT_EQ(ask(client, migrate(to, "nothing 3 5000")), "NOKEY");
  EXPECT_EQ(ask(client, migrate(to, "b 99 5000")).find("(error) Target instance replied with error:"), 0u);
  EXPECT_EQ(ask(client, "GET b"), "2");
  EXPECT_EQ(ask(client, "MIGRATE 127.0.0.1 x b 0 1"), "(error) value is not an integer or out of range");
  ask(client, "MULTI");
  EXPECT_NE(ask(client, migrate(to, "b 3 5000")).find("not allowed inside a transaction"), std::string::npos);
  ask(client, "DISCARD");
}

// Shows many keys at once, with a password, over a name that has to be resolved, from a database that was
// selected.
TEST(Migrate, ManyKeysWithAPassword) {
  TestServer from({"--workers", "2"});
  TestServer to({"--workers", "2", "--requirepass", "secret"});
  RespClient client(from.port());
  EXPECT_EQ(client.ask({"SELECT", "2"}), "+OK");
  const std::string port = std::to_string(to.port());
  std::vector<std::string> words{"MIGRATE", "localhost", port, "", "5", "10000", "KEYS", "missing"};
  for (std::size_t i = 0; i < 500; ++i) {
    words.push_back("key:" + std::to_string(i));
    ASSERT_EQ(client.ask({"SET", words.back(), std::string(i * 40, 'v')}), "+OK");
  }
  const std::string refused = client.ask(words);
  EXPECT_TRUE(refused.starts_with("-ERR Target instance replied with error: NOAUTH")) << refused;
  EXPECT_EQ(client.ask({"DBSIZE"}), ":500");
  words.insert(words.begin() + 6, {"AUTH", "secret"});
  EXPECT_EQ(client.ask(words), "+OK");
  EXPECT_EQ(client.ask({"DBSIZE"}), ":0");
  Client other = to.connect();
  EXPECT_EQ(ask(other, "AUTH secret"), "OK");
  EXPECT_EQ(ask(other, "SELECT 5"), "OK");
  EXPECT_EQ(ask(other, "DBSIZE"), "500");
  EXPECT_EQ(ask(other, "STRLEN key:499"), std::to_string(499 * 40));
}

// Shows that a server which takes the connection and is silent costs its time, of the client that asked only,
// and that the key stays; likewise one that hangs up, and one that is not there.
TEST(Migrate, NobodyElseWaits) {
  TestServer from({"--workers", "1"});
  PlayedServer silent;
  Client client = from.connect();
  Client other = from.connect();
  ask(client, "SET a 1");
  ASSERT_TRUE(client.send_line("MIGRATE 127.0.0.1 " + silent.port() + " a 0 60000"));
  silent.accept();
  silent.read_until("SELECT\r\n$1\r\n0\r\n");
  for (int i = 0; i < 100; ++i) ASSERT_EQ(ask(other, "PING x"), "x");
  silent.hang_up();
  EXPECT_EQ(*client.read_reply(), "(error) IOERR error or timeout reading from target instance");
  EXPECT_EQ(ask(client, "GET a"), "1");
  PlayedServer deaf;
  EXPECT_EQ(ask(client, "MIGRATE 127.0.0.1 " + deaf.port() + " a 0 50"),
            "(error) IOERR error or timeout reading from target instance");
  const ReservedPort nobody;
  EXPECT_EQ(ask(client, "MIGRATE 127.0.0.1 " + std::to_string(nobody.number()) + " a 0 5000"),
            "(error) IOERR error or timeout connecting to the client");
  EXPECT_EQ(ask(client, "GET a"), "1");
}

// Shows that a key which was changed while the other server had not answered yet goes once more, as it is
// now, and only then is removed here; and that one which was removed stays there, which is said.
TEST(Migrate, ChangesMeanwhileAreNotLost) {
  TestServer from({"--workers", "1"});
  PlayedServer to;
  RespClient client(from.port());
  Client other = from.connect();
  ask(other, "MSET a one b two");
  client.send({"MIGRATE", "127.0.0.1", to.port(), "", "0", "60000", "KEYS", "a", "b"});
  to.accept();
  to.read_until("SELECT\r\n$1\r\n0\r\n");
  to.read_until("\r\na\r\n");
  to.read_until("\r\nb\r\n");
  EXPECT_EQ(ask(other, "SET a changed"), "OK");
  EXPECT_EQ(ask(other, "DEL b"), "1");
  to.say("+OK\r\n+OK\r\n+OK\r\n");
  to.read_until("\r\na\r\n");
  EXPECT_NE(to.read_until("\r\nREPLACE\r\n").find("changed"), std::string::npos);
  EXPECT_EQ(ask(other, "GET a"), "changed");
  to.say("+OK\r\n");
  EXPECT_EQ(client.read_line(), kGoneMeanwhile);
  EXPECT_EQ(ask(other, "EXISTS a b"), "0");
  EXPECT_EQ(to.read_until("nothing more"), "");
}

// Shows that a key which is named twice is sent once, and moved.
TEST(Migrate, AKeyNamedTwice) {
  TestServer from({"--workers", "1"});
  TestServer to({"--workers", "1"});
  RespClient client(from.port());
  EXPECT_EQ(client.ask({"SET", "dup", "1"}), "+OK");
  EXPECT_EQ(client.ask({"MIGRATE", "127.0.0.1", std::to_string(to.port()), "", "0", "5000", "REPLACE", "KEYS",
                        "dup", "other", "dup"}),
            "+OK");
  EXPECT_EQ(client.ask({"EXISTS", "dup"}), ":0");
  Client other = to.connect();
  EXPECT_EQ(ask(other, "GET dup"), "1");
}

// Shows that of two clients which move the same key at the same time one is told that it is gone, and that
// neither has it removed at the other server.
TEST(Migrate, TwoMoveTheSameKey) {
  TestServer from({"--workers", "1"});
  PlayedServer first_to;
  PlayedServer second_to;
  RespClient first(from.port());
  RespClient second(from.port());
  EXPECT_EQ(first.ask({"SET", "a", "1"}), "+OK");
  first.send({"MIGRATE", "127.0.0.1", first_to.port(), "a", "0", "60000", "REPLACE"});
  second.send({"MIGRATE", "127.0.0.1", second_to.port(), "a", "0", "60000", "REPLACE"});
  first_to.accept();
  second_to.accept();
  first_to.read_until("\r\nREPLACE\r\n");
  second_to.read_until("\r\nREPLACE\r\n");
  first_to.say("+OK\r\n+OK\r\n");
  EXPECT_EQ(first.read_line(), "+OK");
  EXPECT_EQ(first.ask({"EXISTS", "a"}), ":0");
  second_to.say("+OK\r\n+OK\r\n");
  EXPECT_EQ(second.read_line(), kGoneMeanwhile);
  EXPECT_EQ(first_to.read_until("nothing more"), "");
  EXPECT_EQ(second_to.read_until("nothing more"), "");
}

// Shows that a client which leaves while its keys are under way takes nothing along.
TEST(Migrate, TheClientLeaves) {
  TestServer from({"--workers", "1"});
  PlayedServer to;
  Client other = from.connect();
  ask(other, "SET a 1");
  {
    Client client = from.connect();
    ASSERT_TRUE(client.send_line("MIGRATE 127.0.0.1 " + to.port() + " a 0 60000"));
    to.accept();
    to.read_until("SELECT\r\n$1\r\n0\r\n");
  }
  to.read_until("never said");  // until the server hangs up
  EXPECT_EQ(ask(other, "GET a"), "1");
}

}  // namespace
}  // namespace memento::testing
