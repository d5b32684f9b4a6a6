// The master's workers with a real server each: killed, failing, with connections that wait, and without
// their master.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

// Shows that a killed worker is replaced, and that its keys and the other worker's connections stay.
TEST(Daemon, KilledWorkerIsReplaced) {
  TestServer server;
  for (int i = 0; i < 100; ++i) ASSERT_EQ(server.request("SET k" + std::to_string(i) + " v"), "OK");
  for (int round = 0; round < 10; ++round) {
    std::vector<Client> clients;
    for (int i = 0; i < 8; ++i) clients.push_back(server.connect());
    const pid_t victim = worker_of(clients[0]);
    ASSERT_GT(victim, 0);
    std::vector<bool> spared;
    for (Client& client : clients) spared.push_back(worker_of(client) != victim);
    kill(victim, SIGKILL);
    for (std::size_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(static_cast<bool>(clients[i].request("PING x")), spared[i]);
    }
    ASSERT_TRUE(wait_until([&] {
      const std::vector<pid_t> now = server.workers(2);
      return now.size() == 2 && std::ranges::find(now, victim) == now.end();
    }));
    EXPECT_EQ(server.request("COUNT"), "100");
  }
}

// Shows that only a worker that keeps failing soon after its start waits for its replacement; a killed one
// does not.
TEST(Daemon, FailingWorkersBackOff) {
  TestServer server({"--workers", "1"});
  const auto end_worker = [&](int number) {
    const pid_t victim = server.workers(1).front();
    kill(victim, number);
    return wait_until(
        [&] { return server.log().find("(pid " + std::to_string(victim) + ")") != std::string::npos; });
  };
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(end_worker(SIGKILL));
  EXPECT_EQ(server.log().find("a new one starts in"), std::string::npos) << server.log();
  for (int i = 0; i < 100 && server.log().find("a new one starts in 100 ms") == std::string::npos; ++i) {
    ASSERT_TRUE(end_worker(SIGALRM));  // ends it like a fault of its own, without a core file
  }
  EXPECT_NE(server.log().find("a new one starts in 100 ms"), std::string::npos) << server.log();
  EXPECT_EQ(server.request("PING x"), "x");
}

// Shows that connections which waited to be accepted when their worker was killed are served by its
// replacement.
TEST(Daemon, WaitingConnectionsSurviveTheirWorker) {
  TestServer server;
  const std::vector<pid_t> workers = server.workers(2);
  for (const pid_t pid : workers) kill(pid, SIGSTOP);
  std::vector<Client> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(server.connect());
    ASSERT_TRUE(clients.back().send_line("ECHO " + std::to_string(i)));
  }
  for (const pid_t pid : workers) kill(pid, SIGKILL);
  for (int i = 0; i < 40; ++i) {
    const Result<std::string> reply = clients[static_cast<std::size_t>(i)].read_reply();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(*reply, std::to_string(i));
  }
}

// Shows that the error about a line that is too long reaches a client that is still sending, and then the
// connection ends.
TEST(Daemon, LineTooLongIsAnsweredBeforeTheEnd) {
  TestServer server({"--value-limit", "1MiB"});
  Client client = server.connect();
  const Result<std::string> reply = client.request("SET a " + std::string(20 << 20, 'v'));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_NE(reply->find("line is longer than the limits"), std::string::npos) << *reply;
  EXPECT_FALSE(client.read_reply());
  EXPECT_EQ(server.request("EXISTS a"), "0");
}

// Shows that replies larger than the sockets take arrive whole, and that a client which takes none blocks
// nobody.
TEST(Daemon, LargeRepliesAndASlowReader) {
  TestServer server({"--workers", "1"});
  const std::string value(8 << 20, 'v');
  Client client = server.connect();
  ASSERT_TRUE(client.request("SET a " + value));
  Client slow = server.connect();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(slow.send_line("GET a"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*client.request("GET a"), value);
  for (int i = 0; i < 50; ++i) {
    const Result<std::string> reply = slow.read_reply();
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->size(), value.size());
  }
}

// Shows that the workers leave when the master is killed.
TEST(Daemon, WorkersLeaveWithTheirMaster) {
  TestServer server;
  server.signal(SIGKILL);
  EXPECT_EQ(server.wait(), 128 + SIGKILL);
  EXPECT_TRUE(wait_until([&] { return !Client::connect({"127.0.0.1", server.port()}); }));
}

}  // namespace
}  // namespace memento::testing
