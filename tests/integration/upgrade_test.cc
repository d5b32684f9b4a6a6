// USR2 with a real server each: it becomes another binary while clients are served, or refuses to.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <thread>

#include "shm/format/layout.h"
#include "shm/segment.h"
#include "tests/fault/storm_load.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

namespace fs = std::filesystem;

/// A server whose binary is a copy of its own, which can be replaced.
class UpgradeServer {
 public:
  explicit UpgradeServer(std::vector<std::string> arguments = {})
      : server_(std::move(arguments), install(program("memento"))) {}

  TestServer& operator*() { return server_; }
  TestServer* operator->() { return &server_; }

  /// Replaces the binary as an installation does: by rename.
  std::string install(const std::string& from) {
    fs::copy_file(from, binary() + ".new", fs::copy_options::overwrite_existing);
    fs::rename(binary() + ".new", binary());
    return binary();
  }
  void install_script(const std::string& text) {
    std::ofstream(binary() + ".new") << text;
    chmod((binary() + ".new").c_str(), 0700);
    fs::rename(binary() + ".new", binary());
  }
  std::string binary() const { return folder_.path() + "/memento"; }

  /// USR2; returns when `worker_count` new workers are all there is.
  void upgrade(std::size_t worker_count = 2) {
    const std::vector<pid_t> before = server_.workers(1);
    const std::set<pid_t> old(before.begin(), before.end());
    const std::size_t upgrades = count_in(server_.log(), "Upgraded to version");
    server_.signal(SIGUSR2);
    EXPECT_TRUE(wait_until([&] { return count_in(server_.log(), "Upgraded to version") > upgrades; }))
        << server_.log();
    EXPECT_TRUE(wait_until([&] {
      const std::vector<pid_t> now = server_.workers(worker_count);
      return now.size() == worker_count &&
             std::ranges::none_of(now, [&](pid_t pid) { return old.contains(pid); });
    })) << server_.log();
  }
  /// USR2; returns when the log says that it is refused.
  void expect_refusal(const std::string& reason) {
    const std::size_t refusals = count_in(server_.log(), "upgrade refused");
    const std::vector<pid_t> before = server_.workers(2);
    server_.signal(SIGUSR2);
    EXPECT_TRUE(wait_until([&] { return count_in(server_.log(), "upgrade refused") > refusals; })) << reason;
    const std::string log = server_.log();
    const std::string last = log.substr(log.rfind("upgrade refused"));
    EXPECT_NE(last.find(reason), std::string::npos) << reason << ", but it says: " << last;
    EXPECT_EQ(server_.workers(2), before) << reason;
    EXPECT_EQ(server_.request("GET a"), "1") << reason;
  }

 private:
  TemporaryFolder folder_;
  TestServer server_;
};

