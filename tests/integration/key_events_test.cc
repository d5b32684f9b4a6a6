// Keyspace events of a real server: each once, whichever worker changes the key and whichever serves the
// client.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

std::string ask(Client& client, const std::string& line) {
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : "no reply: " + reply.error().message;
}

/// Clients of different workers, as many as there are.
std::vector<Client> one_of_each(const TestServer& server, std::size_t workers) {
  std::map<pid_t, Client> found;
  while (found.size() < workers) {
    Client client = server.connect();
    const pid_t worker = worker_of(client);
    found.emplace(worker, std::move(client));
  }
  std::vector<Client> clients;
  for (auto& [worker, client] : found) clients.push_back(std::move(client));
  return clients;
}

// Shows that keys that expire while clients of all workers read, write and sweep are told once each to
// clients of every worker, and soon, though nobody asks for most of them; in other databases too.
TEST(KeyEvents, EachExpiryOnce) {
  constexpr int kKeys = 2000;
  TestServer server({"--workers", "3", "--notify-keyspace-events", "Ex"});
  std::vector<Client> listeners = one_of_each(server, 3);
  std::vector<Client> writers = one_of_each(server, 3);
  for (Client& listener : listeners) ask(listener, "PSUBSCRIBE __keyevent@*:expired");
  ask(writers[2], "SELECT 9");
  for (int i = 0; i < kKeys; ++i)
    EXPECT_EQ(ask(writers[static_cast<std::size_t>(i) % 3], "PSETEX k" + std::to_string(i) + " 200 v"), "OK");
  for (int i = 0; i < kKeys; i += 10) {
    for (Client& writer : writers) ask(writer, "GET k" + std::to_string(i));
  }
  for (Client& listener : listeners) {
    std::map<std::string, int> told;
    for (int i = 0; i < kKeys; ++i) {
      const Result<std::string> message = listener.read_reply();
      ASSERT_TRUE(message) << message.error().message << " after " << told.size();
      ++told[*message];
    }
    EXPECT_EQ(told.size(), static_cast<std::size_t>(kKeys));
    EXPECT_EQ(told.count("pmessage\n__keyevent@*:expired\n__keyevent@0__:expired\nk0"), 1u);
    EXPECT_EQ(told.count("pmessage\n__keyevent@*:expired\n__keyevent@9__:expired\nk2"), 1u);
  }
  EXPECT_EQ(ask(writers[0], "DBSIZE"), "0");
}

// Shows that what CONFIG SET says of events holds for all workers, and over an upgrade and a HUP.
TEST(KeyEvents, ConfigurationStays) {
  TestServer server({"--workers", "2", "--quit-timeout", "60"});
  std::vector<Client> clients = one_of_each(server, 2);
  EXPECT_EQ(ask(clients[0], "CONFIG GET notify-keyspace-events"), "notify-keyspace-events: ");
  EXPECT_EQ(ask(clients[0], "CONFIG SET notify-keyspace-events KE$"), "OK");
  EXPECT_EQ(ask(clients[1], "CONFIG GET notify-keyspace-events"), "notify-keyspace-events: $KE");
  const std::vector<pid_t> old = server.workers(2);
  server.signal(SIGHUP);
  server.signal(SIGUSR2);
  const auto is_old = [&](pid_t pid) { return pid == old[0] || pid == old[1]; };
  std::optional<Client> fresh;
  ASSERT_TRUE(wait_until([&] {
    Result<Client> client = Client::connect({"127.0.0.1", server.port()});
    if (!client || is_old(worker_of(*client))) return false;
    fresh.emplace(std::move(*client));
    return true;
  }));
  EXPECT_EQ(ask(*fresh, "CONFIG GET notify-keyspace-events"), "notify-keyspace-events: $KE");
  EXPECT_EQ(ask(*fresh, "PSUBSCRIBE __keys*"), "psubscribe\n__keys*\n1");
  EXPECT_EQ(ask(clients[1], "SET k 1"), "OK");  // at a worker of the old binary
  const Result<std::string> message = fresh->read_reply();
  ASSERT_TRUE(message);
  EXPECT_EQ(*message, "pmessage\n__keys*\n__keyspace@0__:k\nset");
}

}  // namespace
}  // namespace memento::testing
