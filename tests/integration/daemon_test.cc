// The daemon's manners, with a real server each: starting, stopping, signals, pid file, log, restart.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

bool log_says(const TestServer& server, const std::string& text) {
  return wait_until([&] { return server.log().find(text) != std::string::npos; });
}

pid_t pid_in(const std::string& path) { return std::atoi(read_file(path).c_str()); }

// Ends a detached server, which is not our child.
void end_daemon(pid_t pid) {
  ASSERT_GT(pid, 0);
  kill(pid, SIGTERM);
  EXPECT_TRUE(wait_until([&] { return kill(pid, 0) != 0 || read_file("/proc/" + std::to_string(pid) + "/stat").find(") Z") != std::string::npos; }));
}

// Shows that TERM, INT and a second INT end with status 0, and that the log has the documented form.
TEST(Daemon, StopsOnTermAndInt) {
  for (const int number : {SIGTERM, SIGINT}) {
    TestServer server;
    EXPECT_EQ(server.request("PING x"), "x");
    EXPECT_EQ(server.stop(number), 0);
    EXPECT_FALSE(Client::connect({"127.0.0.1", server.port()}));
    EXPECT_EQ(server.log().substr(0, 6), "[INF][");
    EXPECT_EQ(server.log().substr(25, 5), "] - A");
  }
  TestServer server;
  server.workers(2);
  for (const pid_t pid : server.workers(2)) kill(pid, SIGSTOP);  // they cannot leave by themselves
  server.signal(SIGINT);
  ASSERT_TRUE(log_says(server, "Stopping"));
  EXPECT_EQ(server.stop(SIGINT), 0);
}

// Shows that QUIT accepts nobody new, serves the open connection to its end, then stops.
TEST(Daemon, QuitLetsConnectionsFinish) {
  TestServer server;
  Client client = server.connect();
  ASSERT_TRUE(client.request("SET a 1"));
  server.signal(SIGQUIT);
  ASSERT_TRUE(wait_until([&] { return !Client::connect({"127.0.0.1", server.port()}); }));
  const Result<std::string> reply = client.request("GET a");
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, "1");
  ASSERT_TRUE(client.request("QUIT"));
  EXPECT_EQ(server.wait(), 0);
  EXPECT_EQ(server.log().find("cut off"), std::string::npos);
}

// Shows that QUIT's patience ends at its limit.
TEST(Daemon, QuitCutsOffAtItsLimit) {
  TestServer server({"--quit-timeout", "0"});
  Client client = server.connect();
  ASSERT_TRUE(client.request("PING x"));
  EXPECT_EQ(server.stop(SIGQUIT), 0);
  EXPECT_NE(server.log().find("1 connections were cut off"), std::string::npos) << server.log();
}

// Shows that -d returns when connections are accepted, and that the pid file names the master.
TEST(Daemon, DetachesWhenReady) {
  const TemporaryFolder folder;
  const std::uint16_t port = free_port();
  const std::string pid_file = folder.path() + "/pid";
  const std::vector<std::string> arguments = {"-d", "-p", std::to_string(port), "--dir", folder.path() + "/data", "-m", "64m",
                                              "-P", pid_file, "-l", folder.path() + "/log"};
  const Finished start = run_program("memento", arguments);
  EXPECT_EQ(start.status, 0) << start.errors;
  EXPECT_TRUE(Client::connect({"127.0.0.1", port}));
  const pid_t pid = pid_in(pid_file);
  EXPECT_EQ(getsid(pid) != getsid(0), true);
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd"), "/");

  const Finished second = run_program("memento", {"-d", "-p", std::to_string(free_port()), "-P", pid_file, "--dir", folder.path() + "/other"});
  EXPECT_EQ(second.status, 71);
  EXPECT_NE(second.errors.find("held by process " + std::to_string(pid)), std::string::npos) << second.errors;
  EXPECT_EQ(pid_in(pid_file), pid);
  end_daemon(pid);
  EXPECT_FALSE(std::filesystem::exists(pid_file));
}

// Shows that -d gives the failure's status and message to the starting process.
TEST(Daemon, DetachingTellsFailure) {
  const TestServer server;
  const TemporaryFolder folder;
  const Finished start = run_program("memento", {"-d", "-p", std::to_string(server.port()), "--dir", folder.path() + "/data"});
  EXPECT_EQ(start.status, 71);
  EXPECT_NE(start.errors.find("Address already in use"), std::string::npos) << start.errors;
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/data"));
}

