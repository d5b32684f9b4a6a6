// CLIENT's commands about all connections, in a real server of two workers.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

std::string ask(Client& client, const std::string& line) {
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : "no reply: " + reply.error().message;
}

/// A connection to this worker, or to any other one.
Client connect_to(const TestServer& server, pid_t worker, bool is_other) {
  for (;;) {
    Client client = server.connect();
    if ((worker_of(client) == worker) != is_other) return client;
  }
}

bool lists(const std::string& list, const std::string& id) {
  return list.starts_with("id=" + id + " ") || list.find("\nid=" + id + " ") != std::string::npos;
}

// Shows that all workers' clients are listed, that one of another worker can be killed by its number and by
// its address, and is closed.
TEST(ClientCommands, ListAndKillOverWorkers) {
  TestServer server({"--workers", "2"});
  Client near = server.connect();
  const pid_t worker = worker_of(near);
  for (const bool by_address : {false, true}) {
    Client far = connect_to(server, worker, true);
    const std::string id = ask(far, "CLIENT ID");
    const std::string list = ask(near, "CLIENT LIST");
    EXPECT_TRUE(lists(list, id)) << list;
    EXPECT_TRUE(lists(list, ask(near, "CLIENT ID"))) << list;
    const std::string one = ask(near, "CLIENT LIST ID " + id);
    const std::size_t begin = one.find(" addr=") + 6;
    const std::string address = one.substr(begin, one.find(' ', begin) - begin);
    if (by_address) {
      EXPECT_EQ(ask(near, "CLIENT KILL " + address), "OK");
    } else {
      EXPECT_EQ(ask(near, "CLIENT KILL ID " + id), "1");
    }
    EXPECT_FALSE(far.read_reply());
    EXPECT_TRUE(wait_until([&] { return !lists(ask(near, "CLIENT LIST"), id); }));
  }
  EXPECT_EQ(ask(near, "CLIENT KILL SKIPME no ID " + ask(near, "CLIENT ID")), "1");
  EXPECT_FALSE(near.read_reply());
}

// Shows that numbers only grow, over workers that are killed and over a restart of the server.
TEST(ClientCommands, NumbersNeverComeAgain) {
  TestServer server({"--workers", "2"});
  long last = 0;
  for (int round = 0; round < 4; ++round) {
    pid_t worker = 0;
    for (int i = 0; i < 10; ++i) {
      Client client = server.connect();
      const long id = std::atol(ask(client, "CLIENT ID").c_str());
      EXPECT_GT(id, last);
      last = id;
      worker = worker_of(client);
    }
    if (round == 2) {
      server.stop();
      server.start();
      continue;
    }
    kill(worker, SIGKILL);
    ASSERT_TRUE(wait_until([&] {
      const std::vector<pid_t> pids = server.workers(2);
      return std::find(pids.begin(), pids.end(), worker) == pids.end();
    }));
  }
}

// Shows that CLIENT LIST is answered while another worker does not answer: it is stopped; or killed, before
// and after the question. Without the bound of a second the first list would never come.
TEST(ClientCommands, ListWhileAWorkerIsStoppedOrKilled) {
  TestServer server({"--workers", "2"});
  Client near = server.connect();
  const pid_t worker = worker_of(near);
  Client far = connect_to(server, worker, true);
  const std::string id = ask(far, "CLIENT ID");
  const pid_t other = worker_of(far);
  kill(other, SIGSTOP);
  const std::string list = ask(near, "CLIENT LIST");
  EXPECT_TRUE(lists(list, ask(near, "CLIENT ID"))) << list;
  EXPECT_FALSE(lists(list, id)) << list;
  ASSERT_TRUE(near.send_line("CLIENT LIST"));
  kill(other, SIGKILL);
  EXPECT_TRUE(near.read_reply());
  EXPECT_FALSE(lists(ask(near, "CLIENT LIST"), id));
  for (int i = 0; i < 20; ++i) {
    Client victim = connect_to(server, worker, true);
    const pid_t pid = worker_of(victim);
    ASSERT_TRUE(near.send_line("CLIENT LIST"));
    kill(pid, SIGKILL);
    ASSERT_TRUE(near.read_reply());
  }
}

// Shows that a pause holds all workers' clients, lets reads through, and that UNPAUSE from another worker
// ends it.
TEST(ClientCommands, PauseOverWorkers) {
  TestServer server({"--workers", "2"});
  Client near = server.connect();
  Client far = connect_to(server, worker_of(near), true);
  EXPECT_EQ(ask(near, "CLIENT PAUSE 1000000 WRITE"), "OK");
  ASSERT_TRUE(far.send_line("SET a 1"));
  EXPECT_TRUE(wait_until([&] { return ask(near, "CLIENT LIST").find(" flags=b ") != std::string::npos; }));
  const auto blocked = [&](const std::string& count) {
    return wait_until(
        [&] { return ask(near, "INFO clients").find("blocked_clients:" + count) != std::string::npos; });
  };
  EXPECT_TRUE(blocked("1"));
  EXPECT_EQ(ask(near, "GET a"), "(null)");
  EXPECT_EQ(ask(near, "CLIENT UNPAUSE"), "OK");
  const Result<std::string> reply = far.read_reply();
  EXPECT_EQ(reply ? *reply : "", "OK");
  EXPECT_TRUE(blocked("0"));
  EXPECT_EQ(ask(near, "CLIENT PAUSE 1 ALL"), "OK");
  EXPECT_EQ(ask(far, "SET a 2"), "OK");
  EXPECT_EQ(ask(near, "GET a"), "2");
}

// Shows that a paused client can be killed, and that one which leaves is forgotten with its request.
TEST(ClientCommands, PausedClientsEnd) {
  TestServer server({"--workers", "2"});
  Client near = server.connect();
  Client killed = server.connect();
  EXPECT_EQ(ask(near, "CLIENT PAUSE 1000000 WRITE"), "OK");
  const std::string id = ask(killed, "CLIENT ID");
  ASSERT_TRUE(killed.send_line("SET a 1"));
  {
    Client leaving = server.connect();
    ASSERT_TRUE(leaving.send_line("SET a 2"));
    const auto are_held = [&] {
      const std::string list = ask(near, "CLIENT LIST");
      const std::size_t first = list.find(" flags=b ");
      return first != std::string::npos && list.find(" flags=b ", first + 1) != std::string::npos;
    };
    ASSERT_TRUE(wait_until(are_held));
  }
  EXPECT_EQ(ask(near, "CLIENT KILL ID " + id), "1");
  EXPECT_FALSE(killed.read_reply());
  EXPECT_TRUE(wait_until([&] { return ask(near, "CLIENT LIST").find(" flags=b ") == std::string::npos; }));
  EXPECT_EQ(ask(near, "CLIENT UNPAUSE"), "OK");
  EXPECT_EQ(ask(near, "GET a"), "(null)");
}

}  // namespace
}  // namespace memento::testing
