// The daemon's manners, with a real server each: starting, stopping, signals, pid file, log, restart.
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "conf/machine.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

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

// Shows that asking again does not give workers that cannot leave more time.
TEST(Daemon, RepeatedTermPostponesNothing) {
  TestServer server({"--quit-timeout", "0"});
  for (const pid_t pid : server.workers(2)) kill(pid, SIGSTOP);
  server.signal(SIGQUIT);
  const std::string state = "/proc/" + std::to_string(server.master()) + "/stat";
  EXPECT_TRUE(wait_until([&] {
    server.signal(SIGTERM);
    return read_file(state).find(") Z") != std::string::npos;
  }));
  server.signal(SIGINT);
  server.signal(SIGINT);
  EXPECT_EQ(server.wait(), 0);
}

// Shows that the server works as the first process of a container, whose id is 1.
TEST(Daemon, ServesAsProcessOne) {
  const TemporaryFolder folder;
  const ReservedPort reserved;
  const std::string port = std::to_string(reserved.number());
  const std::string path = std::filesystem::absolute(program("memento"));
  const std::string data = folder.path() + "/data";
  const std::string log = folder.path() + "/log";
  constexpr int kNotAllowed = 77;
  const pid_t outside = fork();
  if (outside == 0) {
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) _exit(kNotAllowed);
    const pid_t inside = fork();
    if (inside == 0) {
      execl(path.c_str(), path.c_str(), "-p", port.c_str(), "--dir", data.c_str(), "-m", "64m", "-w", "2",
            "-l", log.c_str(), nullptr);
      _exit(127);
    }
    int status = 0;
    waitpid(inside, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  int status = 0;
  pid_t ended = 0;
  const bool accepts = wait_until([&] {
    if (ended == 0) ended = waitpid(outside, &status, WNOHANG);
    return ended == outside || read_file(log).find("Accepting") != std::string::npos;
  });
  if (ended == outside && WEXITSTATUS(status) == kNotAllowed)
    GTEST_SKIP() << "no process namespace to be had";
  ASSERT_TRUE(accepts && ended == 0) << read_file(log);
  const std::vector<pid_t> server = children_of(outside);
  ASSERT_EQ(server.size(), 1u);
  Result<Client> client = Client::connect({"127.0.0.1", static_cast<std::uint16_t>(std::stoi(port))});
  EXPECT_TRUE(client);
  EXPECT_TRUE(wait_until([&] { return children_of(server[0]).size() == 2; }));
  EXPECT_EQ(read_file(log).find("a new one takes over"), std::string::npos) << read_file(log).substr(0, 1000);
  if (client) {
    const Result<std::string> reply = client->request("PING x");
    EXPECT_TRUE(reply && *reply == "x");
  }
  kill(server[0], SIGTERM);
  waitpid(outside, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Shows which status and which stream each way to start wrongly ends with.
TEST(Daemon, WrongStartsEndWithTheirStatus) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  std::ofstream(config) << "port 70000\nworkers 0\n";
  const struct {
    std::vector<std::string> arguments;
    int status;
    const char* message;
  } starts[] = {
      {{"--bogus"}, 64, "--help"},
      {{"-p", "70000"}, 64, "is not a port"},
      {{"-C", config}, 78, ":1: port: '70000' is not a port"},
      {{"-t", "-C", config}, 78, ":2: workers: '0' is not a number of workers"},
      {{"-C", folder.path() + "/none"}, 78, "cannot be read"},
      {{"-c", "-f", folder.path() + "/none"}, 78, "name the file of the cluster's nodes with -f"},
      {{"-d", "-C", config}, 78, ":1: port: '70000' is not a port"},
      {{"-p", std::to_string(ReservedPort().number()), "--dir", folder.path() + "/data", "-m", "64m", "-l",
        "/nonexistent/log"},
       71,
       "open(/nonexistent/log)"},
  };
  for (const auto& start : starts) {
    const Finished ended = run_program("memento", start.arguments);
    EXPECT_EQ(ended.status, start.status) << start.message;
    EXPECT_NE(ended.errors.find(start.message), std::string::npos) << ended.errors;
    EXPECT_EQ(ended.output, "") << start.message;
  }
  const Finished version = run_program("memento", {"-v"});
  EXPECT_EQ(version.status, 0);
  EXPECT_TRUE(version.output.starts_with("memento ") && version.errors.empty()) << version.output;
}

// Shows that the server listens on names and IPv6 addresses, and says both so that the port can be told.
TEST(Daemon, ListensOnNamesAndIpv6) {
  TestServer named({"--address", "localhost"});
  EXPECT_EQ(named.request("PING x"), "x");
  const ReservedPort reserved;
  const std::uint16_t port = reserved.number();
  const TemporaryFolder folder;
  const std::string pid_file = folder.path() + "/pid";
  const Finished start =
      run_program("memento", {"-d", "-a", "::1", "-p", std::to_string(port), "--dir", folder.path() + "/data",
                              "-m", "64m", "-P", pid_file, "-l", folder.path() + "/log"});
  if (start.errors.find("bind(") != std::string::npos ||
      start.errors.find("socket for") != std::string::npos) {
    GTEST_SKIP() << "no IPv6 here: " << start.errors;
  }
  ASSERT_EQ(start.status, 0) << start.errors;
  Result<Client> client = Client::connect({"::1", port});
  EXPECT_TRUE(client);
  EXPECT_NE(read_file(folder.path() + "/log").find("connections on [::1]:" + std::to_string(port) + " ("),
            std::string::npos)
      << read_file(folder.path() + "/log");
  end_daemon(pid_in(pid_file));
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
  const ReservedPort reserved;
  const std::uint16_t port = reserved.number();
  const std::string pid_file = folder.path() + "/pid";
  const std::vector<std::string> arguments = {
      "-d",     "-p", std::to_string(port),  "--dir", folder.path() + "/data", "-m", "64m", "-P",
      pid_file, "-l", folder.path() + "/log"};
  const Finished start = run_program("memento", arguments);
  EXPECT_EQ(start.status, 0) << start.errors;
  EXPECT_TRUE(Client::connect({"127.0.0.1", port}));
  const pid_t pid = pid_in(pid_file);
  EXPECT_EQ(getsid(pid) != getsid(0), true);
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd"), "/");
  // Whoever reads what the starting process wrote would wait for ever if one of them kept it open.
  std::vector<pid_t> processes = children_of(pid);
  EXPECT_FALSE(processes.empty());
  processes.push_back(pid);
  for (const pid_t process : processes) {
    for (const char* stream : {"/fd/0", "/fd/1", "/fd/2"}) {
      const std::string path = "/proc/" + std::to_string(process) + stream;
      EXPECT_TRUE(wait_until([&] { return std::filesystem::read_symlink(path) == "/dev/null"; })) << path;
    }
  }

  const Finished second = run_program("memento", {"-d", "-p", std::to_string(ReservedPort().number()), "-P",
                                                  pid_file, "--dir", folder.path() + "/other"});
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
  const Finished start =
      run_program("memento", {"-d", "-p", std::to_string(server.port()), "--dir", folder.path() + "/data"});
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
  const Finished second = run_program("memento", {"-p", std::to_string(ReservedPort().number()), "--dir",
                                                  server.data_folder(), "-m", "256MiB"});
  EXPECT_EQ(second.status, 71);
  EXPECT_NE(second.errors.find("in use by another server"), std::string::npos) << second.errors;
  EXPECT_TRUE(Client::connect({"127.0.0.1", server.port()}));
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

// Shows that a restart finds the data, after a clean stop and after a kill of everything, and --fresh does
// not.
TEST(Daemon, RestartFindsTheData) {
  TestServer server;
  for (int i = 0; i < 50; ++i)
    ASSERT_EQ(server.request("SET k" + std::to_string(i) + " " + std::to_string(i * i)), "OK");
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
  const Finished fresh = run_program("memento", {"-d", "--fresh", "-p", port, "--dir", server.data_folder(),
                                                 "-m", "256MiB", "-P", pid_file, "-l", server.log_path()});
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
  const Finished other =
      run_program("memento", {"-d", "-p", std::to_string(server.port()), "--dir", server.data_folder(), "-m",
                              "128MiB", "-P", pid_file, "-l", server.log_path()});
  ASSERT_EQ(other.status, 0) << other.errors;
  EXPECT_NE(server.log().find("size in bytes: expected 134217728, found 268435456"), std::string::npos)
      << server.log();
  end_daemon(pid_in(pid_file));
  std::size_t segments = 0;
  for (const auto& file : std::filesystem::directory_iterator(server.data_folder())) {
    if (file.path().filename().string().starts_with("segment")) ++segments;
  }
  EXPECT_EQ(segments, 2u);
}

// Shows that a folder on a disk, and more memory than there is, are warned of, and that what is usual is not.
TEST(Daemon, WarnsOfAPlaceThatDoesNotFit) {
  constexpr const char* kDisk = " is on a disk";
  constexpr const char* kMemory = "for data is more than the";
  {
    TestServer usual;
    EXPECT_EQ(usual.log().find(kDisk), std::string::npos);
    EXPECT_EQ(usual.log().find(kMemory), std::string::npos);
  }
  TestServer large({"--memory", std::to_string(usable_memory_bytes() + (1ull << 30))});
  EXPECT_NE(large.log().find(kMemory), std::string::npos) << large.log();

  std::string path = std::filesystem::absolute("memento-test-XXXXXX");
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  struct statfs system {};
  ASSERT_EQ(statfs(path.c_str(), &system), 0);
  if (system.f_type != TMPFS_MAGIC) {
    TestServer on_disk({"--dir", path, "--memory", "16m"});
    EXPECT_NE(on_disk.log().find(path + kDisk), std::string::npos) << on_disk.log();
  }
  std::filesystem::remove_all(path);
}

// Shows that DEBUG in all its forms is refused where it was not allowed, inside MULTI too, and allowed where
// it was.
TEST(Daemon, DebugIsForThoseWhoMay) {
  TestServer server({"--enable-debug-command", "no"});
  ASSERT_EQ(server.request("SET k v"), "OK");
  for (const char* request : {"DEBUG SLEEP 0", "debug object k", "DEBUG HELP", "DEBUG SET-ACTIVE-EXPIRE 0",
                              "DEBUG PROTOCOL null", "DEBUG", "DEBUG NONE"}) {
    EXPECT_NE(server.request(request).find("enable-debug-command"), std::string::npos) << request;
  }
  Client client = server.connect();
  EXPECT_EQ(*client.request("MULTI"), "OK");
  EXPECT_NE(client.request("DEBUG SLEEP 0")->find("enable-debug-command"), std::string::npos);
  EXPECT_TRUE(client.request("EXEC")->starts_with("(error) EXECABORT"));
  EXPECT_NE(server.request("CONFIG GET enable-debug-command").find("no"), std::string::npos);
  for (const char* allowed : {"local", "yes"}) {
    TestServer open({"--enable-debug-command", allowed});
    EXPECT_EQ(open.request("DEBUG SLEEP 0"), "OK") << allowed;
  }
}

// Shows that keys that have expired stay while DEBUG SET-ACTIVE-EXPIRE is 0, over more than a whole second of
// background work, and go when it is 1.
TEST(Daemon, BackgroundExpiryCanBeStopped) {
  TestServer server;
  EXPECT_EQ(server.request("DEBUG SET-ACTIVE-EXPIRE 0"), "OK");
  EXPECT_EQ(server.request("PSETEX k 1 v"), "OK");
  const auto uptime = [&] {
    const std::string info = server.request("INFO server");
    return std::atol(info.c_str() + info.find("uptime_in_seconds:") + 18);
  };
  const long before = uptime();
  EXPECT_TRUE(wait_until([&] { return uptime() >= before + 2; }));
  EXPECT_EQ(server.request("EXISTS k"), "0");
  EXPECT_EQ(server.request("COUNT"), "1");
  EXPECT_EQ(server.request("DEBUG SET-ACTIVE-EXPIRE 1"), "OK");
  EXPECT_TRUE(wait_until([&] { return server.request("COUNT") == "0"; }));
}

}  // namespace
}  // namespace memento::testing