std::size_t open_files(pid_t pid) {
  const fs::directory_iterator files("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

// Shows that under load, which reconnects when a connection ends, upgrade after upgrade refuses no connection
// and loses no write, and that the master stays the process it was, with the pid file, and without more and
// more open files.
TEST(Upgrade, LoadSeesNoOutage) {
  constexpr int kUpgrades = 12;
  const TemporaryFolder folder;
  const std::string pid_file = folder.path() + "/pid";
  UpgradeServer server({"--quit-timeout", "0", "--pidfile", pid_file});
  const std::size_t files = open_files(server->master());
  std::atomic<int> refused{0};
  StormLoad load(
      [&] {
        std::unique_ptr<Wire> wire = connect_text(server->port());
        if (wire == nullptr) ++refused;
        return wire;
      },
      1);
  for (int i = 0; i < kUpgrades; ++i) {
    server.install(program("memento"));
    const std::uint64_t goal = load.state().operations + 500;
    server.upgrade();
    EXPECT_TRUE(wait_until([&] { return load.state().operations >= goal; }));
  }
  load.stop();
  EXPECT_EQ(refused, 0);
  EXPECT_GT(load.state().broken, 0u);
  EXPECT_LE(open_files(server->master()), files);  // one may have been open for a moment at the start
  EXPECT_EQ(std::atoi(read_file(pid_file).c_str()), server->master());
  const Finished second = run_program("memento", {"-p", std::to_string(ReservedPort().number()), "-P",
                                                  pid_file, "--dir", folder.path() + "/data"});
  EXPECT_NE(second.errors.find("held by process " + std::to_string(server->master())), std::string::npos)
      << second.errors;
  EXPECT_TRUE(wait_until([&] {
    return server->request("INFO clients").find("connected_clients:1") != std::string::npos;
  })) << server->request("INFO clients");
  std::size_t keys = 0;
  load.hold([&](StormClient& client) { keys = load.check_all(client); });
  EXPECT_TRUE(load.state().verdict.is_clean());
  EXPECT_EQ(server->stop(), 0);
  EXPECT_FALSE(fs::exists(pid_file));
  AttachReport report;
  const auto segment = Segment::create_or_attach({server->data_folder(), 256 << 20, 2}, &report);
  ASSERT_TRUE(segment);
  EXPECT_TRUE(report.attached) << report.set_aside_message;  // which checks it
  EXPECT_GE(report.key_count, keys);                         // expired ones may wait to be swept
  std::printf("%d upgrades, %llu operations, %llu connections ended\n", kUpgrades,
              static_cast<unsigned long long>(load.state().operations),
              static_cast<unsigned long long>(load.state().broken));
}

// Shows, with clients that send several requests at once, that a connection whose time is up ends in order,
// without a reset that could swallow replies, and that a request which was not answered was not executed:
// each that was answered counts once.
TEST(Upgrade, UnansweredRequestsWereNotExecuted) {
  constexpr int kBurst = 64;
  UpgradeServer server({"--quit-timeout", "0"});
  std::atomic<bool> over{false};
  std::atomic<int> answered{0};
  std::atomic<int> resets{0};
  std::atomic<int> ends{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Client client = server->connect();
      while (!over) {
        for (int i = 0; i < kBurst; ++i) resets += !client.send_line("INC n");
        for (int i = 0; i < kBurst; ++i) {
          const Result<std::string> reply = client.read_reply();
          if (reply) {
            ++answered;
            continue;
          }
          resets += reply.error().error_number != 0;
          ++ends;
          client = server->connect();
          break;
        }
      }
    });
  }
  for (int i = 0; i < 10; ++i) server.upgrade();
  over = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server->request("GET n"), std::to_string(answered));
  EXPECT_EQ(resets, 0);
  EXPECT_GT(ends, 0);
}

// Shows that whatever cannot take over is refused with its reason, and that the server then serves on as it
// was.
TEST(Upgrade, UnusableBinariesAreRefused) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/memento.conf";
  std::ofstream(config) << "quit-timeout 0\n";
  UpgradeServer server({"--config", config});
  ASSERT_EQ(server->request("SET a 1"), "OK");
  server.install(program("memento-other-layout"));
  server.expect_refusal("layout version: expected 4294967295, found " + std::to_string(kLayoutVersion));
  server.install_script("#!/bin/sh\nexit 0\n");
  server.expect_refusal("it does not know how to take over");
  server.install_script("#!/bin/sh\nkill -SEGV $$\n");
  server.expect_refusal("its check was ended by signal Segmentation fault");
  server.install_script("#!/bin/sh\necho libnew.so.7 is missing >&2\nexit 127\n");
  server.expect_refusal("libnew.so.7 is missing");
  server.install_script("no program\n");
  server.expect_refusal("Exec format error");
  fs::remove(server.binary());
  server.expect_refusal("No such file or directory");
  server.install(program("memento"));
  std::ofstream(config) << "quit-timeout 0\nworkers many\n";
  server.expect_refusal(config + ":2: workers: 'many' is not a number of workers");
  std::ofstream(config) << "quit-timeout 0\n";
  fs::rename(server->data_folder() + "/segment", server->data_folder() + "/moved");
  server.expect_refusal("segment");
  fs::rename(server->data_folder() + "/moved", server->data_folder() + "/segment");
  server.upgrade();
  EXPECT_EQ(server->request("GET a"), "1");
}

