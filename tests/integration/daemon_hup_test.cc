// HUP with a real server each: the configuration is read again.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

/// The soft limit of open files, lower while this lives; programs started meanwhile inherit it.
class LowDescriptorLimit {
 public:
  explicit LowDescriptorLimit(rlim_t lower) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit now{std::min(lower, before_.rlim_max), before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~LowDescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// HUP; true when the configuration was read again.
bool hup(const TestServer& server) {
  const auto times_read = [&] { return count_in(server.log(), "Configuration read again"); };
  const std::size_t before = times_read();
  server.signal(SIGHUP);
  return wait_until([&] { return times_read() > before; });
}

// Shows that HUP takes a good file over at once, and keeps what was when the file is bad.
TEST(Daemon, HupReadsTheConfigurationAgain) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  std::ofstream(config) << "value-limit 10\nquit-timeout 1\n";
  TestServer server({"--config", config});
  const std::string refused = "(error) value is longer than the limit of 10 bytes";
  EXPECT_EQ(server.request("SET a 12345678901"), refused);

  std::ofstream(config) << "value-limit 20\nvalue-limt 30\n";
  server.signal(SIGHUP);
  ASSERT_TRUE(log_says(server, config + ":2: unknown key 'value-limt'"));
  EXPECT_EQ(server.request("SET a 12345678901"), refused);

  std::ofstream(config) << "value-limit 20\nmax-clients 1\n";
  server.signal(SIGHUP);
  ASSERT_TRUE(log_says(server, "Configuration read again"));
  // A client counts until its worker has seen it leave.
  ASSERT_TRUE(wait_until([&] { return server.request("SET a 12345678901") == "OK"; }));
  ASSERT_TRUE(wait_until(
      [&] { return server.request("INFO clients").find("connected_clients:1") != std::string::npos; }));
  Client one = server.connect();
  Result<std::string> reply = one.request("PING x");
  while (!reply || *reply != "x") {
    one = server.connect();
    reply = one.request("PING x");
  }
  Client two = server.connect();
  const Result<std::string> refusal = two.read_reply();
  ASSERT_TRUE(refusal);
  EXPECT_EQ(*refusal, "(error) too many clients; see max-clients");
}

// Shows that HUP names each setting that changed in the file and takes a new process to come into force.
TEST(Daemon, HupNamesWhatWaitsForARestart) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  std::ofstream(config) << "inline-replies text\n";
  TestServer server({"--config", config});
  std::ofstream(config) << "inline-replies resp\ncluster-timeout 5\n"
                        << "cluster-secret-file " << folder.path() << "/secret\n";
  ASSERT_TRUE(hup(server));
  for (const std::string name : {"inline-replies", "cluster-timeout", "cluster-secret-file"}) {
    EXPECT_EQ(count_in(server.log(), name + " (or an upgrade)"), 1u) << server.log();
  }
}

// Shows that HUP takes over thresholds of SLOWLOG and LATENCY that changed in the file, and otherwise leaves
// what CONFIG SET made of them.
TEST(Daemon, HupAndTheThresholdsOfTheFile) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  const auto configure = [&](const std::string& text) { std::ofstream(config) << text; };
  configure("latency-monitor-threshold 5\nslowlog-max-len 7\n");
  TestServer server({"--config", config});
  const auto threshold = [&] { return server.request("CONFIG GET latency-monitor-threshold"); };
  EXPECT_NE(threshold().find("5"), std::string::npos) << threshold();
  EXPECT_NE(server.request("CONFIG GET slowlog-max-len").find("7"), std::string::npos);
  EXPECT_EQ(server.request("CONFIG SET latency-monitor-threshold 6"), "OK");
  ASSERT_TRUE(hup(server));
  EXPECT_NE(threshold().find("6"), std::string::npos) << threshold();
  configure("latency-monitor-threshold 9\n");
  ASSERT_TRUE(hup(server));
  EXPECT_NE(threshold().find("9"), std::string::npos) << threshold();
  EXPECT_NE(server.request("CONFIG GET slowlog-max-len").find("128"), std::string::npos);
}

