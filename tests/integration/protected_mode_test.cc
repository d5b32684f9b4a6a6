// Protected mode: who may be served by a server without a password that listens beyond this machine. Needs
// network namespaces: a server in one, a client in another.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/integration/test_server.h"

namespace memento::testing {
namespace {

constexpr const char* kServerAddress = "10.78.0.1";
constexpr const char* kPort = "6737";  // all ports are free there

bool run(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

/// Two namespaces with a cable between them.
class ProtectedMode : public ::testing::Test {
 protected:
  ProtectedMode() {
    can_run_ =
        run("ip netns add " + server_space_) && run("ip netns add " + client_space_) &&
        run("ip -n " + server_space_ + " link add eth0 type veth peer name eth0 netns " + client_space_) &&
        run("ip -n " + server_space_ + " addr add " + kServerAddress + "/24 dev eth0") &&
        run("ip -n " + client_space_ + " addr add 10.78.0.2/24 dev eth0") && set_up(server_space_) &&
        set_up(client_space_);
  }
  ~ProtectedMode() override {
    stop();
    run("ip netns del " + server_space_);
    run("ip netns del " + client_space_);
  }

  static bool set_up(const std::string& space) {
    return run("ip -n " + space + " link set lo up") && run("ip -n " + space + " link set eth0 up");
  }
  /// It is ready when this returns.
  void start(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"netns",
                                    "exec",
                                    server_space_,
                                    program("memento"),
                                    "-d",
                                    "-a",
                                    "0.0.0.0",
                                    "-p",
                                    kPort,
                                    "-w",
                                    "1",
                                    "-m",
                                    "64m",
                                    "--dir",
                                    folder_.path() + "/data",
                                    "-P",
                                    pid_path(),
                                    "-l",
                                    folder_.path() + "/log"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Finished started = run_program("/sbin/ip", all);
    ASSERT_EQ(started.status, 0) << started.errors;
  }
  void stop() {
    pid_t master = 0;
    if (!(std::ifstream(pid_path()) >> master)) return;
    kill(master, SIGTERM);
    EXPECT_TRUE(wait_until([&] { return kill(master, 0) != 0; }));
  }
  Finished ask(const std::string& space, const std::string& address, const std::vector<std::string>& words) {
    std::vector<std::string> all = {"netns", "exec", space, program("memento-cli"), address, kPort};
    all.insert(all.end(), words.begin(), words.end());
    return run_program("/sbin/ip", all);
  }
  std::string pid_path() const { return folder_.path() + "/pid"; }

  const std::string server_space_ = "mp" + std::to_string(getpid()) + "-server";
  const std::string client_space_ = "mp" + std::to_string(getpid()) + "-client";
  TemporaryFolder folder_;
  bool can_run_ = false;
};

// Shows that without a password only clients over loopback are served; that others are told what to do; and
// that a password, or the option, opens it. DEBUG for local clients is not for others either.
TEST_F(ProtectedMode, ServesLoopbackOnly) {
  if (!can_run_) GTEST_SKIP() << "network namespaces need root";
  start({});
  EXPECT_EQ(ask(server_space_, "127.0.0.1", {"ECHO", "near"}).output, "near\n");
  const Finished refused = ask(client_space_, kServerAddress, {"ECHO", "far"});
  EXPECT_NE(refused.status, 0);
  EXPECT_EQ((refused.output + refused.errors).find("far"), std::string::npos);
  EXPECT_NE((refused.output + refused.errors).find("protected-mode"), std::string::npos)
      << refused.output << refused.errors;
  stop();
  start({"--protected-mode", "no", "--enable-debug-command", "local"});
  EXPECT_EQ(ask(client_space_, kServerAddress, {"ECHO", "far"}).output, "far\n");
  EXPECT_NE(ask(client_space_, kServerAddress, {"DEBUG", "SLEEP", "0"}).output.find("enable-debug-command"),
            std::string::npos);
  EXPECT_EQ(ask(server_space_, "127.0.0.1", {"DEBUG", "SLEEP", "0"}).output, "OK\n");
  stop();
  const std::string password_path = folder_.path() + "/password";
  std::ofstream(password_path) << "secret\n";
  start({"--requirepass-file", password_path});
  EXPECT_EQ(ask(client_space_, kServerAddress, {"-a", "secret", "ECHO", "far"}).output, "far\n");
  EXPECT_NE(ask(client_space_, kServerAddress, {"ECHO", "far"}).status, 0);
}

}  // namespace
}  // namespace memento::testing
