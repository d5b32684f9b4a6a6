// Full memory with a real server: refused writes that change nothing, a tmpfs that fills up before the limit,
// eviction that HUP switches on, values as long as they may be.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

// Stores values until one is refused; how many were stored.
int fill(Client& client, const std::string& prefix, const std::string& value, int limit) {
  for (int i = 0; i < limit; ++i) {
    const Result<std::string> reply = client.request("SET " + prefix + std::to_string(i) + " " + value);
    if (!reply || *reply != "OK") {
      EXPECT_TRUE(reply) << "the connection broke";
      EXPECT_EQ(reply ? *reply : "", "(Out of memory)");
      return i;
    }
  }
  return limit;
}

std::string ask(Client& client, const std::string& line) {
  const Result<std::string> reply = client.request(line);
  return reply ? *reply : "(connection lost)";
}

void expect_full_but_served(Client& client, int stored, const std::string& value) {
  EXPECT_EQ(ask(client, "COUNT"), std::to_string(stored));
  EXPECT_EQ(ask(client, "SET k0 " + value + value + value + value), "(Out of memory)");
  EXPECT_EQ(ask(client, "GET k0"), value);
  EXPECT_EQ(ask(client, "EXPIRE k1 100"), "1");
  EXPECT_EQ(ask(client, "TTL k1"), "100");
  EXPECT_EQ(ask(client, "DEL k2 k3 k4 k5 k6 k7 k8 k9"), "8");
  EXPECT_EQ(ask(client, "SET again " + value), "OK");
}

// Shows that at the limit writes are refused and everything else goes on.
TEST(Memory, FullAtTheLimit) {
  TestServer server({"--memory", "32m", "--workers", "1"});
  Client client = server.connect();
  const std::string value(10'000, 'v');
  const int stored = fill(client, "k", value, 100'000);
  ASSERT_GT(stored, 500);
  expect_full_but_served(client, stored, value);
}

// Shows the same when the file system has less than the limit: no process gets SIGBUS.
TEST(Memory, FullFileSystem) {
  const TemporaryFolder folder;
  if (mount("none", folder.path().c_str(), "tmpfs", 0, "size=40m") != 0)
    GTEST_SKIP() << "no mount to be had here";
  int stored = 0;
  {
    TestServer server({"--memory", "1g", "--workers", "2", "--dir", folder.path() + "/data"});
    Client client = server.connect();
    const std::string value(10'000, 'v');
    stored = fill(client, "k", value, 100'000);
    EXPECT_GT(stored, 500);
    EXPECT_LT(stored, 4000);
    expect_full_but_served(client, stored, value);
    EXPECT_EQ(server.log().find("Bus error"), std::string::npos);
    EXPECT_EQ(server.log().find("was killed"), std::string::npos) << server.log();
    EXPECT_EQ(server.stop(), 0);
  }
  umount2(folder.path().c_str(), MNT_DETACH);
}

// Shows that HUP switches eviction on: then every write finds room.
TEST(Memory, EvictionIsSwitchedOn) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  std::ofstream(config) << "eviction noeviction\n";
  TestServer server({"--memory", "32m", "--workers", "1", "--config", config});
  Client client = server.connect();
  const std::string value(3000, 'v');
  const int stored = fill(client, "k", value, 100'000);
  EXPECT_EQ(ask(client, "DEL k0 k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11 k12 k13 k14 k15 k16 k17 k18 k19"), "20");
  for (int i = 20; i < stored / 2; ++i) ask(client, "DEL k" + std::to_string(i));
  std::ofstream(config) << "eviction allkeys\n";
  server.signal(SIGHUP);
  ASSERT_TRUE(wait_until([&] { return server.log().find("Configuration read again") != std::string::npos; }));
  EXPECT_EQ(server.log().find("eviction stays off"), std::string::npos) << server.log();
  EXPECT_EQ(fill(client, "n", value, 3 * stored), 3 * stored);
  EXPECT_EQ(ask(client, "GET n" + std::to_string(3 * stored - 1)), value);
}

// Shows the longest value through the socket and back, byte for byte, and that a longer one is refused.
TEST(Memory, LongestValue) {
  TestServer server({"--memory", "1300m", "--workers", "1"});
  Client client = server.connect();
  std::string value(512ull << 20, '\0');
  std::uint64_t state = 88172645463325252ull;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (i % 8 == 0) state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    value[i] = static_cast<char>('!' + (state >> (i % 8 * 8) & 63));
  }
  EXPECT_EQ(ask(client, "SET large " + value), "OK");
  {
    const Result<std::string> reply = client.request("GET large");
    ASSERT_TRUE(reply);
    EXPECT_TRUE(*reply == value);
  }
  EXPECT_EQ(ask(client, "SET large " + value + "x").substr(0, 7), "(error)");
  EXPECT_EQ(ask(client, "APPEND large x").substr(0, 7), "(error)");
  EXPECT_EQ(ask(client, "DEL large"), "1");
}

}  // namespace
}  // namespace memento::testing