// Shows, with a detached server that was started by relative paths, that the number of workers follows the
// configuration, that connections which wait to be accepted are served whether workers become more or fewer,
// and that settings which cannot change are named.
TEST(Upgrade, WorkersFollowTheConfiguration) {
  const TemporaryFolder folder;
  const ReservedPort reserved;
  const std::uint16_t port = reserved.number();
  const auto configure = [&](std::size_t workers, const std::string& more) {
    std::ofstream(folder.path() + "/memento.conf") << "workers " << workers << "\nport " << port
                                                   << "\nquit-timeout 0\ndir data\nlogfile log\npidfile pid\n"
                                                   << more;
  };
  configure(2, "memory 64m\n");
  const Finished start = run_program("memento", {"-d", "-C", "memento.conf"}, folder.path());
  ASSERT_EQ(start.status, 0) << start.errors;
  const pid_t master = std::atoi(read_file(folder.path() + "/pid").c_str());
  std::size_t count = 2;
  for (const std::size_t next : {4, 1, 3, 2}) {
    std::vector<pid_t> old;
    ASSERT_TRUE(wait_until([&] { return (old = children_of(master)).size() == count; }));
    for (const pid_t pid : old) kill(pid, SIGSTOP);
    std::vector<Client> clients;
    for (int i = 0; i < 40; ++i) {
      Result<Client> client = Client::connect({"127.0.0.1", port});
      ASSERT_TRUE(client);
      ASSERT_TRUE(client->send_line("ECHO " + std::to_string(i)));
      clients.push_back(std::move(*client));
    }
    configure(next, "memory 64m\n");
    kill(master, SIGUSR2);
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const Result<std::string> reply = clients[i].read_reply();
      ASSERT_TRUE(reply) << i << " of " << next << " workers: " << read_file(folder.path() + "/log");
      EXPECT_EQ(*reply, std::to_string(i));
    }
    for (const pid_t pid : old) kill(pid, SIGKILL);
    EXPECT_TRUE(wait_until([&] { return children_of(master).size() == next; }));
    count = next;
    std::set<pid_t> serving;
    for (int i = 0; i < 1000 && serving.size() < next; ++i) {
      Result<Client> client = Client::connect({"127.0.0.1", port});
      ASSERT_TRUE(client);
      serving.insert(worker_of(*client));
    }
    EXPECT_EQ(serving.size(), next);
  }
  configure(2, "memory 128m\naddress 127.0.0.2\n");
  kill(master, SIGUSR2);
  EXPECT_TRUE(wait_until([&] {
    return read_file(folder.path() + "/log").find("Changes that need a restart: address, memory\n") !=
           std::string::npos;
  })) << read_file(folder.path() + "/log");
  kill(master, SIGTERM);
  EXPECT_TRUE(
      wait_until([&] { return read_file(folder.path() + "/log").find("Stopped") != std::string::npos; }));
}

// Shows that what CONFIG SET changed goes on over an upgrade, a password above all, and then over HUP.
TEST(Upgrade, ConfigSetGoesOn) {
  UpgradeServer server;
  ASSERT_EQ(server->request("CONFIG SET maxclients 50 requirepass secret"), "OK");
  server.upgrade();
  EXPECT_TRUE(server->request("GET a").starts_with("(error) NOAUTH")) << server->request("GET a");
  Client after = server->connect();
  EXPECT_EQ(*after.request("AUTH secret"), "OK");
  EXPECT_NE(after.request("CONFIG GET maxclients")->find("50"), std::string::npos);
  server->signal(SIGHUP);
  EXPECT_TRUE(
      wait_until([&] { return server->log().find("Configuration read again") != std::string::npos; }));
  EXPECT_TRUE(server->request("GET a").starts_with("(error) NOAUTH")) << server->request("GET a");
}

