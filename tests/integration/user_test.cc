// --user: root's master, workers and a bus of another user. Skipped, and said so, where the tests do not run
// as root.
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "master/server_user.h"
#include "tests/cluster/test_cluster.h"
#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUser = "nobody";

// The numbers behind this name in /proc/PID/status.
std::vector<std::string> status_of(pid_t pid, const std::string& name) {
  std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name + ":")) continue;
    std::istringstream words(line.substr(name.size() + 1));
    return {std::istream_iterator<std::string>(words), {}};
  }
  return {};
}

bool has_open(pid_t pid, const std::string& path) {
  std::error_code gone;
  for (const auto& file : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd", gone)) {
    if (fs::read_symlink(file, gone) == path) return true;
  }
  return false;
}

class OtherUser : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root starts workers of another user";
    const passwd* const entry = getpwnam(kUser);
    if (entry == nullptr) GTEST_SKIP() << "no user nobody here";
    id_ = entry->pw_uid;
    group_ = entry->pw_gid;
  }
  /// The user's in every respect, once it has begun.
  void expect_users(pid_t pid) const {
    const std::vector<std::string> ids(4, std::to_string(id_));
    const std::vector<std::string> groups(4, std::to_string(group_));
    EXPECT_TRUE(wait_until([&] { return status_of(pid, "Uid") == ids; })) << pid;
    EXPECT_EQ(status_of(pid, "Gid"), groups);
    EXPECT_EQ(status_of(pid, "Groups"), std::vector<std::string>{std::to_string(group_)});
    EXPECT_EQ(status_of(pid, "CapEff"), std::vector<std::string>{"0000000000000000"});
  }
  static bool is_roots(pid_t pid) { return status_of(pid, "Uid") == std::vector<std::string>(4, "0"); }
  void expect_all_files(const std::string& folder) const {
    struct stat status {};
    ASSERT_EQ(stat(folder.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, id_);
    EXPECT_EQ(status.st_mode & 07777, 0700u);
    for (const auto& file : fs::directory_iterator(folder)) {
      ASSERT_EQ(stat(file.path().c_str(), &status), 0);
      EXPECT_EQ(status.st_uid, id_) << file.path();
      EXPECT_EQ(status.st_gid, group_) << file.path();
      EXPECT_EQ(status.st_mode & 07777, 0600u) << file.path();
    }
  }

  uid_t id_ = 0;
  gid_t group_ = 0;
};

// Shows that workers are the user's, without root's groups and rights, and the master root's; that the data
// is the user's alone; that a killed worker's successor is the user's and finds the data; that both open a
// log that was moved away again.
TEST_F(OtherUser, Workers) {
  TestServer server({"--user", kUser});
  EXPECT_TRUE(is_roots(server.master()));
  const std::vector<pid_t> workers = server.workers(2);
  for (const pid_t worker : workers) expect_users(worker);
  EXPECT_EQ(server.request("SET a 1"), "OK");
  kill(workers[0], SIGKILL);
  EXPECT_TRUE(wait_until([&] {
    const std::vector<pid_t> now = server.workers(2);
    return now.size() == 2 && std::ranges::find(now, workers[0]) == now.end();
  }));
  const std::vector<pid_t> successors = server.workers(2);
  for (const pid_t worker : successors) expect_users(worker);
  EXPECT_EQ(server.request("GET a"), "1");
  expect_all_files(server.data_folder());
  const std::string moved = server.log_path() + ".1";
  fs::rename(server.log_path(), moved);
  server.signal(SIGUSR1);
  for (const pid_t worker : successors) {
    EXPECT_TRUE(wait_until([&] { return has_open(worker, server.log_path()) && !has_open(worker, moved); }));
  }
}

// Shows that the next start finds the data, and that a start with another user, or none, says whose it is and
// how to change it.
TEST_F(OtherUser, Restart) {
  TestServer server({"--user", kUser});
  EXPECT_EQ(server.request("SET a 1"), "OK");
  EXPECT_EQ(server.stop(), 0);
  const Finished refused = run_program("memento", {"-p", std::to_string(ReservedPort().number()), "--dir",
                                                   server.data_folder(), "-m", "256MiB"});
  EXPECT_EQ(refused.status, 71);
  EXPECT_NE(refused.errors.find("it belongs to user " + std::to_string(id_) + ", this server runs as 0"),
            std::string::npos)
      << refused.errors;
  EXPECT_NE(refused.errors.find("chown -R"), std::string::npos) << refused.errors;
  server.start();
  EXPECT_EQ(server.request("GET a"), "1");
  expect_all_files(server.data_folder());
}

// Shows that a client's SHUTDOWN ends a server whose master is root's and whose workers are not.
TEST_F(OtherUser, Shutdown) {
  TestServer server({"--user", kUser});
  Client client = server.connect();
  EXPECT_FALSE(client.request("SHUTDOWN"));
  EXPECT_EQ(server.wait(), 0);
}

// Shows that an upgrade goes on with the same user, and that the workers still leave when the master is
// killed.
TEST_F(OtherUser, UpgradeAndTheMastersDeath) {
  TestServer server({"--user", kUser, "--quit-timeout", "0"});
  const std::vector<pid_t> old = server.workers(2);
  EXPECT_EQ(server.request("SET a 1"), "OK");
  server.signal(SIGUSR2);
  EXPECT_TRUE(wait_until([&] {
    const std::vector<pid_t> now = server.workers(2);
    return now.size() == 2 &&
           std::ranges::none_of(now, [&](pid_t pid) { return std::ranges::find(old, pid) != old.end(); });
  })) << server.log();
  EXPECT_NE(server.log().find("Upgraded to version"), std::string::npos);
  const std::vector<pid_t> workers = server.workers(2);
  for (const pid_t worker : workers) expect_users(worker);
  EXPECT_TRUE(is_roots(server.master()));
  EXPECT_EQ(server.request("GET a"), "1");
  server.signal(SIGKILL);
  server.wait();
  for (const pid_t worker : workers) {
    EXPECT_TRUE(wait_until([&] { return kill(worker, 0) != 0 || status_of(worker, "State").front() == "Z"; }))
        << worker;
  }
}

// Shows that a cluster's bus is the user's, also after an upgrade, and carries commands to another node.
TEST_F(OtherUser, Bus) {
  TestCluster cluster({.node_count = 2, .arguments = {"--user", kUser}});
  const pid_t bus = cluster.bus(0);
  expect_users(bus);
  EXPECT_EQ(cluster.request(0, "SET " + cluster.key_of(1) + " 1"), "OK");
  kill(cluster.master(0), SIGUSR2);
  EXPECT_TRUE(wait_until([&] { return cluster.bus(0) != 0 && cluster.bus(0) != bus; })) << cluster.log(0);
  expect_users(cluster.bus(0));
  EXPECT_TRUE(cluster.wait_until_formed());
  EXPECT_EQ(cluster.request(0, "GET " + cluster.key_of(1)), "1");
}

// Shows that a user who does not exist, and one whom only root could take, are errors of the configuration.
TEST(ServerUserName, IsChecked) {
  const Finished unknown = run_program(
      "memento", {"-p", std::to_string(ReservedPort().number()), "--user", "no such user", "-m", "16MiB"});
  EXPECT_EQ(unknown.status, 78);
  EXPECT_NE(unknown.errors.find("'no such user' is no user of this system"), std::string::npos)
      << unknown.errors;
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(1);
    const auto found = ServerUser::find("root");
    _exit(!found && found.error().message.find("only root") != std::string::npos
              ? static_cast<int>(found.error().status)
              : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 78);
}

}  // namespace
}  // namespace memento::testing
