// MONITOR in a real server: clients of all workers, a monitor that does not read, and workers that are
// killed.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

std::string ask(Client& client, const std::string& line) {
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : "no reply: " + reply.error().message;
}

std::string next(Client& client) {
  const Result<std::string> reply = client.read_reply();
  return reply ? *reply : "no reply: " + reply.error().message;
}

/// A connection to a worker that is not among these, or to that one.
Client connect_to(const TestServer& server, pid_t worker, bool is_other) {
  for (;;) {
    Client client = server.connect();
    if ((worker_of(client) == worker) != is_other) return client;
  }
}

// The next line of a command that begins so; those that are for finding a worker are skipped.
std::string next_shown(Client& monitor, const std::string& words) {
  for (;;) {
    const std::string line = next(monitor);
    const std::size_t bracket = line.find("] ");
    if (line.starts_with("no reply") || line.substr(bracket + 2).starts_with(words)) return line;
  }
}

// Shows that commands of clients of all workers are told, with the client's address.
TEST(Monitor, ShowsAllWorkers) {
  TestServer server({"--workers", "2"});
  Client monitor = server.connect();
  const pid_t worker = worker_of(monitor);
  ASSERT_EQ(ask(monitor, "MONITOR"), "OK");
  for (const bool is_other : {false, true}) {
    Client client = connect_to(server, worker, is_other);
    const std::string info = ask(client, "CLIENT INFO");
    const std::size_t begin = info.find(" addr=") + 6;
    const std::string address = info.substr(begin, info.find(' ', begin) - begin);
    for (int i = 0; i < 500; ++i) {
      const std::string words = "\"SET\" \"k" + std::to_string(i) + "\" \"v\"";
      EXPECT_EQ(ask(client, "SET k" + std::to_string(i) + " v"), "OK");
      const std::string line = next_shown(monitor, "\"SET\"");
      ASSERT_TRUE(line.ends_with(" [0 " + address + "] " + words)) << line;
    }
  }
}

// Shows that a monitor that takes nothing is closed, while another one gets all and clients are answered.
TEST(Monitor, SlowMonitorIsClosed) {
  TestServer server({"--workers", "2"});
  Client slow = server.connect();
  Client quick = connect_to(server, worker_of(slow), true);
  Client client = server.connect();
  ASSERT_EQ(ask(slow, "MONITOR"), "OK");
  ASSERT_EQ(ask(quick, "MONITOR"), "OK");
  const std::string word(1 << 20, 'x');
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(ask(client, "ECHO " + word), word);
    ASSERT_TRUE(next_shown(quick, "\"ECHO\"").ends_with(word + "\""));
  }
  Result<std::string> line = slow.read_reply();
  int count = 0;
  for (; line; line = slow.read_reply()) ++count;
  EXPECT_LT(count, 100);
}

// Shows that a killed worker's monitors end with it, and that other workers' commands then go to nobody; and
// that a monitor outlives the other workers.
TEST(Monitor, KilledWorkers) {
  TestServer server({"--workers", "2"});
  Client monitor = server.connect();
  const pid_t worker = worker_of(monitor);
  ASSERT_EQ(ask(monitor, "MONITOR"), "OK");
  Client other = connect_to(server, worker, true);
  kill(worker_of(other), SIGKILL);
  ASSERT_TRUE(wait_until([&] {
    const Result<Client> client = Client::connect({"127.0.0.1", server.port()});
    return client && server.workers(2).size() == 2;
  }));
  Client again = connect_to(server, worker, true);
  ASSERT_EQ(ask(again, "ECHO again"), "again");
  EXPECT_TRUE(next_shown(monitor, "\"ECHO\"").ends_with("\"ECHO\" \"again\""));
  kill(worker, SIGKILL);
  Result<std::string> line = monitor.read_reply();
  while (line) line = monitor.read_reply();
  Client last = server.connect();
  EXPECT_EQ(ask(last, "MONITOR"), "OK");
  EXPECT_EQ(ask(again, "ECHO third"), "third");
  EXPECT_TRUE(next_shown(last, "\"ECHO\"").ends_with("\"ECHO\" \"third\""));
}

}  // namespace
}  // namespace memento::testing