// Shows that a pid file left by a dead master is reused.
TEST(Daemon, StalePidFileIsReused) {
  const TemporaryFolder folder;
  const std::string pid_file = folder.path() + "/pid";
  std::ofstream(pid_file) << "999999999\n";
  TestServer server({"--pidfile", pid_file});
  EXPECT_EQ(pid_in(pid_file), server.master());
  server.kill_all();
  EXPECT_TRUE(std::filesystem::exists(pid_file));
  server.start();
  EXPECT_EQ(pid_in(pid_file), server.master());
}

// Shows that two servers don't share one folder of data.
TEST(Daemon, DataFolderIsHeld) {
  const TestServer server;
  const Finished second = run_program("memento", {"-p", std::to_string(free_port()), "--dir", server.data_folder(), "-m", "256MiB"});
  EXPECT_EQ(second.status, 71);
  EXPECT_NE(second.errors.find("in use by another server"), std::string::npos) << second.errors;
  EXPECT_TRUE(Client::connect({"127.0.0.1", server.port()}));
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
  ASSERT_TRUE(wait_until([&] { return server.request("INFO clients").find("connected_clients:1") != std::string::npos; }));
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

// Shows that USR1 makes all processes write to a new file after the old one was renamed.
TEST(Daemon, Usr1OpensTheLogAgain) {
  TestServer server;
  std::filesystem::rename(server.log_path(), server.log_path() + ".1");
  server.signal(SIGUSR1);
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(server.log_path()); }));
  kill(server.workers(2).front(), SIGKILL);
  EXPECT_TRUE(log_says(server, "a new one takes over"));
}

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

// Shows that connections which waited to be accepted when their worker was killed are served by its replacement.
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

// Shows that the error about a line that is too long reaches a client that is still sending, and then the connection ends.
TEST(Daemon, LineTooLongIsAnsweredBeforeTheEnd) {
  TestServer server({"--value-limit", "1MiB"});
  Client client = server.connect();
  const Result<std::string> reply = client.request("SET a " + std::string(20 << 20, 'v'));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_TRUE(reply->starts_with("(error) line is longer")) << *reply;
  EXPECT_FALSE(client.read_reply());
  EXPECT_EQ(server.request("EXISTS a"), "0");
}

// Shows that replies larger than the sockets take arrive whole, and that a client which takes none blocks nobody.
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

// Shows that a restart finds the data, after a clean stop and after a kill of everything, and --fresh does not.
TEST(Daemon, RestartFindsTheData) {
  TestServer server;
  for (int i = 0; i < 50; ++i) ASSERT_EQ(server.request("SET k" + std::to_string(i) + " " + std::to_string(i * i)), "OK");
  EXPECT_EQ(server.stop(), 0);
  server.start();
  EXPECT_NE(server.log().find("50 keys came back in "), std::string::npos) << server.log();
  EXPECT_EQ(server.request("GET k7"), "49");
  server.kill_all();
  server.start();
  EXPECT_EQ(server.request("COUNT"), "50");
  EXPECT_EQ(server.request("GET k49"), "2401");
  EXPECT_EQ(server.stop(), 0);

  const std::string port = std::to_string(server.port());
  const std::string pid_file = server.folder().path() + "/pid";
  const Finished fresh = run_program("memento", {"-d", "--fresh", "-p", port, "--dir", server.data_folder(), "-m", "256MiB",
                                                 "-P", pid_file, "-l", server.log_path()});
  ASSERT_EQ(fresh.status, 0) << fresh.errors;
  EXPECT_EQ(server.request("COUNT"), "0");
  EXPECT_NE(server.log().find("was set aside as"), std::string::npos);
  end_daemon(pid_in(pid_file));
}

// Shows that memory of another size does not silently lose data: the old segment is set aside, and said so.
TEST(Daemon, OtherMemorySizeSetsTheDataAside) {
  TestServer server;
  ASSERT_EQ(server.request("SET a 1"), "OK");
  ASSERT_EQ(server.stop(), 0);
  const std::string pid_file = server.folder().path() + "/pid";
  const Finished other = run_program("memento", {"-d", "-p", std::to_string(server.port()), "--dir", server.data_folder(), "-m",
                                                 "128MiB", "-P", pid_file, "-l", server.log_path()});
  ASSERT_EQ(other.status, 0) << other.errors;
  EXPECT_NE(server.log().find("size in bytes: expected 134217728, found 268435456"), std::string::npos) << server.log();
  end_daemon(pid_in(pid_file));
  std::size_t segments = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(server.data_folder())) ++segments;
  EXPECT_EQ(segments, 2u);
}

}  // namespace
}  // namespace memento::testing