// Shows that SLOWLOG, LATENCY and the counts of commands go on over upgrades, together with what workers of
// the binary before still count, and that a reset reaches these too.
TEST(Upgrade, StatisticsGoOn) {
  UpgradeServer server(
      {"--quit-timeout", "600", "--slowlog-log-slower-than", "0", "--latency-monitor-threshold", "1"});
  Client old = server->connect();
  const auto ask = [&](const std::string& line) {
    const Result<std::string> reply = old.request(line);
    return reply ? *reply : "no reply: " + reply.error().message;
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask("SETEX k 100 v"), "OK");
  EXPECT_EQ(ask("DEBUG SLEEP 0.002"), "OK");
  const auto is_counted = [&](const std::string& calls) {
    return server->request("INFO commandstats").find("cmdstat_setex:calls=" + calls + ",") !=
           std::string::npos;
  };
  for (int upgrades = 1; upgrades <= 3; ++upgrades) {
    server->signal(SIGUSR2);
    ASSERT_TRUE(wait_until([&] {
      return count_in(server->log(), "Upgraded to version") == static_cast<std::size_t>(upgrades);
    }));
    EXPECT_TRUE(is_counted(std::to_string(4 + upgrades))) << server->request("INFO commandstats");
    EXPECT_EQ(ask("SETEX k 100 v"), "OK");
    EXPECT_TRUE(is_counted(std::to_string(5 + upgrades))) << server->request("INFO commandstats");
    EXPECT_EQ(count_in(server->request("SLOWLOG GET 128"), "SETEX"), static_cast<std::size_t>(5 + upgrades));
    EXPECT_NE(server->request("LATENCY LATEST").find("command"), std::string::npos);
  }
  EXPECT_EQ(count_in(server->log(), "begin anew"), 0u);
  EXPECT_EQ(server->request("CONFIG RESETSTAT"), "OK");
  EXPECT_EQ(server->request("SLOWLOG RESET"), "OK");
  EXPECT_FALSE(is_counted("8"));
  EXPECT_EQ(ask("SETEX k 100 v"), "OK");
  EXPECT_TRUE(is_counted("1"));
  EXPECT_EQ(count_in(server->request("SLOWLOG GET 128"), "SETEX"), 1u);
  ASSERT_TRUE(old.request("QUIT"));
}

// Shows that an old worker serves the connections it has to their end, that a further upgrade does not wait
// for that, and that a stop reaches all generations.
TEST(Upgrade, OldWorkersFinishTheirConnections) {
  UpgradeServer server({"--quit-timeout", "600"});
  Client first = server->connect();
  ASSERT_TRUE(first.request("SET a 1"));
  const pid_t oldest = worker_of(first);
  server->signal(SIGUSR2);
  ASSERT_TRUE(wait_until([&] { return count_in(server->log(), "has finished") == 1; })) << server->log();
  Client second{Fd()};
  ASSERT_TRUE(wait_until([&] {  // the oldest may have accepted one more
    second = server->connect();
    return worker_of(second) != oldest;
  }));
  server->signal(SIGUSR2);
  ASSERT_TRUE(wait_until([&] { return count_in(server->log(), "has finished") == 2; })) << server->log();
  EXPECT_EQ(worker_of(first), oldest);
  for (Client* client : {&first, &second}) {
    const Result<std::string> reply = client->request("GET a");
    ASSERT_TRUE(reply);
    EXPECT_EQ(*reply, "1");
  }
  EXPECT_TRUE(
      wait_until([&] { return server->workers(4).size() == 4; }));  // two that finish, two that accept
  ASSERT_TRUE(first.request("QUIT"));
  EXPECT_TRUE(wait_until([&] {
    return server->log().find("(pid " + std::to_string(oldest) + ") has finished") != std::string::npos;
  }));
  EXPECT_EQ(server->stop(), 0);
}

}  // namespace
}  // namespace memento::testing
