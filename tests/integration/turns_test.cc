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
#include "tests/resp_request.h"

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

constexpr std::size_t kConnections = 56;  // more than a worker's turns

// Connections that were served once: none is still to be accepted.
std::vector<Fd> connect_all(const TestServer& server) {
  std::vector<Fd> sockets;
  for (std::size_t i = 0; i < kConnections; ++i) {
    Result<Fd> socket = connect_tcp({"127.0.0.1", server.port()});
    EXPECT_TRUE(socket);
    if (!socket) return {};
    sockets.push_back(std::move(*socket));
    send_all(sockets[i], "PING\n");
    EXPECT_EQ(receive(sockets[i], 7), "+PONG\r\n");
  }
  return sockets;
}

void stop(pid_t worker) {
  kill(worker, SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));
}

TEST(Turns, EachConnectionGetsItsOwnRepliesInOrder) {
  TestServer server({"--workers", "1"});
  ASSERT_EQ(server.request("SET long " + std::string(kLongBytes, 'v')), "OK");
  const pid_t worker = server.workers(1)[0];
  std::vector<Exchange> exchanges;
  for (std::size_t i = 0; i < kConnections; ++i) exchanges.push_back(exchange(i));
  std::vector<Fd> sockets = connect_all(server);
  ASSERT_EQ(sockets.size(), kConnections);
  stop(worker);
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

// A figure of INFO.
std::uint64_t figure(const TestServer& server, const std::string& section, const std::string& name) {
  const std::string info = server.request("INFO " + section);
  const std::size_t at = info.find(name);
  return at == std::string::npos ? 0 : std::stoull(info.substr(at + name.size()));
}

// Brief requests beside transactions, refused replies and errors, all waiting at once: whatever stands beside
// each other in the turns, INFO counts each command, hit, miss and error once.
TEST(Turns, FiguresAreExact) {
  TestServer server({"--workers", "1"});
  const pid_t worker = server.workers(1)[0];
  std::vector<Fd> sockets = connect_all(server);
  ASSERT_EQ(sockets.size(), kConnections);
  struct Figures {
    std::uint64_t commands, hits, misses, errors, gets, sets, failed;
  };
  const auto figures = [&] {
    return Figures{figure(server, "stats", "total_commands_processed:"),
                   figure(server, "stats", "keyspace_hits:"),
                   figure(server, "stats", "keyspace_misses:"),
                   figure(server, "stats", "total_error_replies:"),
                   figure(server, "commandstats", "cmdstat_get:calls="),
                   figure(server, "commandstats", "cmdstat_set:calls="),
                   figure(server, "errorstats", "errorstat_ERR:count=")};
  };
  const std::uint64_t asked = server.request("INFO stats").empty() ? 0 : 7;  // by one look at the figures
  const Figures before = figures();
  stop(worker);
  std::vector<std::string> expected(kConnections);
  Figures added{asked, 0, 0, 0, 0, 0, 0};
  for (std::size_t i = 0; i < kConnections; ++i) {
    const std::string key = "own" + std::to_string(i);
    std::string sent = "SET " + key + " 1\nGET " + key + "\nGET none\n";
    expected[i] = "OK\r\n1\r\n(null)\r\n";
    added.commands += 3, ++added.sets, added.gets += 2, ++added.hits, ++added.misses;
    switch (i % 5) {
      case 1:
        sent += "WATCH " + key + "\nSET " + key + " 2\nMULTI\nGET " + key + "\nEXEC\n";
        expected[i] += "OK\r\nOK\r\nOK\r\nQUEUED\r\n(null)\r\n";
        added.commands += 5, ++added.sets;
        break;
      case 2:
        sent += "MULTI\nGET " + key + "\nSET " + key + " 2\nEXEC\nGET " + key + "\n";
        expected[i] += "OK\r\nQUEUED\r\nQUEUED\r\n1\nOK\r\n2\r\n";
        added.commands += 5, ++added.sets, added.gets += 2, added.hits += 2;
        break;
      case 3:
        sent += "CLIENT REPLY SKIP\nSET " + key + " 3\nGET " + key + "\n";
        expected[i] += "3\r\n";
        added.commands += 3, ++added.sets, ++added.gets, ++added.hits;
        break;
      case 4:
        sent += "SET " + key + " text\nINCR " + key + "\nGET " + key + "\n";
        expected[i] += "OK\r\n(error) value is not an integer or out of range\r\ntext\r\n";
        added.commands += 3, ++added.sets, ++added.gets, ++added.hits, ++added.errors, ++added.failed;
        break;
      default:
        break;
    }
    send_all(sockets[i], sent);
  }
  kill(worker, SIGCONT);
  for (std::size_t i = 0; i < kConnections; ++i)
    EXPECT_EQ(receive(sockets[i], expected[i].size()), expected[i]) << "connection " << i;
  const Figures after = figures();
  EXPECT_EQ(after.commands - before.commands, added.commands);
  EXPECT_EQ(after.hits - before.hits, added.hits);
  EXPECT_EQ(after.misses - before.misses, added.misses);
  EXPECT_EQ(after.errors - before.errors, added.errors);
  EXPECT_EQ(after.gets - before.gets, added.gets);
  EXPECT_EQ(after.sets - before.sets, added.sets);
  EXPECT_EQ(after.failed - before.failed, added.failed);
}

std::string frame(const std::vector<std::string>& words) { return resp_request(words); }

// All up to the reply to a PING.
std::string receive_to_pong(const Fd& socket) {
  send_all(socket, frame({"PING"}));
  std::string bytes;
  while (!bytes.ends_with("PONG\r\n") && !bytes.ends_with("pong\r\n$0\r\n\r\n")) {
    const std::string byte = receive(socket, 1);
    if (byte.empty()) break;
    bytes += byte;
  }
  return bytes;
}

// A client that tracks what it has read is told once of each key that others' turns change, and one that
// listens to the keyspace's events of each change.
TEST(Turns, ChangesAreTold) {
  TestServer server({"--workers", "1"});
  ASSERT_EQ(server.request("CONFIG SET notify-keyspace-events E$"), "OK");
  const pid_t worker = server.workers(1)[0];
  std::vector<Fd> sockets = connect_all(server);
  ASSERT_EQ(sockets.size(), kConnections);
  const Fd& cache = sockets[0];
  const Fd& listener = sockets[1];
  send_all(cache, frame({"HELLO", "3"}) + frame({"CLIENT", "TRACKING", "ON"}));
  for (std::size_t i = 2; i < kConnections; ++i) send_all(cache, frame({"GET", "own" + std::to_string(i)}));
  send_all(listener, frame({"SUBSCRIBE", "__keyevent@0__:set"}));
  receive_to_pong(cache);
  receive_to_pong(listener);
  stop(worker);
  for (std::size_t i = 2; i < kConnections; ++i) {
    const std::string key = "own" + std::to_string(i);
    send_all(sockets[i], "SET " + key + " 1\nGET " + key + "\n" + (i % 3 == 0 ? "EXISTS a b\n" : "") +
                             "SET " + key + " 2\n");
  }
  kill(worker, SIGCONT);
  for (std::size_t i = 2; i < kConnections; ++i) {
    const std::string expected = i % 3 == 0 ? "OK\r\n1\r\n0\r\nOK\r\n" : "OK\r\n1\r\nOK\r\n";
    EXPECT_EQ(receive(sockets[i], expected.size()), expected) << "connection " << i;
  }
  const std::string invalidated = receive_to_pong(cache);
  const std::string events = receive_to_pong(listener);
  for (std::size_t i = 2; i < kConnections; ++i) {
    const std::string key = "own" + std::to_string(i);
    const std::string shown = "$" + std::to_string(key.size()) + "\r\n" + key + "\r\n";
    EXPECT_EQ(count_in(invalidated, shown), 1u) << key;
    EXPECT_EQ(count_in(events, shown), 2u) << key;
  }
}

}  // namespace
}  // namespace memento::testing
