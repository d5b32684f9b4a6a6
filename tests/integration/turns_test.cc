// Connections whose requests wait at the same time: a worker serves them in turns, stage by stage, and holds
// replies back behind brief requests. Whatever stands beside each other in those turns, each connection gets
// its own replies, whole and in order.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr std::size_t kLongBytes = 100'000;  // a reply of that many is not held back

struct Exchange {
  std::string sent;
  std::string expected;
  bool ends = false;    ///< the server closes behind the last reply
  bool leaves = false;  ///< the client closes without reading
};

// `index` tells the connections' keys from each other.
Exchange exchange(std::size_t index) {
  const std::string key = "own" + std::to_string(index);
  const std::string long_value(kLongBytes, 'v');
  Exchange exchange;
  const auto ask = [&](const std::string& line, const std::string& reply) {
    exchange.sent += line + "\n";
    exchange.expected += reply + "\r\n";
  };
  for (int i = 0; i < 70; ++i) {  // more than a batch
    const std::string value = std::to_string(index * 1000 + static_cast<std::size_t>(i));
    ask("SET " + key + " " + value, "OK");
    ask("GET " + key, value);
    switch (index % 8) {
      case 1:  // one that is not brief, now and then
        if (i % 20 == 7) ask("EXISTS " + key + " long nothing", "2");
        break;
      case 2:  // one long reply
        if (i == 50) ask("GET long", long_value);
        break;
      case 3:  // more than the output takes without a pause, and than the socket does
        if (i >= 40) ask("GET long", long_value);
        break;
      case 4:
        if (i == 60) {
          ask("QUIT", "OK");
          exchange.sent += "SET " + key + " late\n";
          exchange.ends = true;
          return exchange;
        }
        break;
      case 5:
        if (i % 30 == 2) ask("NOSUCHCOMMAND " + key, "(Unknown command)");
        break;
      default:
        break;
    }
  }
  if (index % 8 == 6) exchange.sent += "GET " + key;  // its line's end comes later
  exchange.leaves = index % 8 == 7;
  return exchange;
}

void send_all(const Fd& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(sent, 0);
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

// `count` bytes, or fewer when the connection ends before.
std::string receive(const Fd& socket, std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t got = 0;
  while (got < count) {
    const ssize_t received = ::recv(socket.get(), bytes.data() + got, count - got, 0);
    if (received <= 0) break;
    got += static_cast<std::size_t>(received);
  }
  bytes.resize(got);
  return bytes;
}

bool is_stopped(pid_t pid) {
  return read_file("/proc/" + std::to_string(pid) + "/stat").find(") T") != std::string::npos;
}

TEST(Turns, EachConnectionGetsItsOwnRepliesInOrder) {
  constexpr std::size_t kConnections = 56;  // more than a worker's turns
  TestServer server({"--workers", "1"});
  ASSERT_EQ(server.request("SET long " + std::string(kLongBytes, 'v')), "OK");
  const pid_t worker = server.workers(1)[0];
  std::vector<Exchange> exchanges;
  std::vector<Fd> sockets;
  for (std::size_t i = 0; i < kConnections; ++i) {
    exchanges.push_back(exchange(i));
    Result<Fd> socket = connect_tcp({"127.0.0.1", server.port()});
    ASSERT_TRUE(socket);
    sockets.push_back(std::move(*socket));
    send_all(sockets[i], "PING\n");  // served once: none is still to be accepted
    ASSERT_EQ(receive(sockets[i], 7), "+PONG\r\n");
  }
  kill(worker, SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));
  for (std::size_t i = 0; i < kConnections; ++i) {
    send_all(sockets[i], exchanges[i].sent);
    if (exchanges[i].leaves) sockets[i].reset();
  }
  kill(worker, SIGCONT);
  for (std::size_t i = 0; i < kConnections; ++i) {
    if (exchanges[i].leaves) continue;
    const std::string& expected = exchanges[i].expected;
    const std::string got = receive(sockets[i], expected.size());
    ASSERT_EQ(got.size(), expected.size()) << "connection " << i;
    ASSERT_TRUE(got == expected) << "connection " << i;
    if (exchanges[i].ends) {
      EXPECT_EQ(receive(sockets[i], 1), "");
    } else {
      send_all(sockets[i], "\nGET own" + std::to_string(i) + "\n");
      const std::string last = std::to_string(i * 1000 + 69) + "\r\n";
      const std::string twice = i % 8 == 6 ? last + last : last;
      EXPECT_EQ(receive(sockets[i], twice.size()), twice) << "connection " << i;
    }
  }
  // What a client sent before it left is executed, though nobody takes the replies.
  for (std::size_t i = 7; i < kConnections; i += 8)
    EXPECT_EQ(server.request("GET own" + std::to_string(i)), std::to_string(i * 1000 + 69));
  EXPECT_EQ(server.workers(1)[0], worker);
}

}  // namespace
}  // namespace memento::testing
