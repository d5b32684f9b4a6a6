// Connections that want more than their share: of a worker's time, of its descriptors, of its memory.
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/differential/peer.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

Fd connect_raw(const TestServer& server) {
  Result<Fd> socket = connect_tcp({"127.0.0.1", server.port()});
  EXPECT_TRUE(socket);
  return socket ? std::move(*socket) : Fd();
}

void send_all(const Fd& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(sent, 0);
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

// Adds what comes to `*text`; false when nothing comes any more, or (MSG_DONTWAIT) has come yet.
bool receive(const Fd& socket, std::string* text, int flags = 0) {
  char bytes[4096];
  const ssize_t received = ::recv(socket.get(), bytes, sizeof bytes, flags);
  if (received > 0) text->append(bytes, static_cast<std::size_t>(received));
  return received > 0;
}

// All until the server closes.
std::string receive_all(const Fd& socket) {
  std::string text;
  while (receive(socket, &text)) {
  }
  return text;
}

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

std::size_t descriptors_of(pid_t pid) {
  DIR* const folder = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  if (folder == nullptr) return 0;
  std::size_t count = 0;
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

std::size_t memory_bytes_of(pid_t pid) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = text.find("RssAnon:");
  return at == std::string::npos ? 0 : std::stoull(text.substr(at + 8)) * 1024;
}

// Shows that who sends many requests that each take long is answered in turns, others in between, and that
// TERM does not wait for the rest.
TEST(HostileConnections, ManyLongRequests) {
  constexpr std::size_t kRequests = 2000;  // about a hundredth of a second each
  TestServer server({"--workers", "1", "--memory", "512MiB"});
  ASSERT_EQ(server.request("SETBIT long 1600000000 1"), "0");
  const Fd greedy = connect_raw(server);
  std::string requests;
  for (std::size_t i = 0; i < kRequests; ++i) requests += "BITCOUNT long\n";
  send_all(greedy, requests);
  std::string replies;
  ASSERT_TRUE(receive(greedy, &replies));
  EXPECT_EQ(server.request("PING"), "+PONG");
  while (receive(greedy, &replies, MSG_DONTWAIT)) {
  }
  EXPECT_LT(lines_in(replies), kRequests);
  EXPECT_EQ(server.stop(), 0);
  replies += receive_all(greedy);
  EXPECT_LT(lines_in(replies), kRequests);
  EXPECT_EQ(replies.substr(0, 6), "1\r\n1\r\n");
}

// Shows that clients that are refused and stay are closed, whatever they said, and that the next ones are
// told why too.
TEST(HostileConnections, RefusedOnesThatStay) {
  TestServer server({"--workers", "1", "--max-clients", "1"});
  Client served = server.connect();
  ASSERT_TRUE(wait_until([&] {  // the connection before it may not be seen as closed yet
    const Result<std::string> reply = served.request("ECHO here");
    const bool is_served = reply && *reply == "here";
    if (!is_served) served = server.connect();
    return is_served;
  }));
  const pid_t worker = server.workers(1)[0];
  const std::size_t before = descriptors_of(worker);
  std::vector<Fd> refused;
  for (int i = 0; i < 300; ++i) {
    refused.push_back(connect_raw(server));
    if (i % 3 == 1) send_all(refused.back(), "PING\n");
    if (i % 3 == 2) send_all(refused.back(), "*1\r\n$4\r\nPING\r\n");
  }
  for (std::size_t i = 0; i < refused.size(); ++i) {
    const std::string told = receive_all(refused[i]);
    if (i % 3 == 0) {
      EXPECT_EQ(told, "(error) too many clients; see max-clients\r\n");
    } else {
      EXPECT_TRUE(told.empty() || told.find("clients") != std::string::npos) << told;
    }
  }
  EXPECT_TRUE(wait_until([&] { return descriptors_of(worker) == before; }));
  EXPECT_EQ(*served.request("ECHO served"), "served");
}

// Shows that clients whose input made no sense, and who stay, are closed.
TEST(HostileConnections, BrokenOnesThatStay) {
  TestServer server({"--workers", "1"});
  const pid_t worker = server.workers(1)[0];
  ASSERT_EQ(server.request("ECHO here"), "here");
  std::vector<Fd> broken;
  for (int i = 0; i < 20; ++i) {
    broken.push_back(connect_raw(server));
    send_all(broken.back(), "*1\r\nwrong\r\n");
    EXPECT_EQ(receive_all(broken.back()).substr(0, 20), "-ERR Protocol error:");
  }
  EXPECT_TRUE(wait_until([&] { return descriptors_of(worker) < 20; }));
}

// Shows that a worker without descriptors says so once, and serves those who waited when others have left.
TEST(HostileConnections, NoDescriptorsLeft) {
  TestServer server({"--workers", "1"});
  const pid_t worker = server.workers(1)[0];
  const rlimit limit{descriptors_of(worker) + 20, 4096};
  ASSERT_EQ(prlimit(worker, RLIMIT_NOFILE, &limit, nullptr), 0);
  std::vector<Fd> many;
  for (int i = 0; i < 80; ++i) many.push_back(connect_raw(server));
  const auto log_lines = [&] {
    std::size_t count = 0;
    const std::string log = server.log();
    for (std::size_t at = 0; (at = log.find("accept4", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  ASSERT_TRUE(wait_until([&] { return log_lines() > 0; })) << server.log();
  EXPECT_NE(server.log().find("ulimit -n"), std::string::npos) << server.log();
  send_all(many.back(), "ECHO waited\n");
  many.erase(many.begin(), many.begin() + 70);
  std::string reply;
  ASSERT_TRUE(receive(many.back(), &reply));
  EXPECT_EQ(reply, "waited\r\n");
  EXPECT_EQ(log_lines(), 1u) << server.log();
}

// How many of the server's connections TCP asks now and then whether their client is there.
std::size_t kept_alive(const TestServer& server) {
  char local[16];
  std::snprintf(local, sizeof local, ":%04X", server.port());
  std::istringstream rows(read_file("/proc/net/tcp"));
  std::size_t count = 0;
  for (std::string row; std::getline(rows, row);) {
    std::istringstream fields(row);
    std::string number, own, peer, state, queues, timer;
    fields >> number >> own >> peer >> state >> queues >> timer;
    if (own.ends_with(local) && state == "01" && timer.starts_with("02:")) ++count;
  }
  return count;
}

// Shows that clients that vanish without a word are found out, unless that is switched off.
TEST(HostileConnections, VanishedOnes) {
  TestServer server({"--workers", "1", "--tcp-keepalive", "100"});
  Client first = server.connect();
  EXPECT_EQ(*first.request("ECHO here"), "here");
  EXPECT_TRUE(wait_until([&] { return kept_alive(server) == 1; }));
  EXPECT_EQ(*first.request("CONFIG GET tcp-keepalive"), "tcp-keepalive: 100");
  EXPECT_EQ(*first.request("CONFIG SET tcp-keepalive 0"), "OK");
  Client second = server.connect();
  EXPECT_EQ(*second.request("ECHO here"), "here");
  EXPECT_TRUE(wait_until([&] { return kept_alive(server) == 1; }));
}

// Shows that those who have not given the password make the server keep little, in either protocol.
TEST(HostileConnections, ManyStrangers) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer keeps what is freed";
#endif
  TestServer server({"--workers", "1", "--requirepass", "secret"});
  const pid_t worker = server.workers(1)[0];
  const std::size_t before = memory_bytes_of(worker);
  std::vector<Fd> strangers;
  for (int i = 0; i < 500; ++i) {
    strangers.push_back(connect_raw(server));
    // What it refuses it does not read to its end.
    const std::string many =
        i % 2 == 0 ? "AUTH " + std::string(1'000'000, 'x') : "*3\r\n$16384\r\n" + std::string(1'000'000, 'x');
    [[maybe_unused]] const ssize_t sent =
        ::send(strangers.back().get(), many.data(), many.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  for (int i = 0; i < 500; ++i) {
    std::string told;
    ASSERT_TRUE(receive(strangers[static_cast<std::size_t>(i)], &told)) << i;
    EXPECT_NE(told.find("Protocol error"), std::string::npos) << told;
  }
  EXPECT_LT(memory_bytes_of(worker), before + (16u << 20));
  std::vector<Fd> quiet;  // within the limits
  for (int i = 0; i < 500; ++i) {
    quiet.push_back(connect_raw(server));
    send_all(quiet.back(), "AUTH " + std::string(16'000, 'x'));
  }
  EXPECT_EQ(server.request("AUTH secret"), "OK");
  EXPECT_LT(memory_bytes_of(worker), before + (48u << 20));
}

#if !defined(__SANITIZE_ADDRESS__)  // it ends the process instead
// Shows that a worker without memory answers so, or ends the connection that wants too much, and goes on with
// the others.
TEST(HostileConnections, NoMemory) {
  TestServer server({"--workers", "1", "--memory", "512MiB"});
  Client bystander = server.connect();
  Peer greedy("memento", server.port());
  const std::string value(50'000'000, 'x');
  ASSERT_EQ(greedy.ask({{"SET", "big", value}}).at(0), "+OK\r\n");
  const pid_t worker = server.workers(1)[0];
  const std::string status = read_file("/proc/" + std::to_string(worker) + "/status");
  const rlim_t size_bytes = std::stoull(status.substr(status.find("VmSize:") + 7)) * 1024;
  const rlimit limit{size_bytes + (400 << 20), RLIM_INFINITY};
  ASSERT_EQ(prlimit(worker, RLIMIT_AS, &limit, nullptr), 0);
  Words many{"MGET"};
  many.insert(many.end(), 60, "big");
  EXPECT_EQ(greedy.ask({many}).at(0).substr(0, 4), "-OOM");
  std::vector<Words> transaction{{"MULTI"}};
  transaction.insert(transaction.end(), 60, Words{"GET", "big"});
  transaction.push_back({"EXEC"});
  EXPECT_EQ(greedy.ask(transaction).back().substr(0, 10), "-EXECABORT");
  EXPECT_EQ(greedy.ask({{"STRLEN", "big"}}).at(0), ":50000000\r\n");
  const Fd endless = connect_raw(server);
  const std::string part = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\n" + std::string(1 << 20, 'x');
  ssize_t sent = 1;
  for (int i = 0; i < 500 && sent > 0; ++i)
    sent = ::send(endless.get(), part.data() + (i == 0 ? 0 : 40), part.size() - 40, MSG_NOSIGNAL);
  EXPECT_EQ(receive_all(endless), "");
  EXPECT_EQ(*bystander.request("ECHO here"), "here");
  EXPECT_EQ(server.workers(1)[0], worker);
  EXPECT_NE(server.log().find("a connection was ended: no memory"), std::string::npos);
}
#endif

// Shows that what clients made a worker allocate is given back when they are gone, though it lies below what
// others use.
TEST(HostileConnections, MemoryIsGivenBack) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer keeps what is freed";
#endif
  TestServer server({"--workers", "1"});
  const pid_t worker = server.workers(1)[0];
  const std::size_t before = memory_bytes_of(worker);
  std::vector<Fd> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(connect_raw(server));
    send_all(many.back(), "SET k " + std::string(1 << 20, 'x'));
  }
  ASSERT_TRUE(wait_until([&] { return memory_bytes_of(worker) > before + (250u << 20); }));
  many.erase(many.begin(), many.end() - 1);
  EXPECT_TRUE(wait_until([&] { return memory_bytes_of(worker) < before + (64u << 20); }))
      << memory_bytes_of(worker);
}

}  // namespace
}  // namespace memento::testing