// Shows that HUP leaves what CONFIG SET made of password, client limit and protected mode, unless the file
// changed there.
TEST(Daemon, HupLeavesWhatConfigSetChanged) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  const auto configure = [&](const std::string& text) { std::ofstream(config) << text; };
  configure("max-clients 100\n");
  TestServer server({"--config", config});
  Client client = server.connect();
  EXPECT_EQ(*client.request("CONFIG SET requirepass secret maxclients 50 protected-mode no"), "OK");
  const auto in_use = [&](const std::string& name) {
    const Result<std::string> reply = client.request("CONFIG GET " + name);
    return reply ? *reply : reply.error().message;
  };
  ASSERT_TRUE(hup(server));
  EXPECT_NE(in_use("requirepass").find("secret"), std::string::npos);
  EXPECT_NE(in_use("maxclients").find("50"), std::string::npos);
  EXPECT_NE(in_use("protected-mode").find("no"), std::string::npos);
  EXPECT_TRUE(server.request("GET a").starts_with("(error) NOAUTH")) << server.request("GET a");

  configure("max-clients 60\n");
  ASSERT_TRUE(hup(server));
  EXPECT_NE(in_use("maxclients").find("60"), std::string::npos);
  EXPECT_NE(in_use("requirepass").find("secret"), std::string::npos);

  configure("max-clients 60\nrequirepass other\n");
  ASSERT_TRUE(hup(server));
  EXPECT_NE(in_use("requirepass").find("other"), std::string::npos);
}

// Shows that CONFIG REWRITE keeps what CONFIG SET changed: in the file, whose other lines and mode stay, and
// so over a restart, and HUP then changes nothing.
TEST(Daemon, ConfigRewrite) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  std::ofstream(config) << "# ours\ntimeout 10\nvalue-limit 1MiB\n";
  std::filesystem::permissions(config, std::filesystem::perms(0640));
  TestServer server({"--config", config});
  EXPECT_EQ(server.request("CONFIG REWRITE"), "OK");
  EXPECT_EQ(read_file(config), "# ours\ntimeout 10\nvalue-limit 1MiB\n");
  EXPECT_EQ(
      server.request("CONFIG SET timeout 77 maxmemory 20mb maxmemory-policy allkeys-lru protected-mode no"),
      "OK");
  EXPECT_EQ(server.request("CONFIG REWRITE"), "OK");
  EXPECT_EQ(read_file(config),
            "# ours\ntimeout 77\nvalue-limit 1MiB\n# Set by CONFIG REWRITE\nprotected-mode no\n"
            "maxmemory 20971520\neviction allkeys\n");
  EXPECT_EQ(std::filesystem::status(config).permissions(), std::filesystem::perms(0640));
  ASSERT_TRUE(hup(server));
  const auto expect_kept = [&] {
    const std::string kept = server.request("CONFIG GET timeout maxmemory maxmemory-policy");
    for (const char* const value : {"77", "20971520", "allkeys-lru"})
      EXPECT_NE(kept.find(value), std::string::npos) << kept;
  };
  expect_kept();
  server.stop();
  server.start();
  expect_kept();
  EXPECT_EQ(server.request("CONFIG SET requirepass secret"), "OK");
  Client client = server.connect();
  EXPECT_EQ(*client.request("AUTH secret"), "OK");
  EXPECT_EQ(*client.request("CONFIG REWRITE"), "OK");
  EXPECT_EQ(count_in(read_file(config), "requirepass secret\n"), 1u);
  std::filesystem::remove(config);
  const std::string refused = *client.request("CONFIG REWRITE");
  EXPECT_NE(refused.find("Rewriting config file: " + config), std::string::npos) << refused;
}

// Shows that CONFIG REWRITE leaves a password in the file that the command line names, until CONFIG SET
// makes it another one.
TEST(Daemon, ConfigRewriteLeavesThePasswordWhereItIs) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  const std::string password = folder.path() + "/password";
  std::ofstream(config) << "# ours\n";
  std::ofstream(password) << "secret\n";
  TestServer server({"--config", config, "--requirepass-file", password});
  Client client = server.connect();
  EXPECT_EQ(*client.request("AUTH secret"), "OK");
  EXPECT_EQ(*client.request("CONFIG SET timeout 77"), "OK");
  EXPECT_EQ(*client.request("CONFIG REWRITE"), "OK");
  EXPECT_EQ(read_file(config), "# ours\n# Set by CONFIG REWRITE\ntimeout 77\n");
  EXPECT_EQ(*client.request("CONFIG SET requirepass other"), "OK");
  EXPECT_EQ(*client.request("CONFIG REWRITE"), "OK");
  EXPECT_EQ(read_file(config), "# ours\n# Set by CONFIG REWRITE\ntimeout 77\nrequirepass other\n");
}

// Shows that CONFIG SET takes no value that a configuration file may not have.
TEST(Daemon, ConfigRewriteWritesWhatStarts) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  std::ofstream(config) << "# ours\n";
  TestServer server({"--config", config});
  for (const char* const refused : {"slowlog-log-slower-than 86400000001", "slowlog-max-len 1000001",
                                    "latency-monitor-threshold 86400001"}) {
    const std::string reply = server.request(std::string("CONFIG SET ") + refused);
    EXPECT_NE(reply.find("argument must be between"), std::string::npos) << reply;
  }
  EXPECT_EQ(server.request("CONFIG SET slowlog-log-slower-than 86400000000 slowlog-max-len 1000000 "
                           "latency-monitor-threshold 86400000"),
            "OK");
  EXPECT_EQ(server.request("CONFIG REWRITE"), "OK");
  server.stop();
  server.start();
  EXPECT_EQ(count_in(server.request("CONFIG GET slowlog-log-slower-than"), "86400000000"), 1u);
}

// Shows that keys of databases that a later start does not have any more are told of in the log, and that
// they are there again when it has them.
TEST(Daemon, KeysOfMissingDatabases) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  std::ofstream(config) << "databases 8\n";
  TestServer server({"--config", config});
  Client client = server.connect();
  EXPECT_EQ(*client.request("SELECT 5"), "OK");
  EXPECT_EQ(*client.request("MSET a 1 b 2"), "OK");
  EXPECT_EQ(count_in(server.log(), "which nobody can select"), 0u);
  std::ofstream(config) << "databases 5\n";
  server.stop();
  server.start();
  EXPECT_TRUE(log_says(server, "2 keys are in databases from 5 on, which nobody can select"));
  std::ofstream(config) << "databases 6\n";
  server.stop();
  server.start();
  Client again = server.connect();
  EXPECT_EQ(*again.request("SELECT 5"), "OK");
  EXPECT_EQ(*again.request("GET a"), "1");
}

// Shows that clients who are idle for as long as `timeout` says are closed, by each worker, and that those
// who subscribe, monitor or are busy are not; and that the setting goes on over an upgrade.
TEST(Daemon, IdleClientsAreClosed) {
  TestServer server({"--workers", "2"});
  EXPECT_EQ(server.request("CONFIG SET timeout 1"), "OK");
  std::vector<Client> idle;
  for (int i = 0; i < 8; ++i) idle.push_back(server.connect());
  for (Client& client : idle) ASSERT_TRUE(client.request("PING x"));
  Client subscriber = server.connect();
  Client monitor = server.connect();
  Client busy = server.connect();
  ASSERT_TRUE(subscriber.request("SUBSCRIBE news"));
  ASSERT_TRUE(monitor.request("MONITOR"));
  // Subscriber, monitor and the one that asks all the time are left.
  EXPECT_TRUE(wait_until([&] {
    const Result<std::string> reply = busy.request("INFO clients");
    return reply && reply->find("connected_clients:3\n") != std::string::npos;
  }));
  for (Client& client : idle) EXPECT_FALSE(client.read_reply());
  EXPECT_EQ(server.request("PUBLISH news x"), "1");

  EXPECT_EQ(server.request("CONFIG SET timeout 4321"), "OK");
  server.signal(SIGUSR2);
  ASSERT_TRUE(log_says(server, "Upgraded to version"));
  EXPECT_NE(server.request("CONFIG GET timeout").find("4321"), std::string::npos);
}

// Shows that a detached server finds its relative paths again on HUP, though it left the folder where it was
// started.
TEST(Daemon, HupFindsRelativePaths) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/memento.conf") << "dir data\nlogfile log\nvalue-limit 10\n";
  const ReservedPort reserved;
  const std::uint16_t port = reserved.number();
  const Finished start = run_program(
      "memento",
      {"-d", "-p", std::to_string(port), "-m", "64m", "-w", "1", "-P", "pid", "-C", "memento.conf"},
      folder.path());
  ASSERT_EQ(start.status, 0) << start.errors;
  const pid_t pid = pid_in(folder.path() + "/pid");
  std::ofstream(folder.path() + "/memento.conf") << "dir data\nlogfile log\nvalue-limit 20\n";
  kill(pid, SIGHUP);
  const std::string log = folder.path() + "/log";
  EXPECT_TRUE(wait_until([&] { return read_file(log).find("onfiguration") != std::string::npos; }));
  EXPECT_NE(read_file(log).find("Configuration read again\n"), std::string::npos) << read_file(log);
  end_daemon(pid);
}

// Shows that running workers may open the files that a raised max-clients needs.
TEST(Daemon, HupRaisesTheWorkersDescriptorLimit) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  std::ofstream(config) << "max-clients 10\n";
  const LowDescriptorLimit low(256);
  TestServer server({"--config", config});
  std::ofstream(config) << "max-clients 500\n";
  server.signal(SIGHUP);
  ASSERT_TRUE(log_says(server, "Configuration read again"));
  for (const pid_t pid : server.workers(2)) {
    rlimit limit{};
    ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, nullptr, &limit), 0);
    EXPECT_GT(limit.rlim_cur, 500u);
  }
}

}  // namespace
}  // namespace memento::testing
